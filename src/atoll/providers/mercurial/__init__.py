"""Mercurial: the provider for what hg can fetch over https, http and ssh."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from atoll.errors import Refused
from atoll.events import Tell
from atoll.providers.addresses import Gate, scheme_of
from atoll.providers.mercurial.checkouts import Checkouts
from atoll.providers.mercurial.mirrors import NODE, Mirrors
from atoll.providers.slots import Slots
from atoll.providers.uses import prune
from atoll.settings import Settings
from atoll.sources import Checkout, Copy, RepoRef, ResolvedRef, Source, ignore
from atoll.sources.checking import check_version
from atoll.sources.mercurial import locate_mercurial, url_of


@dataclass(frozen=True, slots=True)
class MercurialSource:
    """Resolves and fetches: the collaborators, chosen once by `open_source`."""

    gate: Gate
    mirrors: Mirrors
    checkouts: Checkouts

    async def resolve(self, repo: RepoRef, tell: Tell = ignore) -> ResolvedRef:
        """Pin *repo* to one changeset, bringing it into the mirror: its date stands in it.

        A full id that is there already costs no network.
        """
        repo = replace(repo, locator=locate_mercurial(repo.locator))
        version = check_version(repo.version)
        self.check(repo)
        node = version.lower()
        if not (NODE.fullmatch(node) and await self.mirrors.find(repo.locator, node)):
            node = await self.mirrors.lookup(repo.locator, version)
        found = await self.mirrors.need(repo.locator, node, tell)
        return ResolvedRef(repo, found.id, found.tree, found.date)

    def check(self, repo: RepoRef) -> None:
        """Raise `Refused` where its address alone tells that *repo* may not be fetched here."""
        url = url_of(repo.locator)
        self.gate.check(url)
        if scheme_of(url) == "ssh" and not self.gate.trusted:  # though its host is listed
            raise Refused(
                "Mercurial repositories are not fetched over ssh from the web.",
                hint="Use the repository's https address.",
            )

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Return the work tree of *ref*, made once."""
        self.check(ref.repo)
        changeset = await self.mirrors.need(ref.repo.locator, ref.version, tell)
        return await self.checkouts.get(ref, changeset, tell)

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
    return MercurialSource(gate, mirrors, Checkouts(data / "checkouts", mirrors, most, timeout))
