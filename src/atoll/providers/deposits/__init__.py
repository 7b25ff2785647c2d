"""Deposits: the provider for what is published once: data repositories, DOIs and web archives.

A deposit is an immutable version with its files. Small modules each ask one kind of repository
software for it; downloading, unpacking and keeping it is the same for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from atoll.errors import BadReference, NotFound
from atoll.events import Event, Tell
from atoll.providers.addresses import Gate
from atoll.providers.deposits.archives import Archives
from atoll.providers.deposits.checkouts import Checkouts, fetch_all
from atoll.providers.deposits.client import LONGEST_WAIT, Client
from atoll.providers.deposits.deposit import Deposit
from atoll.providers.deposits.hosts import Services, find, prepare
from atoll.providers.deposits.room import Room
from atoll.providers.deposits.uploads import Uploads
from atoll.providers.flights import Flights
from atoll.providers.making import in_time
from atoll.providers.slots import Slots
from atoll.providers.uses import prune
from atoll.settings import Settings
from atoll.sources import Checkout, Copy, RepoRef, ResolvedRef, ignore
from atoll.sources.checking import check_version
from atoll.sources.deposits import Kind, place_of
from atoll.sources.parsing import parse

ASKING = 120.0  # seconds for all that is asked about one deposit, waiting apart
FRESH = 60.0  # seconds for which an answer is good: repositories count what they are asked
MOST_KNOWN = 100  # deposits whose lists of files are remembered


@dataclass(frozen=True, slots=True)
class DepositSource:
    """Resolves and fetches: the collaborators, chosen once by `open_source`."""

    gate: Gate
    archives: Archives
    checkouts: Checkouts
    uploads: Uploads
    services: Services = field(default_factory=Services)
    flights: Flights = field(default_factory=Flights)
    _known: dict[tuple[str, str], tuple[float, Deposit]] = field(default_factory=dict)

    async def resolve(self, repo: RepoRef, tell: Tell = ignore) -> ResolvedRef:
        """Pin *repo* to one version; one that was named and is here already is asked of nobody."""
        check_version(repo.version)
        if parse(repo.locator).repo.locator != repo.locator:
            raise BadReference(f"“{repo.locator[:80]}” is not how a deposit is written.")
        self.check(repo)
        kind = place_of(repo.locator).kind
        if kind is Kind.ARCHIVE:
            return await self.archives.resolve(repo, tell)
        if kind is Kind.UPLOAD:
            return self.uploads.resolve(repo)
        if repo.version != "HEAD" and (here := self.checkouts.known(repo, repo.version)):
            return here
        deposit = await self._look_up(repo, tell)
        here = self.checkouts.known(repo, deposit.version)
        date = deposit.date or (here.date if here else datetime.now(UTC))
        if deposit.title:
            tell(Event("resolve", f"It is “{deposit.title}”"))
        if deposit.newest:
            version = f"{deposit.version[:12]} of {date:%Y-%m-%d}"
            tell(Event("resolve", f"The newest version was taken, {version}", note=True))
        return ResolvedRef(repo, deposit.version, deposit.tree, date)

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Return the work tree of *ref*, made once."""
        self.check(ref.repo)
        kind = place_of(ref.repo.locator).kind
        if kind is Kind.ARCHIVE:
            return await self.archives.fetch(ref, tell)
        if kind is Kind.UPLOAD:
            return await self.uploads.fetch(ref, tell)
        pinned = replace(ref.repo, version=ref.version)

        async def fill(files: Path, room: Room, tell: Tell) -> Deposit:
            deposit = await self._look_up(pinned, tell)
            if deposit.tree != ref.tree:
                raise NotFound(f"{ref.repo} has changed since it was looked up.", hint="Try again.")
            async with Client(self.gate, tell) as client:
                await prepare(client, self.services, pinned, deposit, tell)
                warnings = await fetch_all(client, deposit, files, room, tell)
            return replace(deposit, warnings=(*deposit.warnings, *warnings))

        return await self.checkouts.get(ref, fill, tell)

    async def receive(self, name: str, parts: AsyncIterator[bytes]) -> RepoRef:
        """Keep an upload (see `atoll.sources.Receiver`)."""
        return await self.uploads.receive(name, parts)

    def check(self, repo: RepoRef) -> None:
        """Raise `Refused` where its address alone tells that *repo* may not be fetched here."""
        if "://" in repo.locator:
            self.gate.check(repo.locator)

    async def prune(
        self, before: datetime, needed: Collection[str], *, dry_run: bool = False
    ) -> list[Copy]:
        """Remove checkouts and what is known of archives (see `atoll.sources.Source`)."""
        folders = (self.archives.folder, self.uploads.folder, self.checkouts.folder)
        return await asyncio.to_thread(prune, folders, before, needed, dry_run=dry_run)

    async def _look_up(self, repo: RepoRef, tell: Tell) -> Deposit:
        """Ask for *repo*; all who ask within a minute are told the same."""
        key = (repo.locator, repo.version)
        at, known = self._known.get(key, (0.0, None))
        if known and time.monotonic() - at < FRESH:
            return known

        async def ask(tell: Tell) -> Deposit:
            seconds = min(ASKING + LONGEST_WAIT, self.checkouts.timeout)
            async with in_time(repo.locator, seconds), Client(self.gate, tell) as client:
                return await find(client, self.services, repo)

        deposit = await self.flights.join(" ".join(key), ask, tell)
        for one in (key, (repo.locator, deposit.version)):
            self._known.pop(one, None)  # so that the oldest comes first
            self._known[one] = (time.monotonic(), deposit)
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return deposit


def open_source(settings: Settings, *, trusted: bool) -> DepositSource:
    """Return the provider; *trusted* says that whoever asks runs this process."""
    limits = settings.sources
    most, timeout, data = int(limits.max_size), limits.timeout, settings.data
    gate = Gate(trusted, tuple(limits.allow), timeout)
    slots = Slots(limits.at_once)
    checkouts = Checkouts(data / "checkouts", trusted, most, timeout, slots)
    archives = Archives(data / "archives", gate, checkouts, slots)
    return DepositSource(gate, archives, checkouts, Uploads(data / "uploads", checkouts))
