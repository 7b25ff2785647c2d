"""Owners: under which of the host's users a box runs.

An ordinary user's boxes run as that user: there is nobody else to be. Root's never run as root:
each person has a user id of their own, far above the system's, and builds have another, so that
even without the box's walls one could not touch another's files. Those of volumes with a name,
which several people may share, belong to one more, and are shown to each as their own (`staging`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from atoll.disk import entries
from atoll.settings import Settings

FIRST = 1_700_000_000  # above what adduser, systemd, subuid ranges and directories hand out
BUILDS = FIRST - 1
VOLUMES = FIRST - 2


def build_owner(settings: Settings) -> int | None:  # noqa: ARG001 - one for all, so far
    """Return the host user id that builds run as when we are root, else ``None``."""
    return BUILDS if os.getuid() == 0 else None


def person_owner(settings: Settings, name: str) -> int | None:
    """Return the host user id of the person *name* when we are root, else ``None``.

    The first time, a new one is taken. It is kept as the owner of the person's folder under
    ``volumes/``, so that files and ids are restored together from a backup. The newest id is in the
    lock file, so that none is given twice, even if its person has been forgotten.
    """
    if os.getuid() != 0:
        return None
    folder = settings.data / "volumes"
    folder.mkdir(parents=True, exist_ok=True)
    newest = os.open(folder / ".owners.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(newest, "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mine = folder / folder_name(name)
        if not mine.exists():
            taken = [entry.stat().st_uid for entry in folder.iterdir() if entry.is_dir()]
            new = max([FIRST, *taken, int(lock.read() or 0)]) + 1
            lock.seek(0)
            lock.write(str(new))
            lock.flush()
            mine.mkdir(mode=0o700)
            os.chown(mine, new, -1)
        return mine.stat().st_uid


def forget_person(settings: Settings, name: str) -> None:
    """Remove the folder of a person who is no more, if nothing is in it; nobody gets that id."""
    with contextlib.suppress(OSError):
        (settings.data / "volumes" / folder_name(name)).rmdir()


def folder_name(person: str) -> str:
    """Return *person*'s name as the name of a folder: anything odd is percent-encoded."""
    safe = "abcdefghijklmnopqrstuvwxyz0123456789_-@+"
    return "".join(c if c in safe else "".join(f"%{b:02X}" for b in c.encode()) for c in person)


def give(path: Path, owner: int | None) -> None:
    """Make *owner* own *path* and all below it, following no link; nothing for ``None``."""
    if owner is None:
        return
    os.lchown(path, owner, owner)
    for entry in entries(path):
        os.lchown(entry.path, owner, owner)


def adopt(data: Path) -> None:
    """Give each person's homes in *data* an id of their own, where one user had them all.

    So it is when root takes over what an ordinary user's installation kept.
    """
    for number, folder in enumerate(_folders(data / "volumes"), FIRST + 1):
        os.chown(folder, number, -1)
        for server in _folders(folder):
            for home in _folders(server):
                give(home, number)
    for volume in _folders(data / "named-volumes"):
        give(volume, VOLUMES)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in *folder*, and no link to one."""
    inner = sorted(folder.iterdir()) if folder.is_dir() else []
    return [one for one in inner if one.is_dir() and not one.is_symlink()]
