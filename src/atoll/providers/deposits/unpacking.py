"""Unpacking: archives that nobody vouches for become folders, by our own hand, member by member.

The standard library reads zip and tar; where a member lands, what it may be and how much of it is
written is decided here, and the same for both. Into a fresh folder, which only we write to, files
are created and never opened through what was there before, so that no link redirects any of them.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from atoll.errors import AtollError, Refused, TooLarge, Unreachable
from atoll.providers.deposits.deposit import clean_path, shown, warn_of
from atoll.providers.deposits.room import Room, translated_disk
from atoll.providers.sizes import BLOCK

CHUNK = 1024**2  # bytes that are unpacked at once
MOST_MEMBERS = 300_000  # the largest public repositories have half as many files
RATIO = 300  # times an archive's own size; text packs 20 times, simulations' zeros 100 times
FREE = 256 * 1024**2  # bytes that may be unpacked, whatever the ratio
MEMORY = 256 * 1024**2  # bytes that xz may take to unpack; `xz -9` needs 65 MB
LARGEST_HEADER = 1024**2  # bytes of a tar's header that holds a long name
LARGEST_INDEX = 32 * 1024**2  # bytes of a zip's list of files, which comes into memory
ZIPPED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a limit to memory
LATEST = 2**33  # seconds since the epoch: the year 2242; file systems stop not far behind
LONGEST_LINK = 4096  # bytes of a link's target
KEPT = ("binder", ".binder")  # a single folder of these names is no wrapping
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, NotImplementedError,
    UnicodeError, ValueError, OverflowError, RuntimeError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive; ``open`` gives a file's bytes, ``link`` is where a link points."""

    name: str
    kind: str  # "file", "folder", "link", "hard link", or "" for what is none of these
    mode: int = 0o644
    modified: float = 0.0
    link: str = ""
    open: Callable[[], IO[bytes]] | None = None


