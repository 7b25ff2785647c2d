"""Volumes of the local engine: folders that become a server's home."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from atoll.engines.local.disk import entries, remove
from atoll.engines.local.owners import folder_name, give
from atoll.errors import StartFailed
from atoll.settings import Settings


def kept_home(settings: Settings, person: str, server: str) -> Path:
    """Return where the files of *person*'s *server* are kept, whether there are any or not."""
    return settings.data / "volumes" / folder_name(person) / server / "home"


def claim(home: Path, locator: str) -> None:
    """Note that the kept *home* is *locator*'s, or raise `StartFailed` if it is another's.

    Launching sees to it that this does not happen; but files are never mixed, whatever does.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    note = home.with_name("origin.txt")
    if not note.exists():
        note.write_text(locator)
    elif (found := note.read_text()) != locator:
        message = f"These files are of another repository, {found}."
        raise StartFailed(message, hint="Launch again under another name.")


def fill(home: Path, content: Path, owner: int | None) -> None:
    """Make *home* a copy of *content* owned by *owner*, unless it is there already.

    It appears whole or not at all, so that a kill in the middle loses nothing. Copies share
    blocks where the file system can. Raises `StartFailed`.
    """
    if home.exists():
        return
    making = home.with_name(f".{home.name}.making")
    if making.exists():
        remove(making)
    making.parent.mkdir(parents=True, exist_ok=True)
    copy = ["cp", "--archive", "--no-preserve=ownership", "--reflink=auto", "--"]
    ran = subprocess.run([*copy, f"{content}/.", making], capture_output=True, check=False)
    if ran.returncode:
        remove(making)
        said = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        message = f"The repository's files could not be copied: {''.join(said)}."
        raise StartFailed(message, hint="Is the disk full? `atoll doctor` tells.")
    making.chmod(making.stat().st_mode | 0o700)  # a checkout may be read-only; a home is not
    for entry in entries(making):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, entry.stat().st_mode | 0o700)  # noqa: PTH101 - hot loop
    give(making, owner)
    making.rename(home)


def size(folder: Path) -> int:
    """Return how many bytes of disk *folder* and all below it take."""
    total = 0
    for entry in entries(folder):
        if not entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):  # it has gone meanwhile
                total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
