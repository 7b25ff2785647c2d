"""Brings a newer version of a repository's files into a home where somebody has worked.

Runs in a box, as the home's owner: ``/srv/base`` is the version that the home was filled from,
``/srv/new`` the newer one; each with what its build has made, if one has worked in it. Its task and what it says are JSON; see `engines/local/renewal.py`.

The rules are nbgitpuller's (https://nbgitpuller.readthedocs.io, "Automatic merging"): what only
one side has changed is taken; where both have changed the same lines, a person's own stay; what a
person has deleted comes back; and what they made under a name that is now the repository's makes
room for it. Beyond these: notebooks are merged by cells; whatever of a person's is replaced is kept
beside, and where their lines have won, so is the repository's file.
"""

from __future__ import annotations

import errno
import fcntl
import filecmp
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from merging import merged  # type: ignore[import-not-found]

BASE, NEW, HOME = Path("/srv/base"), Path("/srv/new"), Path("/home/jovyan")
MOST_TOLD = 1_000  # files
NOT_OURS = {".git", ".hg", ".ipynb_checkpoints"}
CACHES = {".cache", ".npm"}  # at the top: what a build's programs have left there for themselves


@dataclass(frozen=True)
class Renewal:
    """From *base* to *new* in *home*; *old* and *now* name the versions, shortly, in file names."""

    base: Path
    new: Path
    home: Path
    old: str
    now: str

    def steps(self) -> Iterator[Step]:
        """Yield what is to be done, file by file, in the order of their names."""
        for path in sorted({*_files(self.base), *_files(self.new)}):
            if step := self.step(path):
                yield step

    def step(self, path: str) -> Step | None:
        """Return what is to be done with the file *path*, ``None`` for nothing."""
        base, new, mine = self.base / path, self.new / path, self.home / path
        known, there = _there(base), _there(mine) and not self._elsewhere(path)
        untouched = known and there and _same(base, mine)
        if not _there(new):
            return Step(path, "removed") if untouched else None
        if not there:
            return Step(path, "restored" if known else "added")
        if _same(mine, new) or (known and _same(base, new)):
            return None
        if untouched:
            return Step(path, "updated")
        if not known and not mine.is_dir():
            return Step(path, "aside", self._beside(path, f"before-{self.now}", mine))
        return self._merge(path, merged(base, mine, new))

    def _merge(self, path: str, found: tuple[bytes, bool] | None) -> Step | None:
        """Return what is to be done with *path*, which both have changed, if *found* is both."""
        new, mine = self.new / path, self.home / path
        body, conflicts = found or (b"", True)
        theirs = self._beside(path, f"of-{self.now}", new) if conflicts else ""
        if found is None or body == mine.read_bytes():
            return Step(path, "beside", theirs) if conflicts else None
        return Step(path, "merged", self._beside(path, f"before-{self.now}", mine), theirs, body)

    def take(self, step: Step) -> None:
        """Do it. A kill at any moment loses nothing, and doing it again ends the same."""
        mine, new = self.home / step.path, self.new / step.path
        if step.fate == "removed":
            mine.unlink()
            self._tidy(mine.parent)
            return
        self._make_room(mine.parent)
        if step.fate == "aside":
            mine.rename(self.home / step.beside)
        if step.fate == "merged":
            _put(mine, self.home / step.beside)
        if step.fate == "beside" or step.theirs:
            _put(new, self.home / (step.theirs or step.beside))
        if step.fate == "merged":
            _put(mine, mine, step.body)
        elif step.fate != "beside":
            _put(new, mine)

    def _beside(self, path: str, mark: str, what: Path) -> str:
        """Return a name beside *path* that is free, or has *what* already.

        The mark stands before the suffix, so that it is opened as what it is.
        """
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(name)
        for number in range(1, 1000):
            again = f"-{number}" if number > 1 else ""
            found = os.path.join(folder, f"{stem[:180]}.{mark}{again}{suffix[:40]}")
            if not _there(self.home / found) or _same(self.home / found, what):
                return found
        raise FileExistsError(path)

    def _elsewhere(self, path: str) -> bool:
        """Say whether a link of the person's leads *path* to somewhere else."""
        return any((self.home / one).is_symlink() for one in list(Path(path).parents)[:-1])

    def _make_room(self, folder: Path) -> None:
        """Make *folder*, and move aside what stands where it or a folder above it is to be."""
        for one in [*reversed(folder.relative_to(self.home).parents), folder]:
            place = self.home / one
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                place.rename(place.with_name(f"{place.name}.before-{self.now}"))
            place.mkdir(exist_ok=True)

    def _tidy(self, folder: Path) -> None:
        """Remove *folder* and those above it, if the repository had them, where they are empty."""
        while folder != self.home and not (self.new / folder.relative_to(self.home)).exists():
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


