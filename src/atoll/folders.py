"""Folders: where an installation keeps its data and its sockets, out of everybody else's reach."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from atoll.errors import Refused
from atoll.settings import Settings


def data_folder(settings: Settings) -> Path:
    """Make the data folder if need be, and see to it that nobody else gets into it; return it.

    It may have been made by hand, or by a command with everybody's permissions; and in it are
    databases, private files and locks that other people of this machine must not even open.
    Raises `Refused` where we are kept out of it.
    """
    folder = settings.data.absolute()
    check_ours(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        raise _not_ours(folder) from error
    if folder.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):  # somebody else's, who has let us in
            folder.chmod(0o700)
    return folder


def check_ours(settings: Settings) -> None:
    """Raise `Refused` where there is a data folder that the operating system keeps us out of."""
    folder = settings.data.absolute()
    if os.path.lexists(folder) and not os.access(folder, os.R_OK | os.X_OK):
        raise _not_ours(folder)


def _not_ours(folder: Path) -> Refused:
    message = f"The data folder {folder} is somebody else's, or in somebody else's folder."
    hint = "Run this as the account that has it, or name a folder of your own with $ATOLL_DATA."
    return Refused(message, hint=hint)


def run_folder(settings: Settings) -> Path:
    """Return the folder for sockets of the installation whose data is in ``settings.data``.

    It is ours alone and its path is short, since a unix socket's may have 107 bytes only:
    ``$XDG_RUNTIME_DIR/atoll-XXXXXXXX``, ``/run/atoll-…`` for root, else ``/tmp/atoll-UID-…``.
    Raises `Refused` when somebody else made it first.
    """
    mark = hashlib.sha256(str(settings.data).encode()).hexdigest()[:8]
    user = os.getuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if user == 0:
        folder = Path("/run") / f"atoll-{mark}"
    elif runtime and len(runtime) < 50 and os.access(runtime, os.W_OK):  # noqa: PLR2004
        folder = Path(runtime) / f"atoll-{mark}"
    else:
        folder = Path("/tmp") / f"atoll-{user}-{mark}"  # noqa: S108 - checked just below
    folder.mkdir(mode=0o711, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != user or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise Refused(f"{folder} is not ours alone.", hint="Remove it and start again.")
    return folder
