"""Copies the work files of a server for a visitor: nothing hidden, and no more than some bytes.

Runs in a box, as their owner: ``/srv/from`` is that server's home, which may change meanwhile, and
``/srv/to`` an empty folder. The argument is how many bytes it may be. See `engines/local/copying.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import sys
from pathlib import Path

FROM, TO = Path("/srv/from"), Path("/srv/to")
FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file
LEAST = 4096  # bytes that a file counts at least, as there may be a million
TOO_LARGE = 3  # what it ends with then


def main() -> int:
    """Copy all, folder by folder; a path may be longer than the kernel takes at once."""
    left = int(sys.argv[1])
    folders = [(os.open(FROM, os.O_RDONLY), os.open(TO, os.O_RDONLY))]
    while folders:
        source, target = folders.pop()
        with os.scandir(source) as inside:
            names = sorted(entry.name for entry in inside if not entry.name.startswith("."))
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                found = os.stat(name, dir_fd=source, follow_symlinks=False)
                left -= max(LEAST, found.st_size if stat.S_ISREG(found.st_mode) else 0)
                if left < 0:
                    return TOO_LARGE
                if stat.S_ISDIR(found.st_mode):
                    folders.append(_folder(source, target, name))
                elif stat.S_ISLNK(found.st_mode):
                    os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
                elif stat.S_ISREG(found.st_mode):
                    _copy(source, target, name, found)
        os.close(source)
        os.close(target)
    return 0


def _folder(source: int, target: int, name: str) -> tuple[int, int]:
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source)
    os.mkdir(name, 0o755, dir_fd=target)
    return inner, os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=target)


def _copy(source: int, target: int, name: str, found: os.stat_result) -> None:
    """Copy a file, as long as it was when it was counted; blocks are shared where they can be."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=target)
    with os.fdopen(os.open(name, flags, dir_fd=source), "rb") as old, os.fdopen(made, "wb") as new:
        try:
            fcntl.ioctl(new, FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1024**2)
        new.truncate(found.st_size)
        os.fchmod(new.fileno(), stat.S_IMODE(found.st_mode) & 0o755 | 0o600)
        os.utime(new.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


if __name__ == "__main__":
    sys.exit(main())
