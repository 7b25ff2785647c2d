"""Archives: plain web addresses of a zip or a tar, which may hold something else tomorrow.

A version is the archive's SHA-256, so that resolving means to download it, unless the server says
that it has not changed (``ETag``, ``Last-Modified``). Its date is that of its newest file: archives
that forges make carry the commit's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from atoll.disk import remove
from atoll.errors import NotFound
from atoll.events import Event, Tell
from atoll.names import new_id
from atoll.providers.addresses import Gate
from atoll.providers.deposits.checkouts import Checkouts
from atoll.providers.deposits.client import Client, check_status
from atoll.providers.deposits.deposit import DepositFile, shown
from atoll.providers.deposits.downloads import save
from atoll.providers.deposits.room import Room
from atoll.providers.deposits.unpacking import is_archive
from atoll.providers.flights import Flights
from atoll.providers.making import in_time, mark
from atoll.providers.slots import Slots
from atoll.providers.uses import use
from atoll.sources import Checkout, RepoRef, ResolvedRef
from atoll.sources.locators import host_of

ANSWER = "answer.json"  # what the server said of the archive that was downloaded last


@dataclass(frozen=True, slots=True)
class Archives:
    """What is known of archives, below ``folder``; their work trees are among *checkouts*."""

    folder: Path
    gate: Gate
    checkouts: Checkouts
    slots: Slots
    flights: Flights = field(default_factory=Flights)

    async def resolve(self, repo: RepoRef, tell: Tell) -> ResolvedRef:
        """Return the archive as it is now, downloaded and unpacked if it is not here yet.

        Raises `NotFound` where a version was named and it is another one by now.
        """
        if repo.version != "HEAD" and (known := self.checkouts.known(repo, repo.version)):
            return known

        async def bring(tell: Tell) -> str:
            return await self._bring(repo, tell)

        version = await self.flights.join(repo.locator, bring, tell)
        if repo.version not in {"HEAD", version}:
            raise NotFound(
                f"{repo.locator} is another archive than {repo.version[:12]}… by now.",
                hint="Leave the version away to open it as it is now.",
            )
        found = self.checkouts.known(repo, version)
        if found is None:
            raise NotFound(f"{repo.locator} was removed here meanwhile.", hint="Try again.")
        return found

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Return the work tree of *ref*, downloading it again if it was removed meanwhile."""
        await self.resolve(replace(ref.repo, version=ref.version), tell)
        return await self.checkouts.take(ref, None, tell)

    async def _bring(self, repo: RepoRef, tell: Tell) -> str:
        home = self.folder / mark(repo.locator, trusted=self.gate.trusted)
        home.mkdir(parents=True, exist_ok=True)
        use(home)
        before = _read_answer(home)
        here = self.checkouts.known(repo, before.get("version", "")) is not None
        aside = home / f".{new_id()}"
        aside.mkdir()
        packed = aside / _file_of(repo).path
        try:
            async with (
                self.slots.slot(tell),
                in_time(repo.locator, self.checkouts.timeout),
                Client(self.gate, tell) as client,
                client.open(repo.locator, _conditions(before) if here else {}) as answer,
            ):
                if here and answer.status_code == httpx2.codes.NOT_MODIFIED:
                    return before["version"]
                check_status(answer)
                version = await self._download(answer, repo, packed, tell)
            after = _answer_of(answer, version)
            ref = ResolvedRef(repo, version, version, _modified(after) or datetime.now(UTC))
            await self.checkouts.take(ref, packed, tell)
            (aside / ANSWER).write_text(json.dumps(after), "utf-8")
            (aside / ANSWER).replace(home / ANSWER)
        finally:
            await asyncio.to_thread(remove, aside)
        return version

    async def _download(
        self, answer: httpx2.Response, repo: RepoRef, packed: Path, tell: Tell
    ) -> str:
        tell(Event("fetch", f"Downloading {repo.locator}"))
        room = Room(packed.parent, self.checkouts.most)
        version = await save(answer, _file_of(repo), packed, room, tell)
        if not await asyncio.to_thread(is_archive, packed):
            raise NotFound(
                f"{repo.locator} is not an archive, whatever its name says.",
                hint=f"{host_of(repo.locator)} may want somebody to sign in.",
            )
        return version


def _file_of(repo: RepoRef) -> DepositFile:
    name = unquote(urlsplit(repo.locator).path).rpartition("/")[2]
    return DepositFile(shown(name.replace("/", "_"), 200), repo.locator)


def _conditions(before: dict[str, str]) -> dict[str, str]:
    """Return the headers that ask for an archive only if it is another than *before*."""
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {names[key]: before[key] for key in names if before.get(key)}


def _answer_of(answer: httpx2.Response, version: str) -> dict[str, str]:
    kept = {key: answer.headers.get(key, "")[:500] for key in ("etag", "last-modified")}
    return {"version": version, **kept}


def _read_answer(home: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((home / ANSWER).read_text("utf-8")))
    return {}


def _modified(answer: dict[str, str]) -> datetime | None:
    with contextlib.suppress(ValueError, TypeError):
        found = parsedate_to_datetime(answer["last-modified"])
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return min(found.astimezone(UTC), datetime.now(UTC))
    return None
