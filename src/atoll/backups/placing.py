"""Placing: makes the members of an archive below one folder, and nowhere else.

An archive may have been made to harm: whatever its members are called, and whatever links are among
them, each file is made new, in a folder that was opened from the one above it, through no link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from atoll.backups.archive import Segments
from atoll.backups.packing import FOLDER
from atoll.errors import Refused

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
HARM = {errno.EEXIST, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT}
Parts = tuple[str, ...]


@dataclass(slots=True)
class Placer:
    """Makes members below ``folder``; with ``owners``, they belong to whom the archive says."""

    folder: Path
    owners: bool
    files: int = 0
    size: int = 0
    _top: int = -1
    _last: tuple[Parts, int] | None = None  # the folder of the last member, which is often the next

    def __enter__(self) -> Self:
        self._top = os.open(self.folder, FOLDER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._leave()
        os.close(self._top)

    def place(self, info: tarfile.TarInfo, segments: Segments, content: Iterable[bytes]) -> None:
        """Make one member; raises `Refused` where it can only have been made to harm."""
        try:
            self._place(info, _parts(info.name), segments, content)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in HARM:
                raise
            raise Refused(
                f"In this backup is “{ascii(info.name)[1:201]}”, which cannot be put into the data "
                "folder.",
                hint="It was not made by `atoll backup`, or was changed. Nothing of it was kept.",
            ) from error

    def _place(
        self, info: tarfile.TarInfo, parts: Parts, segments: Segments, content: Iterable[bytes]
    ) -> None:
        if info.isdir():
            self._finish(self._enter(parts), info)
            return
        parent, name = self._enter(parts[:-1]), parts[-1]
        if info.isreg():
            made = os.open(name, NEW, 0o600, dir_fd=parent)
            try:
                self._fill(made, segments, content)
                os.ftruncate(made, info.size)
                self._finish(made, info)
            finally:
                os.close(made)
            self.files += 1
        elif info.islnk():
            *above, old = _parts(info.linkname)
            with self._opened(tuple(above)) as folder:
                os.link(old, name, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False)
            self.files += 1
        else:
            if info.issym():
                os.symlink(info.linkname, name, dir_fd=parent)
            elif info.isfifo():
                os.mkfifo(name, info.mode & 0o777, dir_fd=parent)
            else:
                raise ValueError(info.type)
            if self.owners:
                os.chown(name, info.uid, info.gid, dir_fd=parent, follow_symlinks=False)
            os.utime(name, (info.mtime, info.mtime), dir_fd=parent, follow_symlinks=False)

    def _fill(self, made: int, segments: Segments, content: Iterable[bytes]) -> None:
        """Write *content* to the open file *made*, into its *segments*; no chunk is of two."""
        places = iter(segments)
        at, left = 0, 0
        for chunk in content:
            while not left:
                at, left = next(places)
            rest = memoryview(chunk)
            while rest:
                wrote = os.pwrite(made, rest, at)
                at, left, rest = at + wrote, left - wrote, rest[wrote:]
            self.size += len(chunk)

    def _finish(self, made: int, info: tarfile.TarInfo) -> None:
        """Give what is open its owner, its permissions and its date."""
        if self.owners:
            os.fchown(made, info.uid, info.gid)
        os.fchmod(made, info.mode & 0o777)
        os.utime(made, (info.mtime, info.mtime))

    def _enter(self, parts: Parts) -> int:
        """Return the open folder *parts*, which is made if need be; good until the next call."""
        if self._last is None or self._last[0] != parts:
            self._leave()
            self._last = (parts, self._open(parts))
        return self._last[1]

    def _leave(self) -> None:
        last, self._last = self._last, None
        if last:
            os.close(last[1])

    @contextlib.contextmanager
    def _opened(self, parts: Parts) -> Iterator[int]:
        folder = self._open(parts)
        try:
            yield folder
        finally:
            os.close(folder)

    def _open(self, parts: Parts) -> int:
        here = os.open(".", FOLDER, dir_fd=self._top)
        for part in parts:
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=here)
                inner = os.open(part, FOLDER, dir_fd=here)
            finally:
                os.close(here)
            here = inner
        return here


def _parts(name: str) -> Parts:
    """Return the parts of a member's *name*; raises `ValueError` where it leads anywhere else."""
    parts = tuple(name.split("/"))
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(name)
    return parts
