"""Copies the work files of a server for a visitor: nothing hidden, and no more than some bytes.

Runs in a box, as their owner: ``/srv/from`` is that server's home, which may change meanwhile, and
``/srv/to`` an empty folder. The argument is how many bytes it may be. What cannot be read is not
copied, nor is what is no file, folder or link. See `engines/local/copying.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
from collections.abc import Iterator

FROM, TO = "/srv/from", "/srv/to"
FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file
LEAST = 4096  # bytes that a file counts at least, as there may be a million
BLOCK = 1024**2  # bytes that are read at once
TOO_LARGE = 3  # what it ends with then


def main() -> int:
    """Copy all, and return the exit code."""
    left = int(sys.argv[1])
    for path, found in _found():
        left -= max(LEAST, found.st_size if stat.S_ISREG(found.st_mode) else 0)
        if left < 0:
            return TOO_LARGE
        if stat.S_ISDIR(found.st_mode):
            os.mkdir(TO + path, 0o755)
        elif stat.S_ISLNK(found.st_mode):
            with contextlib.suppress(FileNotFoundError):
                os.symlink(os.readlink(FROM + path), TO + path)
        elif stat.S_ISREG(found.st_mode):
            _copy(path, found)
    return 0


def _found() -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is there and not hidden, each folder before what is in it."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with contextlib.suppress(OSError), os.scandir(FROM + folder) as names:
            for (
                one
            ) in names:  # not all at once: hidden ones, which count for nothing, may be millions
                path = f"{folder}/{one.name}"
                if one.name.startswith(".") or (found := _look(path)) is None:
                    continue
                yield path, found
                if stat.S_ISDIR(found.st_mode):
                    folders.append(path)


def _look(path: str) -> os.stat_result | None:
    with contextlib.suppress(OSError):  # it has gone meanwhile, or its path is too long
        return os.lstat(FROM + path)
    return None


def _copy(path: str, found: os.stat_result) -> None:
    """Copy a file, as long as it was when it was counted; blocks are shared where they can be."""
    try:
        source = os.open(FROM + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with os.fdopen(source, "rb") as old, open(TO + path, "xb") as new:
        try:
            fcntl.ioctl(new, FICLONE, old.fileno())
            os.truncate(new.fileno(), min(found.st_size, os.fstat(new.fileno()).st_size))
        except OSError:
            left = found.st_size
            while left and (block := old.read(min(left, BLOCK))):
                new.write(block)
                left -= len(block)
            new.flush()
        os.fchmod(new.fileno(), stat.S_IMODE(found.st_mode) & 0o755 | 0o600)
        os.utime(new.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


if __name__ == "__main__":
    sys.exit(main())
