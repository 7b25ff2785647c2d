"""Downloads: a file comes to disk as it is read, within limits, and is what it was said to be."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2

from atoll.errors import Unreachable
from atoll.events import Event, Tell
from atoll.providers.deposits.client import Client, check_status
from atoll.providers.deposits.deposit import DepositFile, shown
from atoll.providers.deposits.room import Room, translated_disk
from atoll.providers.sizes import BLOCK
from atoll.sources.locators import host_of

CHUNK = 1024**2  # bytes that are written, and hashed, at once
SAID = 1.0  # seconds between two words about how far a file has come


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


def _progress(file: DepositFile, size: int, expected: int | None) -> str:
    of = f" of {expected / 1e6:.0f}" if expected else ""
    return f"{shown(file.path)}: {size / 1e6:.0f}{of} MB"


def _not_as_said(file: DepositFile, why: str) -> Unreachable:
    return Unreachable(
        f"{shown(file.path)} did not arrive as {host_of(file.url)} promises it: {why}.",
        hint="Try again; if it happens again, tell whoever runs that repository.",
    )
