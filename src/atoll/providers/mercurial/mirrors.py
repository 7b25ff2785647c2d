"""Mirrors: one copy without a work tree per remote, so that what is there already is free.

A mirror has no configuration of its remote: the URL is said anew for each command. Only what
somebody asked for is pulled, by its full id: then a server can neither answer with
whole files of its own making, nor send hg to download elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from atoll.disk import remove
from atoll.errors import BadReference, NotFound, TooLarge, Unreachable
from atoll.events import Event, Tell
from atoll.providers.addresses import Gate
from atoll.providers.flights import Crowds, Flights, held
from atoll.providers.making import in_time, mark
from atoll.providers.mercurial.commands import HgFailed, hg
from atoll.providers.mercurial.complaints import is_unknown, no_version, translated
from atoll.providers.mercurial.proxy import proxy_for
from atoll.providers.notes import date_of
from atoll.providers.programs import Limit
from atoll.providers.slots import Slots
from atoll.providers.uses import use
from atoll.sources import ignore
from atoll.sources.mercurial import url_of

ASKING = 60.0  # seconds for the id of one version
NODE = re.compile(r"[0-9a-f]{40}")
NOTHING = "0" * 40  # what is the newest in an empty repository
NEWEST = ("@", "default", "tip")  # what `hg clone` opens: the first of these that is there
FACTS = r'{node}\n{manifest % "{node}"}\n{date|hgdate}\n{branch}'


@dataclass(frozen=True, slots=True)
class Changeset:
    """One version: its name, the name of its content, when it was made (UTC), and its branch."""

    id: str
    tree: str
    date: datetime
    branch: str


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
    _known: dict[tuple[int, str], Changeset] = field(default_factory=dict)  # by mirror and id

    def path(self, locator: str) -> Path:
        """Return where the mirror of *locator* is, or will be."""
        return self.folder / f"{mark(locator, trusted=self.gate.trusted)}.hg"

    def alone(self, locator: str) -> AbstractAsyncContextManager[None]:
        """Hold the mirror of *locator* against all who pull into it or clone it.

        So any lock of hg's that is there has been left by one that was killed.
        """
        return held(self.path(locator).with_suffix(".lock"))

    async def lookup(self, locator: str, version: str) -> str:
        """Return the full id of *version*, as the server says it now; of ``HEAD``, the newest.

        Raises `Refused`, `NotFound`, `Unreachable`, and `BadReference` for half an id of several.
        """

        async def ask() -> str:
            async with in_time(locator, min(ASKING, self.timeout)):
                for name in NEWEST if version == "HEAD" else (version,):
                    if found := await self._lookup(locator, name):
                        return found
            raise no_version(url_of(locator), version)

        found = await self.crowds.ask(f"{locator} {version}", ask)
        if found == NOTHING:
            message = f"{url_of(locator)} is empty."
            raise NotFound(message, hint="It needs at least one changeset.")
        return found

    async def _lookup(self, locator: str, name: str) -> str:
        """Return the id of what the server calls *name*, "" for nothing."""
        wanted = ("identify", "--template", "{node}", f"--rev={name}", "--", url_of(locator))
        try:
            async with self._way_out(locator) as config:
                said = await hg(*wanted, config=config, persons=self.gate.trusted)
        except HgFailed as error:
            if is_unknown(error):
                return ""
            if "ambiguous" in error.text:
                raise BadReference(
                    f"“{name}” begins the ids of several changesets.", hint="Write more of it."
                ) from error
            raise translated(error, url_of(locator)) from error
        if not NODE.fullmatch(said):
            raise Unreachable(f"{url_of(locator)} answers with what is no changeset's id.")
        return said

    async def find(self, locator: str, node: str) -> Changeset | None:
        """Return the changeset *node* if the mirror has it; never ask the remote."""
        mirror = self.path(locator)
        if not use(mirror):
            return None
        if known := self._known.get(_key(mirror, node)):
            return known

        async def look(_: Tell) -> Changeset | None:
            return await self._look(mirror, node)

        return await self.flights.join(f"look {mirror} {node}", look, ignore)

    async def _look(self, mirror: Path, node: str) -> Changeset | None:
        try:
            said = await hg("log", "--template", FACTS, "--rev", node, repository=mirror)
        except HgFailed:
            return None
        found, tree, date, branch = said.split("\n", 3)
        changeset = Changeset(found, tree, date_of(date.partition(" ")[0]), branch)
        return self._known.setdefault(_key(mirror, node), changeset)

    async def need(self, locator: str, node: str, tell: Tell) -> Changeset:
        """Return the changeset *node*, pulling what is missing.

        Raises as `lookup` does, and `TooLarge`.
        """
        if found := await self.find(locator, node):
            return found

        async def pull(tell: Tell) -> Changeset | None:
            await self._pull(locator, node, tell)
            return await self._look(self.path(locator), node)

        if found := await self.flights.join(f"pull {locator} {node}", pull, tell):
            return found
        raise no_version(url_of(locator), node)

    async def _pull(self, locator: str, node: str, tell: Tell) -> None:
        mirror = self.path(locator)
        self.folder.mkdir(parents=True, exist_ok=True)
        async with self.slots.slot(tell), self.alone(locator):
            fresh = not mirror.exists()
            try:
                await self._prepare(locator)
                tell(Event("fetch", f"Fetching {locator}"))
                async with in_time(locator, self.timeout):
                    await self._pull_into(mirror, locator, node, tell)
            except TooLarge:
                if fresh:
                    await asyncio.to_thread(remove, mirror)
                raise
            except HgFailed as error:
                raise Unreachable(f"{locator} cannot be kept here: {error.sentence}.") from error

    async def _prepare(self, locator: str) -> None:
        """Make the mirror, or undo what a killed hg left there; whoever calls is alone with it."""
        mirror = self.path(locator)
        if not mirror.exists():
            aside = mirror.with_suffix(".new")
            await asyncio.to_thread(remove, aside)
            await hg("init", "--", str(aside))
            aside.rename(mirror)
            return
        store = mirror / ".hg" / "store"
        for lock in (store / "lock", mirror / ".hg" / "wlock"):
            lock.unlink(missing_ok=True)
        if (store / "journal").exists():
            await hg("recover", repository=mirror)

    async def _pull_into(self, mirror: Path, locator: str, node: str, tell: Tell) -> None:
        url = url_of(locator)
        try:
            async with self._way_out(locator) as config:
                await hg(
                    "pull", f"--rev={node}", "--", url,
                    repository=mirror,
                    config=config,
                    persons=self.gate.trusted,
                    say=lambda line: tell(Event("fetch", line, detail=True)),
                    limit=Limit(mirror, self.most),
                )  # fmt: skip
        except HgFailed as error:
            raise no_version(url, node) if is_unknown(error) else translated(error, url) from error

    @contextlib.asynccontextmanager
    async def _way_out(self, locator: str) -> AsyncIterator[tuple[str, ...]]:
        """Yield the settings by which hg reaches *locator*.

        What the way itself refused is raised in place of what hg makes of it.
        """
        self.gate.check(url_of(locator))
        if self.gate.trusted:
            yield ()
            return
        async with proxy_for(self.gate, url_of(locator)) as proxy:
            try:
                yield proxy.config
            except HgFailed as error:
                if proxy.refusal:
                    raise proxy.refusal from error
                raise


def _key(mirror: Path, node: str) -> tuple[int, str]:
    """Name *node* in *mirror*: one that was removed and made again is another one."""
    return mirror.stat().st_ino, node
