"""Archive: one file that holds a backup, and that tells whether all of it is there.

A tar archive in the PAX format, compressed by gzip where its name ends so; GNU tar reads it, too.
The first member says what it is. The last one counts those in between, and has their SHA-256: an
archive without it was cut off.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from atoll.errors import BadRequest, NotFound, Refused

FIRST, LAST = "atoll-backup.json", "atoll-backup-end.json"
FORMAT = 1
PACKED, PLAIN = (".tar.gz", ".tgz"), (".tar",)
QUICK = 1  # gzip's level: the sixth takes twice the time for 8% less
BLOCK, CHUNK = 512, 1024**2
LARGEST_NOTE = 64 * 1024**2  # bytes of the first member: it lists all servers
MAGIC = b"\x1f\x8b"
Segments = list[tuple[int, int]]  # where a file with holes has data: offset and length


@dataclass(slots=True)
class Seal:
    """Counts what an archive holds, in the same way when it is written and when it is read."""

    members: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def member(self, info: tarfile.TarInfo, segments: Segments) -> None:
        """Take in all that is known of a member."""
        self.members += 1
        known = (
            *(info.name, info.type, info.mode, info.uid, info.gid),
            *(int(info.mtime), info.linkname, [*map(tuple, segments)]),
        )
        self.digest.update(repr(known).encode("utf-8", "surrogateescape"))

    def told(self) -> dict[str, Any]:
        """Return what the last member says."""
        return {"members": self.members, "sha256": self.digest.hexdigest()}


@dataclass(slots=True)
class Writer:
    """Writes members one after the other; `tarfile` would remember every one of them."""

    out: IO[bytes]
    seal: Seal = field(default_factory=Seal)

    def add(
        self, info: tarfile.TarInfo, content: Iterable[bytes] = (), segments: Segments | None = None
    ) -> None:
        """Write a member; *content* has ``info.size`` bytes.

        With *segments*, it is the data of a file with holes, which is ``info.size`` bytes long.
        """
        plain = [(0, info.size)] if info.isreg() else []
        self.seal.member(info, plain if segments is None else segments)
        body = b"" if segments is None else _make_sparse(info, segments)
        self.out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + body)
        for chunk in content:
            self.seal.digest.update(chunk)
            self.out.write(chunk)
        self.out.write(b"\0" * (-info.size % BLOCK))

    def note(self, name: str, told: Mapping[str, Any]) -> None:
        """Write *told* as the member *name*, which is not counted."""
        text = json.dumps(told, indent=1).encode()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(text), 0o600
        self.out.write(info.tobuf(tarfile.PAX_FORMAT) + text + b"\0" * (-len(text) % BLOCK))


def _make_sparse(info: tarfile.TarInfo, segments: Segments) -> bytes:
    """Make *info* a file with holes, as GNU tar's format 1.0 has it; return the map of its data."""
    numbers = [len(segments), *(number for segment in segments for number in segment)]
    table = "".join(f"{number}\n" for number in numbers).encode()
    table += b"\0" * (-len(table) % BLOCK)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": info.name,
        "GNU.sparse.realsize": str(info.size),
    }
    info.size = len(table) + sum(length for _, length in segments)
    return table


def check_name(file: Path) -> None:
    """Raise `BadRequest` where *file*'s name does not say what it is to be."""
    if not file.name.endswith(PACKED + PLAIN):
        raise BadRequest(
            f"“{file.name}” does not say what kind of file it is to be.",
            hint="End it with .tar.gz, or with .tar for an archive that is not compressed; or name "
            "a folder that is there.",
        )


@contextlib.contextmanager
def writing(file: Path, first: Mapping[str, Any], name: str) -> Iterator[Writer]:
    """Lend what writes a backup to *file*, which will be called *name*; its last words are ours."""
    with contextlib.ExitStack() as stack:
        out: Any = stack.enter_context(file.open("xb"))
        if name.endswith(PACKED):
            out = stack.enter_context(gzip.GzipFile("", "wb", QUICK, out))
        writer = Writer(out)
        writer.note(FIRST, {"format": FORMAT, **first})
        yield writer
        writer.note(LAST, writer.seal.told())
        out.write(b"\0" * 2 * BLOCK)


