"""Now and then: a look that the service takes again and again, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from atoll.errors import AtollError

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def now_and_then(
    what: str,
    look: Callable[[], Awaitable[object]],
    pause: float,
    *,
    wait: float = 0,
    usual: type[Exception] = AtollError,
) -> AsyncIterator[None]:
    """Have *look* called *wait* seconds from now, and again *pause* seconds after each is done.

    Whatever it raises is logged, with *what* it was to do, and does not keep the next one; of what
    is *usual*, no more than the message.
    """
    task = asyncio.create_task(_for_ever(what, look, pause, wait, usual), name=what)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _for_ever(
    what: str,
    look: Callable[[], Awaitable[object]],
    pause: float,
    wait: float,
    usual: type[Exception],
) -> None:
    await asyncio.sleep(wait)
    while True:
        try:
            await look()
        except usual as error:
            log.warning("could not %s: %r", what, error)
        except Exception:
            log.exception("could not %s", what)
        await asyncio.sleep(pause)
