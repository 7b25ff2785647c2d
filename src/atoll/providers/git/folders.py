"""Folders: a plain folder, or a checkout with changes of its own, taken as a snapshot.

A snapshot is named by its whole content, so that taking it again is free, and dated by its newest
file, so that what it needs is not built anew every day. Symbolic links stay
links; what is neither file, folder nor link (a socket, a device) is left out, and said.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from atoll.disk import remove
from atoll.errors import NotFound, Refused
from atoll.events import Event, Tell
from atoll.names import new_id
from atoll.providers.flights import held
from atoll.providers.git.commands import GitFailed, git
from atoll.providers.making import mark
from atoll.providers.sizes import size_of
from atoll.providers.specfiles import read_files
from atoll.providers.uses import use
from atoll.sources import Checkout, RepoRef, ResolvedRef

FIRST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()  # earlier than any notebook
LOOKING = 20.0  # seconds for git to say whether something is not committed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in a folder. ``version`` names all of it, ``tree`` all but ``.git``.

    ``date`` is the newest file's, ``.git`` left out.
    """

    version: str
    tree: str
    date: datetime


@dataclass(frozen=True, slots=True)
class Folders:
    """Takes snapshots to ``folder``, none larger than ``most`` bytes. ``data`` is our own."""

    folder: Path
    data: Path
    most: int

    async def resolve(self, repo: RepoRef) -> ResolvedRef:
        """Name what *repo*'s folder holds now, with the date of its newest file.

        Raises `NotFound`, `TooLarge`, `Refused`.
        """
        source = Path(repo.locator)
        taken = await asyncio.to_thread(self._look, source)
        return ResolvedRef(repo, taken.version, taken.tree, taken.date)

    def _look(self, source: Path) -> Snapshot:
        if not source.is_dir():
            raise NotFound(f"There is no folder {source}.", hint="Check how it is spelt.")
        if self.data.resolve().is_relative_to(source.resolve()):
            raise Refused(
                f"{source} holds Atoll's own data.", hint="Open a folder inside it instead."
            )
        size_of(source, self.most)
        return take(source)

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Copy the folder as it was named, or raise `NotFound` when it has changed since."""
        source = Path(ref.repo.locator)
        name = mark(ref.repo.locator, ref.version, trusted=True)
        home = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        async with held(self.folder / f"{name}.lock"):
            if not use(home):
                tell(Event("fetch", f"Copying {source}"))
                await asyncio.to_thread(self._copy, source, home, ref.version)
        tree = home / "tree"
        files = await asyncio.to_thread(read_files, tree)
        said = [f"{path} is not a file and was left out." for path in await _special(source)]
        if await state_of(source) is State.CHANGED:
            said.append(f"{source} has changes that are not committed; it was taken as it is.")
        changed = {path: date_of((tree / path).stat().st_mtime) for path in files}
        return Checkout(ref, tree, files, changed, tuple(said))

    def _copy(self, source: Path, home: Path, version: str) -> None:
        aside = home.parent / f".{home.name}-{new_id()}"
        aside.mkdir()
        try:
            read_files(source)  # says what is wrong with a requirements.txt that is a device
            for path, found in walk(source):
                _copy_one(source / path, aside / "tree" / path, found)
            if take(aside / "tree").version != version:
                raise NotFound(f"{source} changed while it was copied.", hint="Try again.")
            aside.rename(home)
        finally:
            remove(aside)


def walk(source: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything in *source*, itself first, each folder before what is in it, sorted."""
    yield "", source.stat()
    pending = [""]
    while pending:
        folder = pending.pop()
        for name in sorted(entry.name for entry in (source / folder).iterdir()):
            path = f"{folder}/{name}" if folder else name
            found = (source / path).lstat()
            yield path, found
            if stat.S_ISDIR(found.st_mode):
                pending.append(path)


def take(source: Path) -> Snapshot:
    """Name what is in *source*; raises `Refused` for a file that may not be read."""
    whole, content = hashlib.sha256(), hashlib.sha256()
    newest = 0.0
    try:
        for path, found in walk(source):
            mode = found.st_mode
            if stat.S_ISLNK(mode):
                kind, body = "link", os.fsencode((source / path).readlink())
            elif stat.S_ISDIR(mode):
                kind, body = "folder", b""
            elif stat.S_ISREG(mode):
                kind = "program" if mode & 0o100 else "file"
                with (source / path).open("rb") as stream:
                    body = hashlib.file_digest(stream, "sha256").digest()
            else:
                continue
            line = f"{kind}\0{len(body)}\0".encode() + os.fsencode(path) + b"\0" + body
            whole.update(line)
            if path.partition("/")[0] != ".git":
                content.update(line)
                newest = max(newest, found.st_mtime if kind in {"program", "file"} else 0)
    except PermissionError as error:
        raise Refused(f"{error.filename} cannot be read by you.") from error
    except FileNotFoundError as error:
        raise NotFound(f"{source} changed while it was read.", hint="Try again.") from error
    return Snapshot(whole.hexdigest(), content.hexdigest(), date_of(newest))


def date_of(seconds: float) -> datetime:
    """Return the moment *seconds* after the epoch, or now for one that no author meant.

    Archives and package managers like to date files in 1970 or 1980; clocks are set wrong.
    """
    now = datetime.now(UTC)
    return datetime.fromtimestamp(seconds, UTC) if FIRST <= seconds <= now.timestamp() else now


async def _special(source: Path) -> list[str]:
    """Return what in *source* is neither file, folder nor link."""

    def look() -> list[str]:
        plain = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
        found = walk(source) if source.is_dir() else iter(())
        return [path for path, one in found if not any(kind(one.st_mode) for kind in plain)]

    return await asyncio.to_thread(look)


class State(Enum):
    """How a folder stands to the commits of its git checkout."""

    PLAIN = "no checkout, or one without commits"
    CLEAN = "just what its newest commit holds, but for ignored files"
    CHANGED = "with changes that are in no commit"
    UNKNOWN = "git could not be asked"


async def state_of(source: Path) -> State:
    """Say how *source* stands.

    A checkout whose own configuration names filters is not asked: git would run them.
    """
    if not (source / ".git").exists():
        return State.PLAIN
    try:
        async with asyncio.timeout(LOOKING):
            listed = await git(
                "config", "--local", "--includes", "--name-only", "--list", folder=source
            )
            if any(key.startswith(b"filter.") for key in listed.splitlines()):
                return State.UNKNOWN
            try:
                await git("rev-parse", "--verify", "--quiet", "HEAD", folder=source)
            except GitFailed:
                return State.PLAIN
            status = ("status", "--porcelain", "--ignore-submodules=all")
            return State.CHANGED if await git(*status, folder=source) else State.CLEAN
    except (GitFailed, TimeoutError):
        return State.UNKNOWN


def _copy_one(source: Path, target: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        target.mkdir(mode=0o755)
    elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
        shutil.copy2(source, target, follow_symlinks=False)
