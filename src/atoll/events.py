"""Events: one line per thing that happened, for progress bars, audit and accounting alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["resolve", "fetch", "build", "wait", "start", "check", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in *phase*.

    ``message`` is a sentence for a person, or, when ``detail`` is true, one line of a log. A
    ``note`` is something to know afterwards, too, and not only how far the phase has come.
    ``at`` is the time in seconds since the epoch.
    """

    phase: Phase
    message: str
    detail: bool = False
    at: float = field(default_factory=time.time)
    note: bool = False


Tell = Callable[[Event], None]

LONGEST = 4 * 1024**2  # characters of log lines that a story keeps in memory
LINE = 200  # how many characters' room the shortest line takes
LEFT_OUT = "The log is too long to be shown here; what follows is left out."


class Story:
    """Events in order, which any number of readers may follow, early or late.

    What a build prints, without end perhaps, is kept up to `LONGEST`; after that only events that
    are not log lines.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ended = False
        self._room = LONGEST
        self._changed = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Add *event* and wake whoever is reading."""
        if event.detail:
            if self._room < 0:
                return
            self._room -= len(event.message) + LINE
            if self._room < 0:
                event = Event(event.phase, LEFT_OUT, detail=True)
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        """Let readers go once they have read everything."""
        self.ended = True
        self._wake()

    async def follow(self, start: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """Yield ``(number, event)`` from number *start* on, waiting for more until the end."""
        seen = start
        while True:
            changed = self._changed  # taken before reading, so nothing told meanwhile is missed
            while seen < len(self.events):
                yield seen, self.events[seen]
                seen += 1
            if self.ended:
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
