"""Volumes of the local engine: folders that become a server's home."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

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
        shutil.rmtree(making)
    making.parent.mkdir(parents=True, exist_ok=True)
    copy = ["cp", "--archive", "--no-preserve=ownership", "--reflink=auto", "--"]
    ran = subprocess.run([*copy, f"{content}/.", making], capture_output=True, check=False)
    if ran.returncode:
        shutil.rmtree(making, ignore_errors=True)
        said = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        message = f"The repository's files could not be copied: {''.join(said)}."
        raise StartFailed(message, hint="Is the disk full? `atoll doctor` tells.")
    for folder, _, _ in os.walk(making):  # a checkout may be read-only; a home is not
        os.chmod(folder, os.stat(folder).st_mode | 0o700)  # noqa: PTH101, PTH116 - hot loop
    give(making, owner)
    making.rename(home)


def size(folder: Path) -> int:
    """Return how many bytes of disk *folder* and all below it take."""
    total = 0
    for where, _, files in os.walk(folder, onerror=None):
        for name in files:
            try:
                total += os.lstat(os.path.join(where, name)).st_blocks * 512  # noqa: PTH118
            except OSError:
                continue
    return total
