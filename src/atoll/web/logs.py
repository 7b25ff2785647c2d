"""Logs: what stopped servers and builds had printed is kept for some days, and goes then.

What the hub, the proxy and this service print, and what a server prints while it runs, is bounded
where it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from atoll.settings import Settings
from atoll.web.now_and_then import now_and_then

PAUSE, DAY = 3600, 86400  # seconds


def clearing_up(settings: Settings) -> AbstractAsyncContextManager[None]:
    """Look now and then, for as long as the service runs, for logs that are old enough to go."""
    kept = settings.operator.log_days * DAY

    async def look() -> None:
        await asyncio.to_thread(clear_up, settings.data / "logs", time.time() - kept)

    return now_and_then("clear logs up", look, PAUSE) if kept else contextlib.nullcontext()


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
