"""Mirrors: one bare copy per remote, so that what is there already is free.

A mirror has no configuration of its remote: the URL, and what may be done with it, is said
anew for each command. What the command line fetched with somebody's credentials is kept apart
from what the web may see.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from atoll.disk import remove
from atoll.errors import BadReference, NotFound, TooLarge, Unreachable
from atoll.events import Event, Tell
from atoll.providers.addresses import Gate
from atoll.providers.flights import Crowds, Flights, held
from atoll.providers.git.admission import Admitted, admit
from atoll.providers.git.commands import GitFailed, git
from atoll.providers.git.complaints import translated
from atoll.providers.making import in_time, mark
from atoll.providers.notes import date_of
from atoll.providers.programs import NEUTRAL, Limit
from atoll.providers.slots import Slots
from atoll.providers.uses import use
from atoll.sources.checking import check_version

ASKING = 60.0  # seconds for a list of branches
COMMIT = re.compile(r"[0-9a-f]{40}")
SHORT_COMMIT = re.compile(r"[0-9a-f]{4,39}")
FETCH = (
    "fetch",
    "--force",
    "--prune",
    "--no-tags",  # they are named among what is wanted
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--progress",
    "--end-of-options",
)
EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True, slots=True)
class Refs:
    """What a remote says it has: names to commits. ``branch`` is where its HEAD points, or ""."""

    head: str = ""
    branch: str = ""
    heads: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """One version: its name, the name of its content, and when it was made (UTC)."""

    id: str
    tree: str
    date: datetime


@dataclass(frozen=True, slots=True)
class Mirrors:
    """All mirrors below ``folder``. ``most`` is in bytes, ``timeout`` in seconds."""

    folder: Path
    gate: Gate
    most: int
    timeout: float
    flights: Flights = field(default_factory=Flights)
    slots: Slots = field(default_factory=Slots)
    crowds: Crowds = field(default_factory=Crowds)
    _known: dict[tuple[int, str], Commit] = field(default_factory=dict)  # by mirror and full name

    def path(self, locator: str) -> Path:
        """Return where the mirror of *locator* is, or will be."""
        return self.folder / f"{mark(locator, trusted=self.gate.trusted)}.git"

    async def refs(self, locator: str) -> Refs:
        """Ask the remote what it has; raises `Refused`, `NotFound` or `Unreachable`."""

        async def ask() -> Refs:
            admitted = await admit(self.gate, locator)
            async with in_time(locator, min(ASKING, self.timeout)):
                answer = await self._remote(
                    admitted, "ls-remote", "--symref", "--end-of-options", admitted.url
                )
            return read_refs(answer.decode("utf-8", "replace"))

        return await self.crowds.ask(locator, ask)

    async def find(self, locator: str, commit: str) -> Commit | None:
        """Return *commit*, full or short, if the mirror has it; never ask the remote.

        Raises `BadReference` when a short one may be several.
        """
        mirror = self.path(locator)
        if not use(mirror):
            return None
        inode = mirror.stat().st_ino  # a mirror that was removed and made again is another one
        if known := self._known.get((inode, commit)):
            return known
        form = "--format=%H%n%T%n%ct"
        try:
            name = await git("rev-parse", "--verify", f"{commit}^{{commit}}", folder=mirror)
            shown = await git(
                "log", "-1", form, "--end-of-options", name.decode().strip(), folder=mirror
            )
        except GitFailed as error:
            if "ambiguous" in str(error):
                raise BadReference(
                    f"“{commit}” begins the names of several commits.", hint="Write more of it."
                ) from error
            return None
        found, tree, date = shown.decode().split()
        return self._known.setdefault((inode, found), Commit(found, tree, date_of(date)))

    async def branch(self, locator: str, version: str) -> str:
        """Return the branch that *version* names in the mirror, or ""; ``HEAD`` is the remote's."""
        mirror = self.path(locator)
        try:
            asked = _head(mirror) if version == "HEAD" else version.removeprefix("refs/heads/")
            name = check_version(asked)
            if not (mirror / "refs" / "heads" / name).is_file():  # it may be among the packed ones
                await git("show-ref", "--verify", "--quiet", f"refs/heads/{name}", folder=mirror)
        except (GitFailed, BadReference):
            return ""
        return name

    async def point(self, locator: str, branch: str) -> None:
        """Remember that *branch* is the remote's default one."""
        mirror = self.path(locator)
        if _head(mirror) == branch:
            return
        with contextlib.suppress(GitFailed):
            await git("symbolic-ref", "HEAD", f"refs/heads/{branch}", folder=mirror)

    async def need(self, locator: str, commit: str, tell: Tell) -> Commit:
        """Return *commit*, fetching what is missing; raises as `refs` does, and `TooLarge`."""
        for _ in range(2):  # a fetch that was under way already may have begun too early
            if found := await self.find(locator, commit):
                return found
            await self.flights.join(
                f"fetch {locator}", lambda tell: self._fetch(locator, EVERYTHING, tell), tell
            )
        if not await self.find(locator, commit) and COMMIT.fullmatch(commit):
            with contextlib.suppress(Unreachable, NotFound):  # of a closed pull request, say
                await self._fetch(locator, (commit,), tell)
        if found := await self.find(locator, commit):
            return found
        raise NotFound(f"There is no commit {commit} in {locator}.")

    async def _fetch(self, locator: str, wanted: tuple[str, ...], tell: Tell) -> None:
        mirror = self.path(locator)
        self.folder.mkdir(parents=True, exist_ok=True)
        admitted = await admit(self.gate, locator)
        async with self.slots.slot(tell), held(mirror.with_suffix(".lock")):
            fresh = not mirror.exists()
            if fresh:
                aside = mirror.with_suffix(".new")
                await asyncio.to_thread(remove, aside)
                await git("init", "--quiet", "--bare", "--template=", str(aside))
                aside.rename(mirror)
            sweep(mirror)
            tell(Event("fetch", f"Fetching {locator}"))
            try:
                async with in_time(locator, self.timeout):
                    arguments = (*FETCH, admitted.url, *wanted)
                    await self._remote(admitted, *arguments, mirror=mirror, tell=tell)
            except TooLarge:
                if fresh:
                    await asyncio.to_thread(remove, mirror)
                raise
            finally:
                sweep(mirror)

    async def _remote(
        self,
        admitted: Admitted,
        *arguments: str,
        mirror: Path | None = None,
        tell: Tell | None = None,
    ) -> bytes:
        def say(line: str) -> None:
            if tell:
                tell(Event("fetch", line, detail=True))

        try:
            return await git(
                *arguments,
                folder=mirror or NEUTRAL,
                config=admitted.config,
                protocols=admitted.protocols,
                persons=self.gate.trusted,
                say=say,
                limit=Limit(mirror, self.most) if mirror else None,
            )
        except GitFailed as error:
            raise translated(error, admitted.url) from error