@dataclass(slots=True)
class _Unpacker:
    """Writes members below ``target``, and remembers what is where."""

    target: Path
    room: Room
    packed: int
    kinds: dict[str, str] = field(default_factory=lambda: {"": "folder"})
    written: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """Write *member*, or note why it was left out."""
        path = clean_path(member.name)
        if path is None:
            if member.kind != "folder":
                self.leave(member.name, "their names cannot be used here")
            return
        if path.split("/", 1)[0] == "__MACOSX":  # what a Mac's Finder adds for itself
            return
        if member.kind == "":
            self.leave(path, "they are neither files, folders nor links")
        elif not self.make_folder(path if member.kind == "folder" else os.path.dirname(path)):  # noqa: PTH120
            self.leave(path, "the archive contradicts itself about them")
        elif member.kind != "folder":
            self.write(path, member)

    def leave(self, name: str, why: str) -> None:
        """Note that *name* was left out."""
        self.left_out.setdefault(why, []).append(name)

    def make_folder(self, path: str) -> bool:
        """Make the folder *path*; return whether it is one, and not a file or a link."""
        if path in self.kinds:
            return self.kinds[path] == "folder"
        if not self.make_folder(os.path.dirname(path)):  # noqa: PTH120 - only text
            return False
        self.take(BLOCK)
        (self.target / path).mkdir(mode=0o755)
        self.kinds[path] = "folder"
        return True

    def write(self, path: str, member: Member) -> None:
        """Put the file or link *member* at *path*; of several, the last counts, as in tar."""
        place = self.target / path
        if self.kinds.get(path) == "folder":
            self.leave(path, "the archive contradicts itself about them")
            return
        if path in self.kinds:
            place.unlink()
            del self.kinds[path]
        self.take(BLOCK)
        if member.kind == "link":
            if not member.link or "\0" in member.link or member.link.startswith("/"):
                self.leave(path, "they are links that lead out of the archive")
                return
            place.symlink_to(member.link)
        elif member.kind == "hard link":
            source = clean_path(member.link)
            if source is None or self.kinds.get(source) != "file" or source == path:
                self.leave(path, "they are links to what is not in the archive")
                return
            place.hardlink_to(self.target / source)
        else:
            self.copy(place, member)
        self.kinds[path] = "link" if member.kind == "link" else "file"

    def copy(self, place: Path, member: Member) -> None:
        """Write the bytes of *member* to the new file *place*."""
        mode = 0o755 if member.mode & 0o100 else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        assert member.open  # noqa: S101 - it is a file
        with member.open() as source, os.fdopen(os.open(place, flags, mode), "wb") as stream:
            while part := source.read(CHUNK):
                self.take(len(part))
                self.written += len(part)
                if self.written > max(FREE, RATIO * self.packed):
                    raise TooLarge(
                        f"The archive unpacks to more than {RATIO} times its own size.",
                        hint="Archives that do are made to fill disks.",
                    )
                stream.write(part)
            os.fchmod(stream.fileno(), mode)  # whatever our umask is
            stream.flush()  # or its date would be that of the last bytes
            if 0 < member.modified < LATEST:
                os.utime(stream.fileno(), (member.modified, member.modified))

    def take(self, size: int) -> None:
        """Account for *size* bytes more."""
        self.room.take(size)

    def check_links(self) -> None:
        """Remove the links that lead out of the folder, wherever others lead meanwhile."""
        root = os.path.realpath(self.target)
        for path in [path for path, kind in self.kinds.items() if kind == "link"]:
            place = self.target / path
            real = os.path.realpath(place)
            if os.path.commonpath([root, real]) != root:
                place.unlink()
                self.leave(path, "they are links that lead out of the archive")

    def unwrap(self) -> None:
        """Where all is in one folder, as in the archives that forges make, take what is in it."""
        tops = [path for path in self.kinds if path and "/" not in path]
        if len(tops) != 1 or self.kinds[tops[0]] != "folder" or tops[0] in KEPT:
            return
        aside = self.target.with_name(f"{self.target.name}.wrapped")
        self.target.rename(aside)
        (aside / tops[0]).rename(self.target)
        aside.rmdir()
        self.kinds = {path.partition("/")[2]: kind for path, kind in self.kinds.items() if path}


def unpack(archive: Path, target: Path, room: Room) -> list[str]:
    """Unpack *archive* to the new folder *target*; return what the person should know of it.

    It may be a zip or a tar, plain or by gzip, bzip2 or xz: its first bytes tell. What can be no
    file here, and links that lead out, are left out. Raises `Refused` for one that means harm or
    has a password, `TooLarge`, `Lacking`, and `Unreachable` for one that is broken or none.
    """
    target.mkdir(mode=0o755)
    packed = archive.stat().st_size
    unpacker = _Unpacker(target, room, packed)
    try:
        with translated_disk(), archive.open("rb") as stream:
            for number, member in enumerate(_members(stream)):
                if number >= MOST_MEMBERS:
                    raise TooLarge(f"The archive holds more than {MOST_MEMBERS} files.")
                unpacker.add(member)
    except AtollError:
        raise
    except OSError as error:
        raise Unreachable(f"The archive cannot be unpacked: {error.strerror or error}.") from error
    except BROKEN as error:
        raise Unreachable(
            f"The archive is broken, or of a kind that is not unpacked here: {shown(error)}."
        ) from error
    unpacker.unwrap()
    unpacker.check_links()
    return [
        line for why, names in unpacker.left_out.items() for line in warn_of(sorted(names), why)
    ]


def is_archive(file: Path) -> bool:
    """Say whether *file* begins as an archive does that `unpack` takes."""
    with file.open("rb") as stream:
        return bool(_kind(stream.read(512)))


def _kind(head: bytes) -> str:
    marks = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gz", b"BZh": "bz2"}
    for mark, kind in (marks | {b"\xfd7zXZ\x00": "xz"}).items():
        if head.startswith(mark):
            return kind
    return "tar" if head[257:262] == b"ustar" else ""


