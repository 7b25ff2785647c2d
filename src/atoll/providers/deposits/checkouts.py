"""Checkouts: work trees of deposits, one of each version, made once and shared by all.

Beside ``tree``, ``checkout.json`` keeps what was learnt while it was made, so that a version that
is here already is asked of nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atoll.disk import entries
from atoll.errors import NotFound, Refused, Unreachable
from atoll.events import Event, Tell
from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import Deposit, DepositFile, shown
from atoll.providers.deposits.downloads import download
from atoll.providers.deposits.heritage import git_tree
from atoll.providers.deposits.room import Room
from atoll.providers.deposits.unpacker import AT_ONCE, unpack_apart
from atoll.providers.deposits.unpacking import is_archive
from atoll.providers.flights import Flights
from atoll.providers.making import in_time, make_once, mark
from atoll.providers.notes import NOTES, read_checkout
from atoll.providers.slots import Slots
from atoll.providers.specfiles import read_files
from atoll.sources import Checkout, RepoRef, ResolvedRef
from atoll.sources.deposits import ARCHIVE

FIRST = datetime(1990, 1, 1, tzinfo=UTC)  # earlier than any notebook; archivers like 1970 and 1980
Fill = Callable[[Path, Room, Tell], Awaitable[Deposit]]


@dataclass(frozen=True, slots=True)
class Checkouts:
    """All work trees below ``folder``. ``most`` is in bytes, ``timeout`` in seconds."""

    folder: Path
    trusted: bool
    most: int
    timeout: float
    slots: Slots
    flights: Flights = field(default_factory=Flights)
    unpacking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def known(self, repo: RepoRef, version: str) -> ResolvedRef | None:
        """Return *version* of *repo* as it was resolved, if it is here."""
        with contextlib.suppress(FileNotFoundError):
            notes = json.loads((self._home(repo, version) / NOTES).read_text("utf-8"))
            date = datetime.fromtimestamp(notes["date"], UTC)
            return ResolvedRef(repo, version, notes["tree"], date)
        return None

    async def get(self, ref: ResolvedRef, fill: Fill, tell: Tell) -> Checkout:
        """Return the work tree of *ref*; *fill* downloads its files where it is not here."""
        home = self._home(ref.repo, ref.version)

        async def make(aside: Path, tell: Tell) -> None:
            async with self.slots.slot(tell), in_time(ref.repo.locator, self.timeout):
                notes = await self._make(ref, aside, fill, tell)
            (aside / NOTES).write_text(json.dumps(notes), "utf-8")

        await make_once(home, make, self.flights, tell)
        return await asyncio.to_thread(read_checkout, ref, home)

    async def take(self, ref: ResolvedRef, packed: Path | None, tell: Tell) -> Checkout:
        """Return the work tree of *ref*; where it is not here, *packed* is moved in, and unpacked.

        Raises `NotFound` where that has been moved away already, or is None.
        """

        async def fill(files: Path, _room: Room, _tell: Tell) -> Deposit:
            if packed is None:
                raise NotFound(f"{ref.repo.locator} was removed here meanwhile.", hint="Try again.")
            await asyncio.to_thread(packed.rename, files / packed.name)
            return Deposit("", ref.version, None, (DepositFile(packed.name, ref.repo.locator),))

        return await self.get(ref, fill, tell)

    def _home(self, repo: RepoRef, version: str) -> Path:
        return self.folder / mark(repo.locator, version, trusted=self.trusted)

    async def _make(self, ref: ResolvedRef, aside: Path, fill: Fill, tell: Tell) -> dict[str, Any]:
        files, tree = aside / "files", aside / "tree"
        files.mkdir()
        deposit = await fill(files, Room(aside, self.most), tell)
        warnings = list(deposit.warnings)
        packed = await asyncio.to_thread(_only_archive, files, deposit)
        if packed is None:
            files.rename(tree)
        else:
            tell(Event("fetch", f"Unpacking {shown(deposit.files[0].path)}"))
            async with self.unpacking:
                warnings += await unpack_apart(packed, tree, self.most)
            packed.unlink()
        if deposit.git_tree and await asyncio.to_thread(git_tree, tree) != deposit.git_tree:
            warnings.append(
                "The files are not exactly those that the identifier names: submodules are not "
                "archived with what contains them, and some contents are withheld."
            )
        date = (
            ref.date if deposit.date or deposit.git_tree else await asyncio.to_thread(_newest, tree)
        )
        return await asyncio.to_thread(_learn, ref, tree, date or ref.date, warnings)


async def fetch_all(
    client: Client, deposit: Deposit, files: Path, room: Room, tell: Tell
) -> list[str]:
    """Download all of *deposit* to the folder *files*; return warnings of what is elsewhere."""
    room.need(sum(file.size or 0 for file in deposit.files))
    warnings = []
    for number, file in enumerate(deposit.files, 1):
        of = f" ({number} of {len(deposit.files)})" if len(deposit.files) > 1 else ""
        tell(Event("fetch", f"Downloading {shown(file.path)}{of}", detail=number > 1))
        try:
            await download(client, file, files / file.path, room, tell)
        except (NotFound, Refused, Unreachable) as error:
            if not file.elsewhere:
                raise
            (files / file.path).unlink(missing_ok=True)
            warnings.append(f"{shown(file.path)} was left out: {error}")
    return warnings


def _only_archive(files: Path, deposit: Deposit) -> Path | None:
    """Return the archive that is all there is in *files*, to be unpacked, as Binder does it."""
    if len(deposit.files) != 1:
        return None
    [one] = deposit.files
    place = files / one.path
    named = re.search(rf"{ARCHIVE}$", one.path, re.IGNORECASE)
    return place if named and place.is_file() and is_archive(place) else None


def _newest(tree: Path) -> datetime | None:
    """Return the date of the newest file in *tree*, None if no author can have meant any."""
    files = (entry for entry in entries(tree) if entry.is_file(follow_symlinks=False))
    found = [entry.stat().st_mtime for entry in files]
    sane = [at for at in found if FIRST.timestamp() <= at <= datetime.now(UTC).timestamp()]
    return datetime.fromtimestamp(max(sane), UTC) if sane else None


def _learn(ref: ResolvedRef, tree: Path, date: datetime, warnings: list[str]) -> dict[str, Any]:
    """Return what is worth knowing of the new work tree, for `read_checkout` and `Checkouts.known`.

    A file in an archive has a date of its own, which is of use if it is one that a person's work
    can have, before it was published.
    """
    last = date + timedelta(days=1)
    changed = {}
    for path in read_files(tree):
        at = datetime.fromtimestamp((tree / path).stat().st_mtime, UTC)
        if FIRST <= at <= last:
            changed[path] = int(at.timestamp())
    seconds = int(date.timestamp())
    return {"warnings": warnings, "changed": changed, "date": seconds, "tree": ref.tree}
