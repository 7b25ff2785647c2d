"""Copies: what visitors get of a server whose owner lets them have it, and by which address.

A copy is a temporary server of the visitor's own, in the environment of the other, with its work
files as they are saved, and with its volumes to be read. Nothing leads from it to the original.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from atoll.errors import NotFound
from atoll.names import new_id
from atoll.people import Person
from atoll.servers import NO_ENDS, Limits, Network, ServerPlan
from atoll.volumes import Content, Copied


@dataclass(frozen=True, slots=True)
class CopyLink:
    """The address, by its ``key``, at which there are copies of *owner*'s *server*.

    ``volumes`` are the ids of those that its owner lets visitors read.
    """

    owner: str
    server: str
    key: str
    made: datetime
    volumes: tuple[str, ...] = ()

    @property
    def copied(self) -> Copied:
        """What plans and launches say of it; no key can be made of that."""
        mark = hashlib.sha256(self.key.encode()).hexdigest()[:16]
        return Copied(self.owner, self.server, mark)


def new_link(owner: str, server: str, volumes: tuple[str, ...]) -> CopyLink:
    """Return a link to *server* of *owner*'s, with a key that nobody guesses."""
    return CopyLink(owner, server, secrets.token_urlsafe(18), datetime.now(UTC), volumes)


class CopyLinks(Protocol):
    """Where these addresses are remembered; a server has one or none."""

    async def put(self, link: CopyLink) -> None:
        """Remember *link*, instead of the one before of the same server."""
        ...

    async def get(self, key: str) -> CopyLink | None:
        """Return the link that has *key*, if there is one."""
        ...

    async def of(self, owner: str, server: str) -> CopyLink | None:
        """Return the link to *server* of *owner*'s, if there is one."""
        ...

    async def drop(self, owner: str, server: str) -> None:
        """Forget the link to it; there may be none."""
        ...


def taken_back() -> NotFound:
    """Return what somebody is told whose link leads nowhere, or not any more."""
    return NotFound(
        "There is no copy to be had here.",
        hint="The link may have been taken back or renewed. Ask whoever gave it to you.",
    )


def copy_of(
    plan: ServerPlan | None,
    copied: Copied,
    person: Person,
    name: str,
    limits: Limits,
    network: Network,
) -> ServerPlan:
    """Return the plan of *person*'s copy, called *name*, of the server that *plan* is of.

    It has the *limits* of its own, ends like any other, lets nobody else in, and reaches no more
    than the original and no more than *network* says.
    Raises `NotFound` where there is nothing to copy.
    """
    if plan is None or plan.content.temporary:
        raise taken_back()
    return replace(
        plan,
        id=new_id(),
        owner=person,
        name=name,
        content=Content(plan.content.checkout, temporary=True, copied=copied),
        limits=limits,
        ends=NO_ENDS,
        shared=False,
        network=min(plan.network, network, key=tuple(Network).index),
    )
