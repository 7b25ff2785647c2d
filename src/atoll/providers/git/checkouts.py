"""Checkouts: work trees of one commit each, made aside, published whole, shared by all.

A checkout is a normal clone of its mirror, with a ``.git`` of its own whose ``origin`` is the
real remote, so that people can pull and push once it has been copied into their home. Beside
``tree`` is what was learnt while it was made.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from atoll.errors import BadReference, BadSpecification, NotFound, Refused, Unreachable
from atoll.events import Event, Tell
from atoll.providers.addresses import Gate
from atoll.providers.flights import Flights
from atoll.providers.git.commands import GitFailed, git
from atoll.providers.git.lfs import fetch_large_files
from atoll.providers.git.mirrors import Mirrors
from atoll.providers.git.submodules import Submodule, read_submodules
from atoll.providers.making import in_time, make_once, mark
from atoll.providers.notes import date_of, read_checkout, take_notes
from atoll.providers.programs import Limit
from atoll.sources import Checkout, ResolvedRef
from atoll.sources.locators import clone_url

DEEPEST = 8  # submodules in submodules
MOST = 100  # submodules in all


@dataclass(frozen=True, slots=True)
class Checkouts:
    """All work trees below ``folder``. ``most`` is in bytes, ``timeout`` in seconds."""

    folder: Path
    mirrors: Mirrors
    gate: Gate
    most: int
    timeout: float
    flights: Flights = field(default_factory=Flights)

    async def get(self, ref: ResolvedRef, branch: str, tell: Tell) -> Checkout:
        """Return the work tree of *ref*, on *branch* unless that is ""; make it if need be."""
        name = mark(ref.repo.locator, f"{ref.version} {branch}", trusted=self.gate.trusted)
        home = self.folder / name

        async def make(aside: Path, tell: Tell) -> None:
            async with in_time(ref.repo.locator, self.timeout):
                await self._make(ref, branch, aside, tell)

        await make_once(home, make, self.flights, tell)
        return await asyncio.to_thread(read_checkout, ref, home)

    async def _make(self, ref: ResolvedRef, branch: str, aside: Path, tell: Tell) -> None:
        tree = aside / "tree"
        work = _Work(self, Limit(aside, self.most), tell)
        await work.clone(ref.repo.locator, ref.version, tree, branch)
        await work.complete(ref.repo.locator, ref.version, tree)
        await take_notes(aside, work.warnings, lambda path: _changed(tree, ref.version, path))


@dataclass(slots=True)
class _Work:
    """The making of one checkout, its submodules included."""

    checkouts: Checkouts
    limit: Limit
    tell: Tell
    warnings: list[str] = field(default_factory=list)
    count: int = 0

    async def clone(self, locator: str, commit: str, tree: Path, branch: str = "") -> None:
        """Clone the mirror of *locator* to *tree* and put *commit* there."""
        mirror = self.checkouts.mirrors.path(locator)
        try:
            await git(
                "clone", "--quiet", "--local", "--no-checkout", "--template=", "--end-of-options",
                str(mirror), str(tree),
                protocols="file", limit=self.limit,
            )  # fmt: skip
            await git("remote", "set-url", "origin", clone_url(locator), folder=tree)
            where = ("-B", branch) if branch else ("--detach",)
            await git(
                "checkout", "--quiet", "--force", *where, commit, folder=tree, limit=self.limit
            )
            if branch:
                await git("config", f"branch.{branch}.remote", "origin", folder=tree)
                await git("config", f"branch.{branch}.merge", f"refs/heads/{branch}", folder=tree)
        except GitFailed as error:
            message = f"{locator} could not be checked out: {error.sentence}."
            raise Unreachable(message) from error

    async def complete(self, locator: str, commit: str, tree: Path, depth: int = 0) -> None:
        """Bring what a clone leaves out: large files and submodules."""
        large = await fetch_large_files(locator, tree, self.checkouts.gate, self.limit, self.tell)
        self.warnings += large
        for submodule in await read_submodules(tree, commit, locator):
            self.count += 1
            if depth >= DEEPEST or self.count > MOST:
                raise BadSpecification(f"{locator} has too many submodules, or too deep ones.")
            try:
                await self._submodule(submodule, tree, depth)
            except (BadReference, Refused, NotFound) as error:
                where = submodule.url or "no address"
                self.warnings.append(
                    f"The submodule {submodule.path} ({where}) was left out: {error}"
                )

    async def _submodule(self, submodule: Submodule, tree: Path, depth: int) -> None:
        locator = submodule.locator()
        place = tree / submodule.path
        if not await asyncio.to_thread(_is_real, tree, submodule.path):
            raise Refused("It is not where it says it is.")
        self.tell(Event("fetch", f"Submodule {submodule.path}", detail=True))
        await self.checkouts.mirrors.need(locator, submodule.commit, self.tell)
        await self.clone(locator, submodule.commit, place)
        for key, value in (("url", clone_url(locator)), ("active", "true")):
            await git("config", f"submodule.{submodule.name}.{key}", value, folder=tree)
        await self.complete(locator, submodule.commit, place, depth + 1)


def _is_real(tree: Path, path: str) -> bool:
    """Whether *path* is a folder of *tree* that no symbolic link leads to."""
    place = tree / path
    return place.resolve() == tree.resolve() / path and place.is_dir()


async def _changed(tree: Path, commit: str, path: str) -> datetime | None:
    """Return when *path* last changed in the history of *commit*."""
    try:
        shown = await git(
            "--literal-pathspecs", "log", "-1", "--format=%ct", commit, "--", path, folder=tree
        )
    except GitFailed:
        return None
    return date_of(shown.decode().strip()) if shown.strip() else None
