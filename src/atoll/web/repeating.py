"""Repeating: what the service does again and again, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from atoll.errors import AtollError

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def repeating(
    doing: str, do: Callable[[], Awaitable[None]], pause: float
) -> AsyncIterator[None]:
    """Do it at once, and again *pause* seconds after each time, until the context is left.

    *doing* says in the log what it was, where it fails; then it is tried again as ever.
    """
    task = asyncio.create_task(_repeat(doing, do, pause), name=doing)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _repeat(doing: str, do: Callable[[], Awaitable[None]], pause: float) -> None:
    while True:
        try:
            await do()
        except AtollError as error:
            log.warning("%s failed: %s", doing, error)
        except Exception:
            log.exception("%s broke", doing)
        await asyncio.sleep(pause)
