"""Volumes of the local engine: folders that become a server's home."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

from atoll.disk import entries, remove
from atoll.engines.local.owners import folder_name, give
from atoll.errors import StartFailed
from atoll.settings import Settings

# Beside a kept home: the repository, the version of its files, and which environment's build has
# worked in these, if one has.
ORIGIN = "origin.txt"
SAVING = ".~atoll-saving"  # inside/jupyter_server_config.py makes these names
WRITTEN_ASIDE = re.compile(re.escape(SAVING) + r"-[a-z0-9_]{8}-.+", re.DOTALL)


def kept_home(settings: Settings, person: str, server: str) -> Path:
    """Return where the files of *person*'s *server* are kept, whether there are any or not."""
    return settings.data / "volumes" / folder_name(person) / server / "home"


def claim(home: Path, locator: str, version: str, made: str = "") -> None:
    """Note that the kept *home* is *locator*'s, or raise `StartFailed` if it is another's.

    Launching sees to it that this does not happen; but files are never mixed, whatever does.
    *version* and *made*, the environment whose build has worked in it, are noted, too, where *home*
    is still to be filled from these.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    note = home.with_name(ORIGIN)
    found = note.read_text().split("\n")[0] if note.exists() else locator
    if found != locator:
        message = f"These files are of another repository, {found}."
        raise StartFailed(message, hint="Launch again under another name.")
    if not home.exists() or not note.exists():
        _write(note, locator, *(("", "") if home.exists() else (version, made)))


def note_origin(home: Path, version: str, made: str = "") -> None:
    """Note that the files of the kept *home* are of *version* now, and *made* by whose build."""
    note = home.with_name(ORIGIN)
    _write(note, note.read_text().split("\n")[0], version, made)


def _write(note: Path, locator: str, version: str, made: str) -> None:
    aside = note.with_name(f".{ORIGIN}")
    aside.write_text(f"{locator}\n{version}\n{made}\n")
    aside.replace(note)


def origin(home: Path) -> str:
    """Return the version that the kept *home* was filled from, or "" if that is not known."""
    return _noted(home, 1)


def made_by(home: Path) -> str:
    """Return the name of the environment whose build has worked in *home*'s files, or ""."""
    return _noted(home, 2)


def _noted(home: Path, line: int) -> str:
    if not home.exists():
        return ""
    with contextlib.suppress(OSError):
        lines = home.with_name(ORIGIN).read_text().split("\n")
        return lines[line] if len(lines) > line else ""  # there were fewer once
    return ""


def fill(home: Path, content: Path, owner: int | None) -> None:
    """Make *home* a copy of *content* owned by *owner*, unless it is there already.

    It appears whole or not at all, so that a kill in the middle loses nothing. Copies share
    blocks where the file system can. What a killed server left aside in it goes: no server may
    be running there. Raises `StartFailed`.
    """
    if home.exists():
        sweep(home)
        return
    if not content.is_dir():
        message = "The repository's files are not here any more: they were not used for long."
        raise StartFailed(message, hint="Launch the repository again.")
    making = home.with_name(f".{home.name}.making")
    if making.exists():
        remove(making)
    making.parent.mkdir(parents=True, exist_ok=True)
    copy_for(owner, content, making)
    making.rename(home)


def copy_for(owner: int | None, content: Path, target: Path) -> None:
    """Make *target*, which is not there, a copy of *content* that *owner* may read and change.

    Raises `StartFailed`, and leaves nothing then.
    """
    copy = ["cp", "--archive", "--no-preserve=ownership", "--reflink=auto", "--"]
    ran = subprocess.run([*copy, f"{content}/.", target], capture_output=True, check=False)
    if ran.returncode:
        remove(target)
        said = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        message = f"The repository's files could not be copied: {''.join(said)}."
        raise StartFailed(message, hint="Is the disk full? `atoll doctor` tells.")
    target.chmod(target.stat().st_mode | 0o700)  # a checkout may be read-only; a home is not
    for entry in entries(target):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, entry.stat().st_mode | 0o700)  # noqa: PTH101 - hot loop
    give(target, owner)


def sweep(home: Path) -> None:
    """Remove from *home* what a server wrote aside that was killed while it saved.

    Whether there may be any is noted in the home, which need not be searched at every start.
    """
    note = home / SAVING
    if not os.path.lexists(note):
        return
    for entry in entries(home):
        if WRITTEN_ASIDE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.unlink(entry.path)  # noqa: PTH108 - an entry, not a path
    with contextlib.suppress(OSError):
        note.unlink()


def size(folder: Path) -> int:
    """Return how many bytes of disk *folder* and all below it take."""
    total = 0
    for entry in entries(folder):
        if not entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):  # it has gone meanwhile
                total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
