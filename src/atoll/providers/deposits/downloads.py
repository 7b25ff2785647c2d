"""Downloads: a file comes to disk as it is read, within limits, and is what it was said to be."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx2

from atoll.errors import Lacking, Unreachable
from atoll.events import Event, Tell
from atoll.providers.deposits.client import Client, check_status
from atoll.providers.deposits.deposit import DepositFile, shown
from atoll.providers.sizes import BLOCK, too_large
from atoll.sources.locators import host_of

CHUNK = 1024**2  # bytes that are written, and hashed, at once
SPARE = 256 * 1024**2  # bytes of disk that nothing fetched may take
SAID = 1.0  # seconds between two words about how far a file has come
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


@dataclass(slots=True)
class _Written:
    """A file that is being written, with all the digests that are asked for."""

    stream: BinaryIO
    digests: list[hashlib._Hash]
    size: int = 0

    def write(self, part: bytes) -> None:
        self.stream.write(part)
        for digest in self.digests:
            digest.update(part)
        self.size += len(part)


async def download(client: Client, file: DepositFile, target: Path, room: Room, tell: Tell) -> None:
    """Bring *file* to *target*.

    Raises `NotFound`, `Refused`, `Unreachable` (also for one that is not what was said), `TooLarge`
    and `Lacking`.
    """
    room.need(file.size or 0)
    target.parent.mkdir(parents=True, exist_ok=True)
    async with client.open(file.url) as answer:
        check_status(answer)
        await save(answer, file, target, room, tell)


async def save(
    answer: httpx2.Response, file: DepositFile, target: Path, room: Room, tell: Tell
) -> str:
    """Write the body of *answer*, which is *file*'s, to *target*; return its SHA-256.

    Raises as `download` does.
    """
    said = answer.headers.get("content-length", "")
    expected = file.size if file.size is not None else int(said[:18]) if said.isdigit() else None
    room.need(expected or 0)
    algorithm, _, wanted = file.checksum.partition(":")
    digest = hashlib.new(algorithm or "sha256", usedforsecurity=False)
    sha256 = hashlib.sha256()
    with translated_disk(), target.open("xb") as stream:
        written = _Written(stream, [sha256, digest] if algorithm else [sha256])
        told = time.monotonic()
        async for part in answer.aiter_raw(CHUNK):
            room.take(len(part))
            await asyncio.to_thread(written.write, part)
            if time.monotonic() - told > SAID:
                told = time.monotonic()
                tell(Event("fetch", _progress(file, written.size, expected), detail=True))
    room.take(BLOCK)
    if file.size is not None and written.size != file.size:
        raise _not_as_said(file, f"it has {written.size} bytes, not {file.size}")
    if wanted and digest.hexdigest() != wanted:
        raise _not_as_said(file, f"its {algorithm.upper()} is another")
    return sha256.hexdigest()


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


def _progress(file: DepositFile, size: int, expected: int | None) -> str:
    of = f" of {expected / 1e6:.0f}" if expected else ""
    return f"{shown(file.path)}: {size / 1e6:.0f}{of} MB"


def _not_as_said(file: DepositFile, why: str) -> Unreachable:
    return Unreachable(
        f"{shown(file.path)} did not arrive as {host_of(file.url)} promises it: {why}.",
        hint="Try again; if it happens again, tell whoever runs that repository.",
    )
