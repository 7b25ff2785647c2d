"""Providers: all plug-ins that fetch, as one source; a reference says which it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from atoll.errors import AtollError, Lacking
from atoll.events import Tell
from atoll.sources import Checkout, Copy, Receiver, RepoRef, ResolvedRef, Source, ignore


@dataclass(frozen=True, slots=True)
class Providers:
    """Passes each call on to the plug-in that ``RepoRef.provider`` names.

    ``broken`` says of those that could not be loaded why; only who needs one hears of it.
    """

    sources: Mapping[str, Source]
    broken: Mapping[str, AtollError] = field(default_factory=dict)

    async def resolve(self, repo: RepoRef, tell: Tell = ignore) -> ResolvedRef:
        """Pin *repo* (see `atoll.sources.Source`)."""
        return await self._of(repo).resolve(repo, tell)

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Bring *ref* here (see `atoll.sources.Source`)."""
        return await self._of(ref.repo).fetch(ref, tell)

    async def receive(self, name: str, parts: AsyncIterator[bytes]) -> RepoRef:
        """Have the plug-in that takes uploads keep one (see `atoll.sources.Receiver`)."""
        for source in self.sources.values():
            if isinstance(source, Receiver):
                return await source.receive(name, parts)
        raise Lacking(
            "No provider here takes uploads.", hint="`atoll doctor` lists what is installed."
        )

    def check(self, repo: RepoRef) -> None:
        """Raise `Refused` where its address alone tells that *repo* may not be fetched here."""
        self._of(repo).check(repo)

    async def prune(
        self, before: datetime, needed: Collection[str], *, dry_run: bool = False
    ) -> list[Copy]:
        """Remove what each of them has kept for too long; a folder they share counts once."""
        found: dict[str, Copy] = {}
        for source in self.sources.values():
            for copy in await source.prune(before, needed, dry_run=dry_run):
                found.setdefault(str(copy.path), copy)
        return list(found.values())

    def _of(self, repo: RepoRef) -> Source:
        if source := self.sources.get(repo.provider):
            return source
        if error := self.broken.get(repo.provider):
            raise error
        raise Lacking(
            f"There is no providers plug-in “{repo.provider}”, which {repo.locator} needs.",
            hint="`atoll doctor` lists what is installed.",
        )