def _members(stream: IO[bytes]) -> Iterator[Member]:
    kind = _kind(stream.read(512))
    stream.seek(0)
    if not kind:
        raise Unreachable(
            "This is not an archive, whatever its name says.",
            hint="There are .zip, .tar, .tar.gz, .tar.bz2 and .tar.xz.",
        )
    if kind == "zip":
        yield from _zipped(stream)
    else:
        plain: dict[str, Callable[[IO[bytes]], Any]] = {
            "gz": lambda packed: gzip.GzipFile(fileobj=packed),
            "bz2": bz2.BZ2File,
            "xz": _Xz,
            "tar": lambda packed: packed,
        }
        yield from _tarred(plain[kind](stream))


class _Xz:
    """The unpacked bytes of an xz file; `lzma.open` would take whatever memory it asks for."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)

    def read(self, size: int) -> bytes:
        """Return *size* bytes, or what is left."""
        parts = []
        while size and (part := self._some(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        while True:
            packed = b""
            if self.xz.eof:  # there may be another stream behind it
                packed = self.xz.unused_data.lstrip(b"\0") or self.stream.read(65536).lstrip(b"\0")
                if not packed:
                    return b""
                self.xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
            elif self.xz.needs_input and not (packed := self.stream.read(65536)):
                raise EOFError("it ends too early")
            if part := self.xz.decompress(packed, most):
                return part


class _TarInfo(tarfile.TarInfo):
    """A header of a tar; those that hold long names are read into memory, whatever their size."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        kinds = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
        long = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
        if self.type in kinds | long and self.size > LARGEST_HEADER:
            raise Refused("The archive has a header that is too large to be one.")
        return super()._proc_member(tar)  # type: ignore[misc, no-any-return]


def _tarred(stream: IO[bytes]) -> Iterator[Member]:
    kinds = {
        tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file",
        tarfile.GNUTYPE_SPARSE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link",
        tarfile.LNKTYPE: "hard link",
    }  # fmt: skip
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarInfo, errorlevel=2) as tar:
        for one in tar:

            def source(one: tarfile.TarInfo = one) -> IO[bytes]:
                found = tar.extractfile(one)
                assert found  # noqa: S101 - it is a file
                return found

            kind = kinds.get(one.type, "")
            yield Member(one.name, kind, one.mode, one.mtime, one.linkname, source)
            tar.members.clear()  # type: ignore[attr-defined] # else all headers stay in memory


def _zipped(stream: IO[bytes]) -> Iterator[Member]:
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # noqa: SLF001 - before it is read
    if end and end[zipfile._ECD_SIZE] > LARGEST_INDEX:  # type: ignore[attr-defined]  # noqa: SLF001
        raise TooLarge("The archive holds more files than are unpacked here.")
    with zipfile.ZipFile(stream) as archive:
        infos = archive.infolist()
        if any(info.compress_type not in ZIPPED for info in infos):
            raise Unreachable("The archive is packed in a way that is unusual for a zip.")
        if any(info.flag_bits & 1 for info in infos):
            raise Refused("The archive is locked with a password.")
        for info in infos:
            mode = info.external_attr >> 16 if info.create_system == 3 else 0  # noqa: PLR2004 - Unix
            name = _zip_name(info)
            kind, link = "file", ""
            if name.endswith("/") or stat.S_ISDIR(mode):
                kind = "folder"
            elif stat.S_ISLNK(mode):
                kind = "link"
                with archive.open(info) as source:
                    link = os.fsdecode(source.read(LONGEST_LINK))
            elif stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                kind = ""
            yield Member(
                name,
                kind,
                mode,
                _zip_date(info),
                link,
                lambda info=info: archive.open(info),  # type: ignore[misc]
            )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name as whoever packed it meant it.

    Without its flag a name is of code page 437, says the format; most that are not ASCII are
    UTF-8 all the same. Some programs for Windows write its slashes.
    """
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/") if info.create_system == 0 else name


def _zip_date(info: zipfile.ZipInfo) -> float:
    try:
        return datetime(*info.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
