"""Backups: all of an installation that cannot be made again, in one file, and back.

`making` writes one and `restoring` brings it back; this is what both must know. What goes in is the
data folder but for what is known to be made again: so what is new is backed up before anybody
thinks of it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atoll.disk import locked, remove
from atoll.errors import Lacking
from atoll.names import new_id
from atoll.providers.addresses import local_path
from atoll.servers import ServerPlan

# What is made or fetched again when somebody needs it, or is this machine's alone.
MADE_AGAIN = {
    *("environments", "kernels", "layers", "cache", "pythons"),
    *("mirrors", "checkouts", "archives", "uploads"),
    *("servers", "trials", "logs", "atoll.lock"),
}
LEANED_ON = ("kernels", "layers/apt", "pythons")  # by environments, where those go in
SETTINGS, OPERATORS = "atoll.toml", "jupyterhub_config.py"  # in an archive's data folder
MAKING, RESTORING = ".atoll-backup-", ".atoll-restore-"  # how the names of work rooms begin
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Kept:
    """A server that a backup holds.

    ``only_here`` is the folder that its repository is, on the machine that was backed up, or "".
    """

    person: str
    name: str
    reference: str
    version: str
    environment: str
    only_here: str = ""

    @classmethod
    def of(cls, plan: ServerPlan) -> Kept:
        """Say what is known of *plan*'s server."""
        refs = [ref for ref in (plan.ref, plan.environment_ref) if ref]
        places = (local_path(ref.repo.locator) for ref in refs)
        return cls(
            person=plan.owner.name,
            name=plan.name,
            reference=plan.reference,
            version=plan.ref.version,
            environment=plan.environment.key,
            only_here=next(filter(None, places), ""),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself before anything else.

    ``data`` is the data folder that was backed up; ``owners`` says that its files belonged to
    persons' user ids (root made it); ``database`` is one of the kinds in `databases`.
    """

    atoll: str
    made: str
    data: str
    owners: bool
    database: str
    platform: str
    environments: bool
    servers: tuple[Kept, ...]

    def told(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def read(cls, told: dict[str, Any]) -> Manifest:
        """Return what `told` made; raises `TypeError` or `KeyError` for anything else."""
        known = {name: told[name] for name in cls.__slots__}
        return cls(**{**known, "servers": tuple(Kept(**one) for one in told["servers"])})


@contextlib.contextmanager
def work_room(folder: Path, prefix: str) -> Iterator[Path]:
    """Lend a hidden folder in *folder* that nobody else enters, and remove it at the end.

    What somebody left there who was killed is removed first.
    """
    for left in folder.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), locked(left / LOCK, alone=True, wait=False):
            remove(left)
    room = folder / f"{prefix}{new_id()}"
    room.mkdir(mode=0o700)
    with locked(room / LOCK, alone=True):
        try:
            yield room
        finally:
            remove(room)


@contextlib.contextmanager
def translated_disk(folder: Path) -> Iterator[None]:
    """Say in our words that the disk of *folder* is full, or cannot be written to."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            message = f"There is not enough room on the disk of {folder}. Nothing is left there."
            raise Lacking(message, hint="Make room, or name a folder on another disk.") from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            what = error.filename or folder
            raise Lacking(f"{what} cannot be written: {error.strerror}.") from error
        raise