@dataclass(slots=True)
class Reader:
    """What a backup holds: ``first`` says what it is, `members` are read once, in their order."""

    file: Path
    first: dict[str, Any]
    tar: tarfile.TarFile

    def members(self) -> Iterator[tuple[tarfile.TarInfo, Segments, Iterator[bytes]]]:
        """Yield each member, where it has data, and that data, which must be read at once.

        Raises `Refused` at the end unless everything was there that has been written.
        """
        seal = Seal()
        with _understood(self.file):
            while info := self._next():
                if info.name == LAST:
                    self._check(seal, _note(self.tar, info))
                    return
                segments = _segments(info)
                seal.member(info, segments)
                yield info, segments, self._content(segments, seal)
            raise _damaged(self.file)

    def _next(self) -> tarfile.TarInfo | None:
        info = self.tar.next()
        self.tar.members.clear()  # type: ignore[attr-defined] # there may be millions
        return info

    def _content(self, segments: Segments, seal: Seal) -> Iterator[bytes]:
        stream: Any = self.tar.fileobj  # which stands where the data begin
        for _, length in segments:
            left = length
            while left:
                with _understood(self.file):
                    chunk = stream.read(min(left, CHUNK))
                if not chunk:
                    raise _damaged(self.file)
                seal.digest.update(chunk)
                left -= len(chunk)
                yield chunk

    def _check(self, seal: Seal, last: Mapping[str, Any]) -> None:
        if last != seal.told():
            raise _damaged(self.file)
        stream: Any = self.tar.fileobj
        while stream.read(CHUNK):  # gzip checks its own sum at the very end
            pass


@contextlib.contextmanager
def reading(file: Path) -> Iterator[Reader]:
    """Lend what reads the backup *file*. Raises `NotFound`, and `Refused` for what is none."""
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(file.open("rb"))
        except OSError as error:
            raise NotFound(f"{file} cannot be read: {error.strerror}.") from error
        packed = raw.read(len(MAGIC)) == MAGIC
        raw.seek(0)
        source: Any = stack.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw
        with _understood(file, none=True):
            tar = stack.enter_context(
                tarfile.open(
                    fileobj=source,
                    mode="r|",
                    encoding="utf-8",
                    errors="surrogateescape",
                )
            )
            info = tar.next()
            first = _note(tar, info) if info and info.name == FIRST else {}
        if not isinstance(first.get("format"), int):
            raise _none(file)
        if first["format"] > FORMAT:
            raise Refused(
                f"{file} was made by a newer Atoll, {first.get('atoll', 'of another version')}.",
                hint="Restore it with that version.",
            )
        yield Reader(file, first, tar)


def _note(tar: tarfile.TarFile, info: tarfile.TarInfo) -> dict[str, Any]:
    source = tar.extractfile(info) if info.isreg() and info.size <= LARGEST_NOTE else None
    told = json.loads(source.read()) if source else {}
    return told if isinstance(told, dict) else {}


def _segments(info: tarfile.TarInfo) -> Segments:
    if not info.isreg():
        return []
    found: Segments | None = getattr(info, "sparse", None)
    return [(0, info.size)] if found is None else found


@contextlib.contextmanager
def _understood(file: Path, *, none: bool = False) -> Iterator[None]:
    """Turn what goes wrong while *file* is read into ours; *none*: it may be anything."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise (_none(file) if none else _damaged(file)) from error


def _none(file: Path) -> Refused:
    return Refused(f"{file} is not a backup of Atoll's.", hint="`atoll backup` makes one.")


def _damaged(file: Path) -> Refused:
    return Refused(
        f"{file} was cut off or damaged: not all of it is there.",
        hint="Take an earlier backup. Nothing of this one was kept.",
    )
