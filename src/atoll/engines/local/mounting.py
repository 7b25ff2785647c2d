"""Mounting: where a box sees the volumes of its server's plan, and as whose files.

Root's boxes run as a user for each person (`owners`), who could not read one another's files. So
all files of volumes belong to one more user, and each box sees them through a mount that shows them
as its own person's (`staging`).
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from atoll.engines.local.owners import VOLUMES
from atoll.engines.local.sandbox import HOME, Bind
from atoll.servers import ServerPlan
from atoll.settings import Settings
from atoll.volumes import Mount

ID = re.compile(r"[0-9a-f]{24}")
CLOSED = 0o555  # permissions of a mount point, into which nothing is to be saved by mistake
PLACE = "named-volumes"  # the folder of the data folder that has them all
HUB = "hub:"  # how the ids of the operator's volumes begin


@dataclass(slots=True)
class Mounted:
    """What mounts volumes in a box; their ids; and sentences about those that cannot be."""

    binds: list[Bind] = field(default_factory=list)
    ids: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def binds(
    settings: Settings, plan: ServerPlan, home: Path, person: int | None, taken: Iterable[Bind]
) -> Mounted:
    """Return what mounts *plan*'s volumes in a box, as far as that can be.

    A mount point in *home* is made there, where hostile code may have left anything; *person* is
    who owns it, if we are root. Those that are absolute must not cover what is *taken*.
    """
    covered = [bind.target for bind in taken]
    found = Mounted()
    for mount in plan.mounts:
        try:
            found.binds.append(_bind(settings, mount, home, person, covered))
            found.ids += (mount.volume,)
        except NotMounted as why:
            what = f"The volume “{mount.name}” (at {mount.point})"
            found.notes.append(f"{what} is not mounted: {why}.")
    return found


class NotMounted(Exception):
    """A volume cannot be mounted there; the message says why, as the end of a sentence."""


def _bind(
    settings: Settings, mount: Mount, home: Path, person: int | None, covered: Iterable[str]
) -> Bind:
    source = folder(settings, mount.volume)
    if not source.is_dir():
        raise NotMounted("its files are not there")
    target = _target(mount, home, person, covered)
    theirs = None if mount.volume.startswith(HUB) else owner()
    return Bind(source, target, writable=mount.writable, theirs=theirs)


def _target(mount: Mount, home: Path, person: int | None, covered: Iterable[str]) -> str:
    if mount.point.startswith("/"):
        if any(Path(one).is_relative_to(mount.point) for one in covered):
            raise NotMounted("Atoll itself is there")
        return mount.point
    make_point(home, mount.point, person)
    return f"{HOME}/{mount.point}"


def make_point(home: Path, point: str, person: int | None) -> None:
    """Make the folder *point* in *home* for a mount, or raise `NotMounted`.

    No link is followed: what is in a home is whatever its person's code has left there. The folder
    cannot be written to: whoever finds no volume there must not save into what the next one hides.
    """
    at = _open(os.fspath(home))
    try:
        for part in point.split("/"):
            inner = _enter(at, part, person)
            os.close(at)
            at = inner
        with os.scandir(at) as inside:
            empty = next(inside, None) is None
        if empty:
            os.fchmod(at, CLOSED)
    except OSError as error:
        raise NotMounted(_why(error)) from error
    finally:
        os.close(at)
    if not empty:
        raise NotMounted("files of this server's own are in that folder; move them elsewhere")


def _enter(parent: int, name: str, person: int | None) -> int:
    """Open the folder *name* of the open folder *parent*, which is made if it is not there."""
    try:
        return _open(name, parent)
    except FileNotFoundError:
        if stat.S_IMODE(os.fstat(parent).st_mode) == CLOSED:  # it was a mount point itself
            os.fchmod(parent, 0o755)
        os.mkdir(name, 0o755, dir_fd=parent)
        made = _open(name, parent)
        if person is not None:
            os.fchown(made, person, person)
        return made


def _open(name: str, parent: int | None = None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=parent)


def _why(error: OSError) -> str:
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return "a link or a file of this server's own is in the way; move it elsewhere"
    return f"its folder could not be made ({os.strerror(error.errno or 0)})"


def owner() -> int | None:
    """Return the host's user to whom volumes' files belong when we are root, else ``None``."""
    return VOLUMES if os.getuid() == 0 else None


def folder(settings: Settings, volume_id: str) -> Path:
    """Return where the files of a volume are."""
    if volume_id.startswith(HUB):
        return Path(settings.volumes.folders[volume_id.removeprefix(HUB)].folder)
    if not ID.fullmatch(volume_id):
        message = f"“{volume_id}” is not the id of a volume."
        raise ValueError(message)
    return settings.data / PLACE / volume_id
