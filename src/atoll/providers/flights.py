"""Flights: work that many ask for at once is done once, and all of them see how it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from atoll.events import Story, Tell

T = TypeVar("T")

BREATH = 0.3  # seconds between two askings of the same remote
PATIENCE = 0.1  # seconds between two tries to get a lock that another process holds


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Any]
    story: Story
    waiting: int = 0


@dataclass(slots=True)
class Flights:
    """The work that is under way in this process, by what it is about."""

    _flying: dict[str, _Flight] = field(default_factory=dict)

    async def join(self, key: str, work: Callable[[Tell], Awaitable[T]], tell: Tell) -> T:
        """Do *work*, or wait for the one that is doing it already under *key*.

        When the last who waits is cancelled, so is the work.
        """
        flight = self._flying.get(key)
        if flight is None or flight.task.done():
            story = Story()
            flight = _Flight(asyncio.ensure_future(_run(work, story)), story)
            self._flying[key] = flight
        flight.waiting += 1
        try:
            async for _, event in flight.story.follow():
                tell(event)
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                flight.task.cancel()
                if self._flying.get(key) is flight:
                    del self._flying[key]


@dataclass(slots=True)
class Crowds:
    """Questions to remote servers, each of which a crowd that opens the same link would ask."""

    _flights: Flights = field(default_factory=Flights)
    _asked: dict[str, float] = field(default_factory=dict)  # when each was asked last

    async def ask(self, about: str, question: Callable[[], Awaitable[T]]) -> T:
        """Ask *question*: the first of a crowd at once, and the rest together, a breath later.

        Nobody gets an answer to what was asked before they came: all that has been pushed by then
        is in it.
        """
        last = self._asked.get(about, 0.0)

        async def work(_: Tell) -> T:
            await asyncio.sleep(last + BREATH - time.monotonic())
            self._asked[about] = time.monotonic()  # who comes from now on asks anew
            return await question()

        return await self._flights.join(f"{about} {last}", work, lambda _: None)


async def _run(work: Callable[[Tell], Awaitable[T]], story: Story) -> T:
    try:
        return await work(story.tell)
    finally:
        story.end()


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[None]:
    """Hold the lock file *path* against every other process on this machine."""
    lock = FileLock(path, thread_local=False)
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            await asyncio.sleep(PATIENCE)
    try:
        yield
    finally:
        lock.release()
