"""Room: how much of the disk what is fetched may take, counted while it is written."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from atoll.errors import Lacking
from atoll.providers.sizes import too_large

SPARE = 256 * 1024**2  # bytes of disk that nothing fetched may take
LOOKED = 64 * 1024**2  # bytes after which the free disk is looked at again


@dataclass(slots=True)
class Room:
    """How much may still be written below ``folder``; ``most`` is in bytes, for all together."""

    folder: Path
    most: int
    used: int = 0
    _looked: int = field(default=-LOOKED)

    def take(self, size: int) -> None:
        """Take *size* bytes of it; raises `TooLarge`, and `Lacking` where the disk is full."""
        self.used += size
        if self.used > self.most:
            raise too_large(self.most)
        if self.used - self._looked >= LOOKED:
            self._looked = self.used
            self.need(0)

    def need(self, size: int) -> None:
        """Raise, as `take` does, if *size* more bytes would not fit, without taking them."""
        if self.used + size > self.most:
            raise too_large(self.most)
        if shutil.disk_usage(self.folder).free < size + SPARE:
            raise _full()


@contextlib.contextmanager
def translated_disk() -> Iterator[None]:
    """Say in our words that the disk is full, if it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _full() from error


def _full() -> Lacking:
    return Lacking(
        "There is not enough room on this machine's disk.",
        hint="`atoll environments prune` makes room.",
    )
