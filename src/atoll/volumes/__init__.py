"""Volumes: files that outlive a server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from atoll.access import HUB, Deed, Party, Share, may, roles
from atoll.people import Person


@dataclass(frozen=True, slots=True)
class Copied:
    """A server of *owner*'s whose work files somebody gets a copy of.

    ``link`` marks the address by which they came: once that is taken back, no copy is started.
    """

    owner: str
    server: str
    link: str


@dataclass(frozen=True, slots=True)
class Content:
    """The files that a server opens with.

    ``checkout`` is a folder that only the engine reads; its copy becomes the server's home.
    A temporary server's copy is made afresh at each start and discarded at the stop; otherwise
    it is made once and kept, with all changes, until the server is removed. Where it is ``copied``,
    the files are those of another person's server as they are saved when it starts.
    """

    checkout: str
    temporary: bool = False
    copied: Copied | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """Files with a name of their own, which any number of servers may have at once.

    ``quota`` is in bytes; 0 is none. Of a snapshot, ``origin`` is the id of the volume that it was
    made of; nobody writes to it. ``deleted`` is when it was, if it can still be restored.
    """

    id: str
    owner: Party
    name: str
    made: datetime
    description: str = ""
    quota: int = 0
    shares: tuple[Share, ...] = ()
    deleted: datetime | None = None
    origin: str = ""

    def __str__(self) -> str:
        """Return how everybody but its owner writes it: ``ada/thesis``."""
        return f"{self.owner}/{self.name}"

    def lets(self, person: Person | None, deed: Deed) -> bool:
        """Say whether *person* may do *deed* with it, as it is now.

        A deleted one is there only for those who may restore it, and for nothing else; nobody
        writes to a snapshot, and what is the hub's is as the settings say.
        """
        who = roles(person, self.owner, self.shares)
        if self.deleted and deed not in {Deed.SEE, Deed.DELETE, Deed.RESTORE}:
            return False
        if self.deleted and not may(Deed.RESTORE, who):
            return False
        if self.owner == HUB and deed not in {Deed.SEE, Deed.READ}:
            return False
        return may(deed, who) and not (self.origin and deed is Deed.WRITE)


@dataclass(frozen=True, slots=True)
class Wish:
    """A volume, as a person writes it, that is to be mounted at a point of a server."""

    point: str
    volume: str
    read_only: bool = False

    def __str__(self) -> str:
        """Return how people write it, which `points.wish` reads: ``thesis:data:ro``."""
        return f"{self.volume}:{self.point}{':ro' if self.read_only else ''}"


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume at a point of a server.

    ``point`` is a path below the home, or an absolute one (`points`). ``volume`` is an id,
    ``name`` what the person wrote.
    """

    point: str
    volume: str
    name: str
    writable: bool = False


class Records(Protocol):
    """Where it is recorded which volumes there are, whose they are and with whom shared."""

    async def add(self, volume: Volume) -> bool:
        """Record *volume*, without its shares; ``False`` if its owner has one of that name."""
        ...

    async def get(self, volume_id: str) -> Volume | None:
        """Return it, if there is one, deleted or not."""
        ...

    async def find(self, owner: Party, name: str) -> Volume | None:
        """Return *owner*'s volume *name*, if there is one, deleted or not."""
        ...

    async def of(self, whom: Iterable[Party]) -> list[Volume]:
        """Return all that any of *whom* owns or has a share in, by owner and name."""
        ...

    async def all(self) -> list[Volume]:
        """Return all, by owner and name."""
        ...

    async def change(self, before: Volume, after: Volume) -> bool:
        """Replace *before* by *after*, but for its shares.

        ``False`` if it is not as *before* any more, or *after*'s owner has one of that name.
        """
        ...

    async def share(self, volume_id: str, share: Share) -> None:
        """Record *share*, in place of another with the same party."""
        ...

    async def unshare(self, volume_id: str, whom: Party) -> None:
        """Forget *whom*'s share; there may be none."""
        ...

    async def forget(self, volume_id: str) -> None:
        """Forget it and its shares; it may be gone."""
        ...


class Files(Protocol):
    """Where the files of volumes are; the part of an engine that its servers' mounts come from."""

    async def make(self, volume_id: str) -> None:
        """Make room for a volume's files: none yet."""
        ...

    async def has(self, volume: Volume) -> bool:
        """Say whether its files are there now; what an operator names may not be."""
        ...

    async def size(self, volume: Volume) -> int:
        """Return how many bytes of disk they take."""
        ...

    async def copy(self, volume_id: str, new_id: str) -> bool:
        """Make the files of a new volume a copy; return whether both share what they have alike.

        Raises `StartFailed` and leaves nothing where that fails.
        """
        ...

    async def remove(self, volume_id: str) -> None:
        """Delete the files; there may be none."""
        ...

    async def sweep(self, before: datetime) -> None:
        """Delete what was half made or half deleted *before*: whoever did it was killed."""
        ...

    def users(self) -> list[tuple[str, str]]:
        """Return, for each mount of a running server, the volume's id and ``PERSON/SERVER``."""
        ...


def written(size: int) -> str:
    """Write *size* bytes as people write a quota: 5G, 6.4G, 512M (powers of 1024)."""
    for unit, power in (("T", 4), ("G", 3), ("M", 2), ("K", 1)):
        if size >= 1024**power:
            return f"{round(size / 1024**power, 1):g}{unit}"
    return f"{size} bytes"
