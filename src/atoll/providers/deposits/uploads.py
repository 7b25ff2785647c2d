"""Uploads: files that people send here, kept under their digest as the repositories they are.

What is uploaded is unpacked at once, so that whoever sends it hears what is wrong with it. Its
address, ``upload:SHA256/NAME``, is known to nobody but its sender and whom they tell.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from atoll.disk import remove
from atoll.errors import BadReference, NotFound
from atoll.events import Tell
from atoll.names import new_id
from atoll.providers.deposits.checkouts import Checkouts
from atoll.providers.deposits.room import Room, translated_disk
from atoll.providers.deposits.unpacking import is_archive
from atoll.sources import Checkout, RepoRef, ResolvedRef, ignore
from atoll.sources.deposits import ARCHIVE, PROVIDER, UPLOADED, place_of

NOTEBOOK = re.compile(r"\.ipynb", re.IGNORECASE)
LONGEST_NAME = 100  # characters
KINDS = "Send an archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz) or a notebook (.ipynb)."


@dataclass(frozen=True, slots=True)
class Uploads:
    """Receives files, below ``folder`` while they come; their trees are among *checkouts*."""

    folder: Path
    checkouts: Checkouts

    async def receive(self, name: str, parts: AsyncIterator[bytes]) -> RepoRef:
        """Keep what comes as *parts*, a file called *name*; return what it is launched by.

        Raises `BadReference` for what is neither an archive nor a notebook, `Refused` for an
        archive that means harm, `TooLarge`, and `Lacking` where the disk is full.
        """
        name = clean_name(name)
        home = self.folder / new_id()  # its lifetime is this call's, but for a kill
        home.mkdir(parents=True)
        try:
            packed = home / name
            digest = await _write(packed, parts, Room(home, self.checkouts.most))
            await asyncio.to_thread(_check, packed)
            repo = RepoRef(PROVIDER, f"{UPLOADED}:{digest}/{name}")
            ref = ResolvedRef(repo, digest, digest, datetime.now(UTC))
            await self.checkouts.take(ref, packed, ignore)
        finally:
            await asyncio.to_thread(remove, home)
        return repo

    def resolve(self, repo: RepoRef) -> ResolvedRef:
        """Return the upload *repo*; raises `NotFound` where it was never made, or is gone."""
        digest = place_of(repo.locator).id.partition("/")[0]
        known = self.checkouts.known(repo, digest)
        if known is None or repo.version not in {"HEAD", digest}:
            raise NotFound(
                "There is no such upload here, or not any more.", hint="Upload the file again."
            )
        return known

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Return the work tree of *ref*; raises `NotFound` as `resolve` does."""
        return await self.checkouts.take(self.resolve(ref.repo), None, tell)


def clean_name(name: str) -> str:
    """Return *name* as it can stand in a reference; raises `BadReference` for another kind's."""
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", name.rpartition("/")[2])
    if not (ending := re.search(rf"(?:{ARCHIVE}|{NOTEBOOK.pattern})$", kept, re.IGNORECASE)):
        raise BadReference("This is neither an archive nor a notebook, by its name.", hint=KINDS)
    stem = kept[: ending.start()].strip(".-") or UPLOADED
    return stem[: LONGEST_NAME - len(ending[0])] + ending[0].lower()


async def _write(packed: Path, parts: AsyncIterator[bytes], room: Room) -> str:
    """Write *parts* to *packed*, and return their SHA-256."""
    digest = hashlib.sha256()
    with translated_disk(), packed.open("xb") as stream:
        async for part in parts:
            room.take(len(part))
            digest.update(part)
            await asyncio.to_thread(stream.write, part)
    return digest.hexdigest()


def _check(packed: Path) -> None:
    """Raise `BadReference` where *packed* is not what its name says."""
    if not NOTEBOOK.fullmatch(packed.suffix):
        if not is_archive(packed):
            raise BadReference("This is not an archive, whatever its name says.", hint=KINDS)
        return
    try:
        notebook = json.loads(packed.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadReference("This is not a notebook: it is no JSON.", hint=KINDS) from error
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise BadReference("This is not a notebook: it has no “nbformat”.", hint=KINDS)
