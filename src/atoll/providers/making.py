"""Making: a copy of a repository is made once, aside, and put in its place whole.

Look, lock, look again, make aside, publish: a kill at any moment leaves either all of it or
nothing that counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from atoll.disk import remove
from atoll.errors import Unreachable
from atoll.events import Tell
from atoll.names import default_name, new_id
from atoll.providers.flights import Flights, held
from atoll.providers.uses import use

Make = Callable[[Path, Tell], Awaitable[None]]


async def make_once(home: Path, make: Make, flights: Flights, tell: Tell) -> None:
    """See to it that the folder *home* is there; *make* fills it, aside, where it is not.

    Of many who ask at once, in this process and in others, one makes it, and all see how it goes.
    """
    if use(home):
        return

    async def publish(tell: Tell) -> None:
        async with held(home.with_name(f"{home.name}.lock")):
            if use(home):
                return
            for stale in home.parent.glob(f".{home.name}-*"):  # its maker was killed
                await asyncio.to_thread(remove, stale)
            aside = home.with_name(f".{home.name}-{new_id()}")
            aside.mkdir()
            try:
                await make(aside, tell)
                aside.rename(home)
            finally:
                await asyncio.to_thread(remove, aside)

    home.parent.mkdir(parents=True, exist_ok=True)
    await flights.join(home.name, publish, tell)


@contextlib.asynccontextmanager
async def in_time(locator: str, seconds: float) -> AsyncIterator[None]:
    """Turn the end of *seconds* into `Unreachable`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unreachable(
            f"{locator} could not be fetched within {seconds:g} seconds.",
            hint="Try again later; the operator can raise timeout in [sources] of atoll.toml.",
        ) from error


def mark(locator: str, extra: str = "", *, trusted: bool) -> str:
    """Return a name for the folder of *locator*: readable, and different for different ones."""
    whose = "own" if trusted else "public"
    digest = hashlib.sha256(f"{whose}\0{locator}\0{extra}".encode()).hexdigest()[:20]
    return f"{default_name(locator)}-{digest}"