def _head(mirror: Path) -> str:
    """Return the branch that the HEAD of *mirror* names, without starting git; or ""."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kind, _, name = (mirror / "HEAD").read_text("utf-8").strip().partition(" refs/heads/")
        return name if kind == "ref:" else ""
    return ""


def read_refs(text: str) -> Refs:
    """Read what ``git ls-remote --symref`` prints; a peeled tag (``^{}``) is what it points at."""
    head, branch = "", ""
    heads: dict[str, str] = {}
    tags: dict[str, str] = {}
    for line in text.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: refs/heads/") and name == "HEAD":
            branch = value.removeprefix("ref: refs/heads/")
        elif not COMMIT.fullmatch(value):
            continue
        elif name == "HEAD":
            head = value
        elif name.startswith("refs/heads/"):
            heads[name.removeprefix("refs/heads/")] = value
        elif name.startswith("refs/tags/"):
            tags[name.removeprefix("refs/tags/").removesuffix("^{}")] = value
    return Refs(head, branch if branch in heads else "", heads, tags)


def sweep(mirror: Path) -> None:
    """Remove what a killed git left in *mirror*; whoever calls holds its lock."""
    for folder, pattern in ((mirror, "*.lock"), (mirror / "refs", "**/*.lock")):
        for stale in folder.glob(pattern):
            stale.unlink(missing_ok=True)
    for stale in (mirror / "objects").glob("tmp_objdir-*"):
        remove(stale)
    for stale in (mirror / "objects" / "pack").glob("tmp_*"):
        stale.unlink(missing_ok=True)
