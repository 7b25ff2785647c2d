"""Sources: what the person pointed at, and the exact thing it turned out to be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from atoll.events import Event, Tell


@dataclass(frozen=True, slots=True)
class RepoRef:
    """What the person typed, tidied: may move from one day to the next ("main").

    ``provider`` is the plug-in that understands ``locator`` ("git" and a URL or an absolute path).
    ``version`` is a branch, a tag, a full or short commit, or ``HEAD``. In a pasted browser URL
    the branch runs into the path (``/tree/feature/x/folder``): then ``version`` is all of it, and
    ``path_follows`` is true until the remote has said where the branch ends.
    """

    provider: str
    locator: str
    version: str = "HEAD"
    path_follows: bool = False

    def __str__(self) -> str:
        """Return it as a person would write it, and as `parsing.parse` reads it back."""
        locator, version = self.locator, self.version
        if locator.startswith("/"):  # a folder's name may hold an @, and its parents' names too
            locator += "/" * ("@" in locator.rpartition("/")[2])
            version = version.replace("/", "%2F")
        return f"{locator}@{version}" if version != "HEAD" else locator


def written(repo: RepoRef, environment: RepoRef | None = None) -> str:
    """Return *repo*, and the *environment* of a pair, as `parsing.parse` reads them back."""
    return f"{environment} + {repo}" if environment else str(repo)


@dataclass(frozen=True, slots=True)
class Target:
    """What a pasted text means: a repository, and the URL path to land on, "" if it names none.

    ``environment`` is another repository, whose specification is built, where the text names a
    pair; then ``repo`` is the content: its files are what a person gets.
    """

    repo: RepoRef
    opening: str = ""
    environment: RepoRef | None = None


@dataclass(frozen=True, slots=True)
class ResolvedRef:
    """One immutable version of a repository.

    ``version`` is the commit, ``tree`` names its content, ``date`` is the commit's, in UTC.
    ``path`` is the file or folder inside it that a pasted URL pointed at, or "".
    """

    repo: RepoRef
    version: str
    tree: str
    date: datetime
    path: str = ""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A resolved repository on disk: ``path`` is a work tree that nobody may change.

    ``files`` has the bytes of the small files that may specify an environment, by their path
    ("requirements.txt", "binder/postBuild"); ``changed`` says, for each, when it last changed
    in the history of this version (UTC). ``warnings`` are sentences for the person.
    """

    ref: ResolvedRef
    path: Path
    files: Mapping[str, bytes]
    changed: Mapping[str, datetime] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a repository that can be made again, and when it was last needed (UTC)."""

    path: Path
    used: datetime


def ignore(event: Event) -> None:
    """Tell nobody."""


class Source(Protocol):
    """The part of a provider that finds and fetches repositories."""

    async def resolve(self, repo: RepoRef, tell: Tell = ignore) -> ResolvedRef:
        """Pin *repo* to one version, or raise `NotFound`, `Refused`, `Unreachable`, `TooLarge`.

        What comes over the network while doing so is told to *tell*. In the answer's ``repo``
        the version is settled: ``path_follows`` is false there.
        """
        ...

    async def fetch(self, ref: ResolvedRef, tell: Tell) -> Checkout:
        """Bring *ref* here; fetching it again is free. Raises also `TooLarge`."""
        ...

    def check(self, repo: RepoRef) -> None:
        """Raise `Refused` where its address alone tells that *repo* may not be fetched here."""
        ...

    async def prune(
        self, before: datetime, needed: Collection[str], *, dry_run: bool = False
    ) -> list[Copy]:
        """Remove the copies that were last needed *before* then, and return them.

        Those in which one of the paths *needed* lies stay, and those that a launch under way may
        use. With *dry_run*, only say which they are.
        """
        ...


@runtime_checkable
class Receiver(Protocol):
    """The part of a provider that takes what people send here."""

    async def receive(self, name: str, parts: AsyncIterator[bytes]) -> RepoRef:
        """Keep what comes as *parts*, a file called *name*, and return what it is launched by.

        Raises `BadReference`, `Refused`, `TooLarge`, `Lacking`; then nothing of it is kept.
        """
        ...
