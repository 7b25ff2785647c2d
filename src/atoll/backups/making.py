"""Making a backup: databases, people's files, secrets and settings, published whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url

from atoll import __version__
from atoll.app import this_platform
from atoll.backups import (
    LEANED_ON,
    MADE_AGAIN,
    MAKING,
    OPERATORS,
    SETTINGS,
    Kept,
    Manifest,
    databases,
    translated_disk,
    work_room,
)
from atoll.backups.archive import check_name, writing
from atoll.backups.packing import Packer, Remarks, Say
from atoll.errors import BadRequest, NotFound, Refused
from atoll.providers.making import mark
from atoll.servers import ServerPlan
from atoll.settings import Settings
from atoll.sources.deposits import UPLOADED
from atoll.stores.sql.database import Database
from atoll.stores.sql.plans import SqlPlans
from atoll.stores.sql.urls import database_url

BESIDE = ("", "-wal", "-shm", "-journal", ".lock")  # what belongs to a SQLite file


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: ``size`` is of the file, ``bytes`` of what is in it."""

    file: Path
    size: int
    files: int
    bytes: int
    environments: bool
    servers: tuple[Kept, ...]
    remarks: Remarks


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go in: the file that *settings* were read from, and environments or not."""

    settings: Settings
    file: Path | None = None
    environments: bool = False

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.settings.data.absolute()


def back_up(wish: Wish, target: Path, say: Say) -> Backup:
    """Write a backup to *target*, a file that is not there yet, or a folder.

    Raises `NotFound` where there is nothing to back up, `BadRequest` or `Refused` for a *target*
    that cannot be, `Lacking` where the disk is full.
    """
    if not wish.data.is_dir():
        raise NotFound(f"There is no data folder {wish.data}.", hint="$ATOLL_DATA names another.")
    file = _file(target.absolute(), wish.data)
    with translated_disk(file.parent), work_room(file.parent, MAKING) as room:
        # The databases come first: whatever they speak of has its files by then, and a file that
        # comes later does no harm. The other way round, a new server would come back without any.
        copies = databases.copy(wish.settings, room)
        plans = _plans(wish.settings, copies)
        manifest = _manifest(wish, plans)
        aside = room / "archive"
        with writing(aside, manifest.told(), file.name) as writer:
            packer = Packer(writer, say)
            for name, copy in copies.items():
                packer.file(copy, name)
            _pack_data(packer, wish, plans)
        size = aside.stat().st_size
        _publish(aside, file)
    told = (size, packer.files, packer.size, wish.environments, manifest.servers, packer.remarks)
    return Backup(file, *told)


def _file(target: Path, data: Path) -> Path:
    """Return the file to write for *target*, or raise for one that must not be."""
    if target.is_dir():
        file = target / f"atoll-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.tar.gz"
    else:
        check_name(target)
        file = target
    if not file.parent.is_dir():
        raise NotFound(f"There is no folder {file.parent}.", hint="Make it first.")
    if file.parent.resolve().is_relative_to(data.resolve()):
        raise BadRequest(
            "A backup in the data folder would be lost with it.", hint="Name a folder elsewhere."
        )
    if os.path.lexists(file):
        raise Refused(f"{file} is there already.", hint="Choose another name, or name a folder.")
    return file


def _plans(settings: Settings, copies: dict[str, Path]) -> list[ServerPlan]:
    """Return the plans of all kept servers, from the copy where there is one to be asked."""
    copy = copies.get(f"data/{databases.OURS}")
    url = make_url(f"sqlite+aiosqlite:///{copy}") if copy else database_url(settings)
    if not copies:
        return []

    async def ask() -> list[ServerPlan]:
        database = Database(url)
        try:
            return await SqlPlans(database).kept()
        finally:
            await database.close()

    return asyncio.run(ask())


def _manifest(wish: Wish, plans: Sequence[ServerPlan]) -> Manifest:
    return Manifest(
        atoll=__version__,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        data=str(wish.data),
        owners=os.getuid() == 0,
        database=databases.kind(wish.settings),
        platform=this_platform(),
        environments=wish.environments,
        servers=tuple(Kept.of(plan) for plan in plans),
    )


def _pack_data(packer: Packer, wish: Wish, plans: Sequence[ServerPlan]) -> None:
    """Write what is to be of the data folder, and the operator's own files, wherever they are."""
    leave_out = {f"{name}{end}" for name in (databases.OURS, databases.HUBS) for end in BESIDE}
    config = wish.settings.hub.config
    for name, file in ((SETTINGS, wish.file), (OPERATORS, Path(config) if config else None)):
        if file and file.is_file() and file.absolute() != wish.data / name:
            packer.file(file.resolve(), f"data/{name}")
            leave_out.add(name)
    leave_out |= MADE_AGAIN
    for link in (one for one in wish.data.iterdir() if one.is_symlink()):
        if link.name not in leave_out:  # the operator has put it elsewhere
            leave_out.add(link.name)
            _pack_linked(packer, link)
    for path in _also(wish, plans):
        with contextlib.suppress(FileNotFoundError):
            packer.pack((wish.data / path).resolve(), f"data/{path}")
    packer.pack(wish.data, "data", leave_out)


def _pack_linked(packer: Packer, link: Path) -> None:
    """Write what *link*, at the top of the data folder, leads to."""
    name = f"data/{link.name}"
    if link.is_dir():
        packer.pack(link.resolve(), name)
    elif link.is_file():
        packer.file(link.resolve(), name)
    else:
        packer.remarks.add("a link to nowhere", name)


def _also(wish: Wish, plans: Sequence[ServerPlan]) -> list[str]:
    """Return what goes in of those folders that are else made again, below the data folder."""
    refs = [ref for plan in plans for ref in (plan.ref, plan.environment_ref) if ref]
    uploads = {
        f"checkouts/{mark(ref.repo.locator, ref.version, trusted=trusted)}"
        for ref in refs
        if ref.repo.locator.startswith(UPLOADED)
        for trusted in (True, False)
    }
    environments = {f"environments/{Path(plan.environment.handle).name}" for plan in plans}
    return sorted(uploads | ({*environments, *LEANED_ON} if wish.environments else set()))


def _publish(aside: Path, file: Path) -> None:
    """Have what was written *aside* appear as *file*, once it is on the disk."""
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    if os.path.lexists(file):
        raise Refused(f"{file} was made by somebody meanwhile.", hint="Choose another name.")
    aside.chmod(0o600)
    aside.rename(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