@dataclass(frozen=True)
class Step:
    """That the file *path* has a *fate*; see `atoll.volumes.renewal` for what these are.

    *beside* is the name of what is kept or put beside it, *theirs* that of the repository's file
    where a merge could not take all of it, *body* what a merge gave.
    """

    path: str
    fate: str
    beside: str = ""
    theirs: str = ""
    body: bytes = b""


def _files(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        hidden = NOT_OURS | CACHES if Path(folder) == root else NOT_OURS
        folders[:] = [one for one in folders if one not in hidden]
        links = [one for one in folders if os.path.islink(os.path.join(folder, one))]
        for name in (*names, *links):
            if name not in NOT_OURS:
                yield os.path.relpath(os.path.join(folder, name), root)


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        both = one.is_symlink() and other.is_symlink()
        return both and os.readlink(one) == os.readlink(other)
    if one.is_file() and other.is_file():
        return filecmp.cmp(one, other, shallow=False)
    return False


def _put(source: Path, target: Path, body: bytes | None = None) -> None:
    """Copy the file or link *source* to *target*, which appears whole; or *body* as such a file."""
    aside = target.with_name(f".atoll-renewing-{secrets.token_hex(4)}")
    try:
        if body is not None:
            aside.write_bytes(body)
        else:
            shutil.copyfile(source, aside, follow_symlinks=False)
        if not aside.is_symlink():
            aside.chmod((source.stat().st_mode & 0o777) | 0o600)  # a checkout is read-only
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def move_history(home: Path, new: Path, old: str, now: str) -> None:
    """Have the home's own clone know *now*, if it still is at *old*: nobody used git there.

    Then ``git status`` tells what the person has changed, and ``git pull`` finds nothing to do.
    """
    if not (home / ".git").is_dir() or not (new / ".git").is_dir():
        return
    known = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": f"{tempfile.gettempdir()}/gitconfig",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    Path(known["GIT_CONFIG_GLOBAL"]).write_text("[safe]\n\tdirectory = *\n")

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(home), "-c", "core.hooksPath=/dev/null", *words]
        return subprocess.run(command, env=known, capture_output=True, text=True, check=False)

    if git("rev-parse", "HEAD").stdout.strip() == old:
        fetched = git("fetch", "--quiet", "--no-tags", str(new), "HEAD")
        if fetched.returncode == 0:
            git("reset", "--quiet", now)


def _taken(renewal: Renewal, step: Step) -> str:
    """Do it, and return what became of it; a full disk ends all."""
    try:
        renewal.take(step)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        print(f"{step.path}: {error}")  # noqa: T201 - said to who runs the box
        return "failed"
    return step.fate


def main(task: str, found: str) -> None:
    """Read the *task*, look or do it, and write what was *found*."""
    asked = json.loads(Path(task).read_text())
    renewal = Renewal(BASE, NEW, HOME, asked["old"][:7], asked["now"][:7])
    lock = os.open(HOME, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two tabs
    told: list[list[str]] = []
    count = 0
    for step in renewal.steps():
        fate = step.fate if asked["look"] else _taken(renewal, step)
        count += 1
        if len(told) < MOST_TOLD:
            names = (step.path, fate, step.beside, step.theirs)
            told.append([os.fsencode(one).decode("utf-8", "replace") for one in names])
    if not asked["look"]:
        move_history(HOME, NEW, asked["old"], asked["now"])
    Path(found).write_text(json.dumps({"changes": told, "count": count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
