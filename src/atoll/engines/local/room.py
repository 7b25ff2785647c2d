"""Room: what is left of the disk, and builds that end before they have taken the last of it.

The database, the servers' files and other builds are on the same disk, and a program that cannot
write may lose what it was to keep. So nothing is built in the last part of it; and where it fills
up all the same, that is what the error says.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from atoll.disk import freed, locked
from atoll.errors import AtollError, BuildFailed, Lacking, StartFailed

SPARE = 256 * 1024**2  # bytes that builds leave free; of small disks a twentieth
ASIDE = 4  # times as much is left by servers that make way: these are looked at less often
LOOK = 0.2  # seconds between two looks at the disk
LAST = 1024**2  # bytes; where less is free, whatever failed may have failed for that
NO_ROOM = "The disk is full."
MAKE_ROOM = (
    "`atoll environments prune` makes room, with --cache still more; "
    "`atoll doctor` says how much there is."
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAID = re.compile(r"\(os error (?:28|122)\)|No space left on device|Disk quota exceeded")


def told(text: str) -> bool:
    """Say whether a program that printed *text* had no room on the disk."""
    return bool(_SAID.search(text))


def lacking() -> Lacking:
    """Return the error of who had no room; `minded` adds the figures."""
    return Lacking(NO_ROOM, hint=MAKE_ROOM)


@contextlib.contextmanager
def minded(folder: Path) -> Iterator[None]:
    """Say in our words that the disk of *folder* is full, if that is why something fails."""
    try:
        yield
    except (AtollError, OSError) as error:
        if not _is_why(error, folder):
            raise
        raise _full(folder, getattr(error, "log", "")) from error


@contextlib.asynccontextmanager
async def kept(workshop: Path, turn: Path, cleared: contextlib.ExitStack) -> AsyncIterator[None]:
    """End what happens inside when the disk on which *workshop* stands is nearly full.

    That raises `Lacking`. Of several builds the one ends whose workshop, among those beside it,
    has taken most. It holds the lock file *turn* until *cleared* is closed: nobody else ends before
    its room is free.
    """
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(workshop, turn, cleared))
            yield
            watching.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several.exceptions[0].__cause__


async def _watch(workshop: Path, turn: Path, cleared: contextlib.ExitStack) -> None:
    """Raise `Lacking` once builds have taken all the room they may, this one the most."""
    while True:
        if is_short(workshop):
            with contextlib.suppress(BlockingIOError), contextlib.ExitStack() as held:
                held.enter_context(locked(turn, alone=True, wait=False))
                most = await asyncio.to_thread(_has_most, workshop)
                if most and is_short(workshop):
                    cleared.push(held.pop_all())
                    raise _full(workshop)
        await asyncio.sleep(LOOK)


def is_short(folder: Path) -> bool:
    """Say whether the disk of *folder* has only that left which builds leave to all else."""
    return _free(folder) < _spare(folder)


def beyond(folder: Path) -> int:
    """Return how many bytes servers that make way may still take: they leave more than builds do.

    Less than none where some are to end.
    """
    return _free(folder) - ASIDE * _spare(folder)


def none_aside() -> StartFailed:
    """Return the error of who wants a server that makes way, where it would have to at once."""
    message = "There is no room for a temporary server on the hub's disk now."
    return StartFailed(message, hint="Try again later, or tell the operator.")


def _has_most(workshop: Path) -> bool:
    return freed([workshop]) >= max(freed([other]) for other in workshop.parent.iterdir())


def _is_why(error: AtollError | OSError, folder: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    if str(error) == NO_ROOM:
        return True
    return isinstance(error, BuildFailed) and (told(str(error)) or _free(folder) < LAST)


def _full(folder: Path, log: str = "") -> Lacking:
    free, total, spare = map(_size, (_free(folder), _total(folder), _spare(folder)))
    message = f"The disk is full: {free} of {total} are free, and builds leave {spare} to all else."
    return Lacking(message, hint=MAKE_ROOM, log=log)


def _free(folder: Path) -> int:
    """Return the bytes that may still be written; none where no file can be made."""
    found = os.statvfs(folder)
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


def _total(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def _spare(folder: Path) -> int:
    return min(SPARE, _total(folder) // 20)


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"  # noqa: PLR2004 - a prefix
