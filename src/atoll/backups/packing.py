"""Packing: writes folders of hostile making into an archive, as they are.

People's servers may go on changing what is read here, and root may be who reads it. So nothing is
ever reached by a path that a link could be put into: each folder is opened from the one above it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from atoll.backups.archive import CHUNK, Segments, Writer
from atoll.disk import LONGEST_PATH

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would keep us waiting
MOST_SPARSE = 8 * 1024**3  # bytes of data; tarfile misreads larger files with holes
EXAMPLES = 20
Say = Callable[[int, int], None]


@dataclass(slots=True)
class Remarks:
    """What did not go into an archive as it is, by reason, with some of the paths."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, why: str, path: str) -> None:
        """Note that *path* did not, because of *why*."""
        self.counts[why] += 1
        shown = self.examples.setdefault(why, [])
        if len(shown) < EXAMPLES:
            shown.append(path.encode("utf-8", "backslashreplace").decode())

    def told(self) -> dict[str, object]:
        """Return them as they are told to scripts."""
        return {why: {"count": n, "some": self.examples[why]} for why, n in self.counts.items()}


@dataclass(slots=True)
class Packer:
    """Writes folders to *writer*; *say* hears how many files and bytes went in so far."""

    writer: Writer
    say: Say
    remarks: Remarks = field(default_factory=Remarks)
    files: int = 0
    size: int = 0
    _linked: dict[tuple[int, int], str] = field(default_factory=dict)

    def pack(self, root: Path, name: str, leave_out: Collection[str] = ()) -> None:
        """Write all below *root*, as below *name*; at its top without those in *leave_out*.

        A folder follows what is in it, so that restoring can give it its permissions at once.
        """
        top = os.open(root, FOLDER)
        try:
            pending: list[tuple[str, os.stat_result | None]] = [("", None)]
            while pending:
                place, seen = pending.pop()
                whole = _join(name, place)
                if seen:
                    self.writer.add(_info(whole, seen, tarfile.DIRTYPE))
                    continue
                try:
                    with entered(top, place) as folder:
                        pending.append((place, os.fstat(folder)))
                        inner = self._folder(folder, whole, () if place else leave_out)
                        pending += ((_join(place, one), None) for one in inner)
                except FileNotFoundError:
                    continue
                except OSError:
                    self.remarks.add("unreadable", whole)
        finally:
            os.close(top)

    def file(self, path: Path, name: str) -> None:
        """Write the file at *path*, which is ours, as *name*."""
        descriptor = os.open(path, FILE)
        try:
            self._regular(descriptor, os.fstat(descriptor), name)
        finally:
            os.close(descriptor)

    def _folder(self, folder: int, name: str, leave_out: Collection[str]) -> list[str]:
        """Write what the open *folder* holds but for its folders, which are returned."""
        inner = []
        with os.scandir(folder) as found:
            for entry in found:
                whole = _join(name, entry.name)
                if entry.name in leave_out:
                    continue
                if len(os.fsencode(whole)) >= LONGEST_PATH:
                    self.remarks.add("too deep", whole[:200])
                elif entry.is_dir(follow_symlinks=False):
                    inner.append(entry.name)
                else:
                    self._entry(folder, entry, whole)
        return inner

    def _entry(self, folder: int, entry: os.DirEntry[str], name: str) -> None:
        try:
            seen = entry.stat(follow_symlinks=False)
            kind = stat.S_IFMT(seen.st_mode)
            if kind == stat.S_IFLNK:
                info = _info(name, seen, tarfile.SYMTYPE)
                info.linkname = os.readlink(entry.name, dir_fd=folder)
                self.writer.add(info)
            elif kind == stat.S_IFIFO:
                self.writer.add(_info(name, seen, tarfile.FIFOTYPE))
            elif kind != stat.S_IFREG:
                self.remarks.add("a socket or a device", name)
            else:
                descriptor = os.open(entry.name, FILE, dir_fd=folder)
                try:
                    self._regular(descriptor, os.fstat(descriptor), name)
                finally:
                    os.close(descriptor)
        except FileNotFoundError:  # it has gone meanwhile
            return
        except PermissionError:
            self.remarks.add("unreadable", name)

    def _regular(self, descriptor: int, seen: os.stat_result, name: str) -> None:
        if not stat.S_ISREG(seen.st_mode):  # it was, a moment ago
            self.remarks.add("changed meanwhile", name)
            return
        self.files += 1
        self.say(self.files, self.size)
        mark = (seen.st_dev, seen.st_ino)
        if mark in self._linked:
            info = _info(name, seen, tarfile.LNKTYPE)
            info.linkname = self._linked[mark]
            self.writer.add(info)
            return
        if seen.st_nlink > 1:
            self._linked[mark] = name
        info = _info(name, seen, tarfile.REGTYPE)
        info.size = seen.st_size
        segments = _data_of(descriptor, seen)
        whole = [(0, seen.st_size)] if segments is None else segments
        content = self._content(descriptor, whole, name)
        self.writer.add(info, content, segments)

    def _content(self, descriptor: int, segments: Segments, name: str) -> Iterator[bytes]:
        """Yield the data of a file, exactly as long as it was when it was looked at."""
        short = False
        for offset, length in segments:
            at, end = offset, offset + length
            while at < end:
                chunk = b""
                if not short:
                    with contextlib.suppress(OSError):  # a bad disk: the rest is to be saved
                        chunk = os.pread(descriptor, min(CHUNK, end - at), at)
                if not chunk:
                    short = True
                    chunk = b"\0" * min(CHUNK, end - at)
                at += len(chunk)
                self.size += len(chunk)
                yield chunk
                self.say(self.files, self.size)
        if short:
            self.remarks.add("changed meanwhile", name)


@contextlib.contextmanager
def entered(top: int, place: str) -> Iterator[int]:
    """Open the folder *place* below the open folder *top*, through no link; close it at the end."""
    here = os.open(".", FOLDER, dir_fd=top)
    try:
        for part in place.split("/") if place else ():
            inner = os.open(part, FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def _data_of(descriptor: int, seen: os.stat_result) -> Segments | None:
    """Return where a file with holes has data; ``None`` for one that is to be read as a whole."""
    if seen.st_blocks * 512 >= seen.st_size:
        return None
    found: Segments = []
    at = 0
    with contextlib.suppress(OSError):  # ENXIO: there is no more data
        while at < seen.st_size:
            begin = min(os.lseek(descriptor, at, os.SEEK_DATA), seen.st_size)
            at = min(os.lseek(descriptor, begin, os.SEEK_HOLE), seen.st_size)
            found.append((begin, at - begin))
    stored = sum(length for _, length in found)
    return None if stored == seen.st_size or stored >= MOST_SPARSE else found


def _info(name: str, seen: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, stat.S_IMODE(seen.st_mode) & 0o777
    info.uid, info.gid, info.mtime = seen.st_uid, seen.st_gid, max(0, int(seen.st_mtime))
    return info


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
