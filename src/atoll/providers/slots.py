"""Slots: so many fetches run at once and no more; whoever waits is told how many come first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from atoll.events import Event, Tell


@dataclass(slots=True)
class Slots:
    """Room for ``width`` fetches at once, in the order in which they came."""

    width: int = 8
    _there: list[object] = field(default_factory=list)  # running and waiting, the first come first
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def slot(self, tell: Tell) -> AsyncIterator[None]:
        """Wait for room, telling *tell* how many fetches run before this one."""
        me = object()
        self._there.append(me)
        try:
            while (before := self._there.index(me)) >= self.width:
                tell(Event("fetch", f"Waiting: {before} fetches run before this one"))
                await self._moved.wait()
            yield
        finally:
            self._there.remove(me)
            self._moved.set()
            self._moved = asyncio.Event()
