"""Git: the provider for everything that git can fetch, and for folders of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from atoll.errors import NotFound
from atoll.events import Tell
from atoll.providers.addresses import Gate
from atoll.providers.git.checkouts import Checkouts
from atoll.providers.git.folders import Folders, State, state_of
from atoll.providers.git.mirrors import COMMIT, Mirrors
from atoll.providers.git.versions import Choice, choose
from atoll.providers.slots import Slots
from atoll.providers.uses import prune
from atoll.settings import Settings
from atoll.sources import Checkout, Copy, RepoRef, ResolvedRef, Source, ignore
from atoll.sources.checking import check_version, check_version_and_path
from atoll.sources.locators import locate

SNAPSHOT = 64  # characters of a snapshot's version; a commit has 40


@dataclass(frozen=True, slots=True)
class GitSource:
    """Resolves and fetches: the collaborators, chosen once by `open_source`."""

    gate: Gate
    mirrors: Mirrors
    checkouts: Checkouts
    folders: Folders

    async def resolve(self, repo: RepoRef, tell: Tell = ignore) -> ResolvedRef:
        """Pin *repo* to one commit, bringing it into the mirror: its date stands in it.

        A full commit that is there already costs no network. A folder without a version is
        taken as it is, changes and all; a checkout without changes is its newest commit.
        """
        repo = replace(repo, locator=locate(repo.locator))
        (check_version_and_path if repo.path_follows else check_version)(repo.version)
        self.gate.check(repo.locator)
        if repo.locator.startswith("/") and not await _has_versions(repo):
            return await self.folders.resolve(repo)
        choice = await self._choose(repo)
        commit = await self.mirrors.need(repo.locator, choice.commit, tell)
        if choice.version == "HEAD" and choice.branch:
            await self.mirrors.point(repo.locator, choice.branch)
        settled = RepoRef(repo.provider, repo.locator, choice.version)
        return ResolvedRef(settled, commit.id, commit.tree, commit.date, choice.path)

    def check(self, repo: RepoRef) -> None:
        """Raise `Refused` where its address alone tells that *repo* may not be fetched here."""
        self.gate.check(repo.locator)

    async def _choose(self, repo: RepoRef) -> Choice:
        if COMMIT.fullmatch(repo.version) and await self.mirrors.find(repo.locator, repo.version):
            return Choice(repo.version, repo.version)
        return choose(await self.mirrors.refs(repo.locator), repo)

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Return the work tree of *ref*, made once."""
        self.gate.check(ref.repo.locator)
        if len(ref.version) == SNAPSHOT:
            return await self.folders.fetch(ref, tell)
        await self.mirrors.need(ref.repo.locator, ref.version, tell)
        branch = await self.mirrors.branch(ref.repo.locator, ref.repo.version)
        checkout = await self.checkouts.get(ref, branch, tell)
        if ref.path and not _is_inside(checkout.path, ref.path):
            warning = f"There is no {ref.path} in this version."
            checkout = replace(checkout, warnings=(*checkout.warnings, warning))
        return checkout

    async def prune(
        self, before: datetime, needed: Collection[str], *, dry_run: bool = False
    ) -> list[Copy]:
        """Remove mirrors and checkouts (see `atoll.sources.Source`)."""
        folders = (self.mirrors.folder, self.checkouts.folder)
        return await asyncio.to_thread(prune, folders, before, needed, dry_run=dry_run)


def open_source(settings: Settings, *, trusted: bool) -> Source:
    """Return the provider; *trusted* says that whoever asks runs this process."""
    limits = settings.sources
    most, timeout, data = int(limits.max_size), limits.timeout, settings.data
    gate = Gate(trusted, tuple(limits.allow), timeout)
    mirrors = Mirrors(data / "mirrors", gate, most, timeout, slots=Slots(limits.at_once))
    checkouts = Checkouts(data / "checkouts", mirrors, gate, most, timeout)
    return GitSource(gate, mirrors, checkouts, Folders(data / "checkouts", data, most))


async def _has_versions(repo: RepoRef) -> bool:
    """Whether the folder *repo* is asked for a commit, not for what is in it now."""
    folder = Path(repo.locator)
    if _asks_for_a_commit(repo, folder):
        return True
    return await state_of(folder) is State.CLEAN


def _asks_for_a_commit(repo: RepoRef, folder: Path) -> bool:
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    if bare or (repo.version != "HEAD" and (folder / ".git").exists()):
        return True
    if repo.version != "HEAD" and folder.is_dir():
        raise NotFound(
            f"{folder} is not a git checkout and has no version “{repo.version}”.",
            hint="Leave the version away to open it as it is.",
        )
    return False


def _is_inside(tree: Path, path: str) -> bool:
    place = (tree / path).resolve()
    return place.is_relative_to(tree.resolve()) and place.exists()
