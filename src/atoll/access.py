"""Access: who may do what. One table, which the web, the API, the commands and the spawner read.

Whoever asks is, for a thing that has an owner and is shared, one or more of the `Role`s; each
`Deed` is open to some of them. Nothing else decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from atoll.errors import BadRequest
from atoll.people import Person

LONGEST = 255  # characters of a person's or a group's name, as JupyterHub has it


class Kind(StrEnum):
    """What a party is; as an owner, the hub is its operator, otherwise all who have signed in."""

    PERSON = "person"
    GROUP = "group"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Party:
    """A person, a group of people, or the hub: who owns something, or has a share in it."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        """Return it as people write it: ``ada``, ``@maths``, or ``@`` for the hub."""
        return self.name if self.kind is Kind.PERSON else f"@{self.name}"

    def has(self, person: Person) -> bool:
        """Say whether *person*, who has signed in, is it or belongs to it."""
        if self.kind is Kind.GROUP:
            return self.name in person.groups
        return self.kind is Kind.HUB or self.name == person.name


HUB = Party(Kind.HUB)


@dataclass(frozen=True, slots=True)
class Share:
    """That *whom* may read something of somebody else's, and, if ``writable``, change it."""

    whom: Party
    writable: bool = False


class Level(StrEnum):
    """What somebody may do in a server whose owner lets them in; each may all before it, too."""

    VIEW = "view"
    RUN = "run"
    MANAGE = "manage"

    @property
    def whole(self) -> tuple[Level, ...]:
        """All that it comes to, the least first."""
        return tuple(Level)[: tuple(Level).index(self) + 1]


class Role(StrEnum):
    """What somebody is to a thing. A mate is of the group that owns it.

    A viewer, a runner and a manager are in a server that is another's, by their `Level`.
    """

    NOBODY = "nobody"
    STRANGER = "stranger"
    READER = "reader"
    WRITER = "writer"
    VIEWER = "viewer"
    RUNNER = "runner"
    MANAGER = "manager"
    OWNER = "owner"
    MATE = "mate"
    OPERATOR = "operator"


class Deed(StrEnum):
    """What can be done with a volume."""

    SEE = "see"
    READ = "read"
    WRITE = "write"
    CHANGE = "change"
    SHARE = "share"
    HAND_OVER = "hand over"
    SNAPSHOT = "snapshot"
    DELETE = "delete"
    RESTORE = "restore"


# An operator sees what there is and clears up, but reads nobody's files: who must, hands the volume
# over first, which is seen. A mate may do what another mate can undo; a volume that is handed over
# out of its group is gone for all of them.
VOLUMES: Mapping[Deed, frozenset[Role]] = {
    Deed.SEE: frozenset({Role.READER, Role.WRITER, Role.OWNER, Role.MATE, Role.OPERATOR}),
    Deed.READ: frozenset({Role.READER, Role.WRITER, Role.OWNER, Role.MATE}),
    Deed.WRITE: frozenset({Role.WRITER, Role.OWNER, Role.MATE}),
    Deed.CHANGE: frozenset({Role.OWNER, Role.MATE, Role.OPERATOR}),
    Deed.SHARE: frozenset({Role.OWNER, Role.MATE}),
    Deed.HAND_OVER: frozenset({Role.OWNER, Role.OPERATOR}),
    Deed.SNAPSHOT: frozenset({Role.OWNER, Role.MATE}),
    Deed.DELETE: frozenset({Role.OWNER, Role.MATE, Role.OPERATOR}),
    Deed.RESTORE: frozenset({Role.OWNER, Role.MATE, Role.OPERATOR}),
}


class ServerDeed(StrEnum):
    """What can be done with a server that people share."""

    OPEN = "open"
    RUN = "run"
    START = "start"
    STOP = "stop"
    SHARE = "share"
    APPOINT = "appoint"
    DELETE = "delete"


GUESTS: Mapping[Level, Role] = {
    Level.VIEW: Role.VIEWER,
    Level.RUN: Role.RUNNER,
    Level.MANAGE: Role.MANAGER,
}
# Opening and running are the server's own to enforce (`engines/local/inside/guests.py`). A manager
# lets others look and run, but makes no managers: whom an owner trusts that far is theirs to say.
SERVERS: Mapping[ServerDeed, frozenset[Role]] = {
    ServerDeed.OPEN: frozenset({*GUESTS.values(), Role.OWNER, Role.OPERATOR}),
    ServerDeed.RUN: frozenset({Role.RUNNER, Role.MANAGER, Role.OWNER, Role.OPERATOR}),
    ServerDeed.START: frozenset({Role.MANAGER, Role.OWNER}),
    ServerDeed.STOP: frozenset({Role.MANAGER, Role.OWNER, Role.OPERATOR}),
    ServerDeed.SHARE: frozenset({Role.MANAGER, Role.OWNER}),
    ServerDeed.APPOINT: frozenset({Role.OWNER}),
    ServerDeed.DELETE: frozenset({Role.OWNER}),
}


def roles_in(person: Person | None, owner: str, level: Level | None) -> frozenset[Role]:
    """Return what *person*, whom shares give *level*, is to a server of *owner*'s."""
    if person is None or person.visitor:
        return frozenset({Role.NOBODY})
    found = {GUESTS[level]} if level else set()
    if person.name == owner:
        found.add(Role.OWNER)
    if person.admin:
        found.add(Role.OPERATOR)
    return frozenset(found or {Role.STRANGER})


def may_in(deed: ServerDeed, whoever: frozenset[Role]) -> bool:
    """Say whether somebody with these roles may do that with a server."""
    return not SERVERS[deed].isdisjoint(whoever)


def roles(person: Person | None, owner: Party, shares: Iterable[Share] = ()) -> frozenset[Role]:
    """Return all that *person* is to a thing of *owner*'s; ``None`` has not signed in."""
    if person is None or person.visitor:
        return frozenset({Role.NOBODY})
    found = {Role.WRITER if one.writable else Role.READER for one in shares if one.whom.has(person)}
    if owner.kind is not Kind.HUB and owner.has(person):
        found.add(Role.OWNER if owner.kind is Kind.PERSON else Role.MATE)
    if person.admin:
        found.add(Role.OPERATOR)
    return frozenset(found or {Role.STRANGER})


def may(deed: Deed, whoever: frozenset[Role]) -> bool:
    """Say whether somebody with these roles may do that with a volume."""
    return not VOLUMES[deed].isdisjoint(whoever)


def parties(person: Person) -> tuple[Party, ...]:
    """Return all that *person* is or belongs to, but for the hub."""
    groups = (Party(Kind.GROUP, name) for name in sorted(person.groups))
    return (Party(Kind.PERSON, person.name), *groups)


def party(text: str) -> Party:
    """Return the person (``ada``) or group (``@maths``) that *text* names.

    Raises `BadRequest`.
    """
    name = text.removeprefix("@")
    if not name or len(name) > LONGEST or not name.isprintable() or "/" in name:
        raise BadRequest(
            f"“{text[:LONGEST]}” is neither a person nor a group.",
            hint="Write a person's name, or @ and a group's: ada, @maths.",
        )
    return Party(Kind.GROUP if text.startswith("@") else Kind.PERSON, name)
