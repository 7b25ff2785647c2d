"""Logs: what stopped servers and builds had printed is kept for some days, and goes then.

What the hub, the proxy and this service print, and what a server prints while it runs, is bounded
where it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

from atoll.settings import Settings

PAUSE, DAY = 3600, 86400  # seconds

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def clearing_up(settings: Settings) -> AsyncIterator[None]:
    """Look now and then, for as long as the service runs, for logs that are old enough to go."""
    task = asyncio.create_task(_clear_for_ever(settings), name="clear logs up")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _clear_for_ever(settings: Settings) -> None:
    while days := settings.operator.log_days:
        try:
            await asyncio.to_thread(clear_up, settings.data / "logs", time.time() - days * DAY)
        except Exception:
            log.exception("old logs could not be cleared up")
        await asyncio.sleep(PAUSE)


def clear_up(folder: Path, before: float) -> None:
    """Remove the logs in *folder* that nobody has written to since *before*, as `time.time` has it.

    ``atoll.log`` is not touched.
    """
    for file in (*folder.glob("*.txt"), *folder.glob("servers/*.txt")):
        with contextlib.suppress(FileNotFoundError):  # somebody else has removed it
            if file.lstat().st_mtime < before:
                file.unlink()
    for link in folder.glob("servers/last/*"):
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
