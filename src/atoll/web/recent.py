"""Recent: what JupyterHub said a moment ago, for pages that need not wait while it is busy.

While a class arrives, JupyterHub answers within 0.2 s and not, as at rest, within 0.01 s. The
longer its answers take, the less often it is asked, so that it catches up however many click.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

QUICK = 0.04  # seconds that a page waits for an answer, if it has an earlier one
BELIEVED = 300.0  # seconds for which an answer will do, until the page looks again
REST = 10  # times what a late answer took, for which it is not asked for again,
LONGEST = 20.0  # but no longer than so many seconds: the hub may have caught up
MOST = 10_000  # answers that are remembered


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What was said; ``late`` says that the newest word has yet to come."""

    said: T
    late: bool = False


@dataclass(slots=True)
class Recent(Generic[T]):
    """Asks, and meanwhile gives what was said before; all who ask the same wait for one answer."""

    _said: dict[str, tuple[float, float, T]] = field(default_factory=dict)
    _asking: dict[str, asyncio.Task[T]] = field(default_factory=dict)

    async def get(self, key: str, ask: Callable[[], Awaitable[T]]) -> Answer[T]:
        """Return what *ask* says or, if that takes long or took long lately, what it said before.

        Raises whatever *ask* raises, if it was waited for.
        """
        at, took, known = self._said.get(key, (0.0, 0.0, None))
        rest = min(REST * took, LONGEST) if took > QUICK else 0.0
        if known is not None and time.monotonic() - at < rest:
            return Answer(known, late=True)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, ask))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait({asking}, timeout=QUICK)
        at, _, known = self._said.get(key, (0.0, 0.0, None))
        if not asking.done() and known is not None and time.monotonic() - at < BELIEVED:
            return Answer(known, late=True)
        return Answer(await asyncio.shield(asking))

    def forget(self, key: str) -> None:
        """Believe nothing of *key* any more, nor what is being said now: we have changed it."""
        self._said.pop(key, None)
        self._asking.pop(key, None)

    async def _ask(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        mine, begun = asyncio.current_task(), time.monotonic()
        try:
            said = await ask()
            if self._asking.get(key) is mine:
                if len(self._said) >= MOST:
                    self._said.clear()
                now = time.monotonic()
                self._said[key] = (now, now - begun, said)
            return said
        finally:
            if self._asking.get(key) is mine:
                del self._asking[key]
