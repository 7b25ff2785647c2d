"""Sources: one whose repositories are dictionaries of files, and which fails when told to."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from atoll.errors import AtollError, NotFound, Refused
from atoll.events import Event, Tell
from atoll.sources import Checkout, Copy, RepoRef, ResolvedRef, ignore

DATE = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
SPECIFICATIONS = (
    "environment.yml",
    "requirements.txt",
    "pyproject.toml",
    "runtime.txt",
    "postBuild",
    "start",
)


@dataclass(slots=True)
class FakeSource:
    """Serves ``repositories``: files by path, by locator, written below ``folder`` when fetched.

    ``errors`` says which locators fail, and how; ``fetched`` counts.
    """

    folder: Path
    repositories: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    errors: dict[str, AtollError] = field(default_factory=dict)
    fetched: int = 0

    async def resolve(self, repo: RepoRef, tell: Tell = ignore) -> ResolvedRef:  # noqa: ARG002
        """Pin *repo*: its commit is made from its files and the version that was asked for."""
        if error := self.errors.get(repo.locator):
            raise error
        if repo.locator not in self.repositories:
            raise NotFound(
                f"There is no repository at {repo.locator}.",
                hint="Look for a spelling mistake; a private repository looks the same.",
            )
        version, _, path = (
            repo.version.partition("/") if repo.path_follows else (repo.version, "", "")
        )
        digest = hashlib.sha256(version.encode())
        for name, body in sorted(self.repositories[repo.locator].items()):
            digest.update(name.encode() + b"\0" + body)
        commit = digest.hexdigest()[:40]
        settled = replace(repo, version=version, path_follows=False)
        return ResolvedRef(settled, commit, tree=commit[::-1], date=DATE, path=path)

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Write the files of *ref*, once."""
        self.fetched += 1
        target = self.folder / ref.version
        files = self.repositories[ref.repo.locator]
        for name, body in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        target.mkdir(parents=True, exist_ok=True)
        tell(Event("fetch", f"{len(files)} files", detail=True))
        special = {name: body for name, body in files.items() if name in SPECIFICATIONS}
        return Checkout(ref, target, special, dict.fromkeys(special, DATE))

    def check(self, repo: RepoRef) -> None:
        """Raise what ``errors`` says if that is a refusal."""
        if isinstance(error := self.errors.get(repo.locator), Refused):
            raise error

    async def prune(
        self,
        before: datetime,  # noqa: ARG002
        needed: Collection[str],  # noqa: ARG002
        *,
        dry_run: bool = False,  # noqa: ARG002
    ) -> list[Copy]:
        """Keep everything."""
        return []
