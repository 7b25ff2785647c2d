"""Access: who may do what. One table, which the web, the API, the commands and the spawner read.

Whoever asks is, for a thing that has an owner and is shared, one or more of the `Role`s; each
`Deed` is open to some of them, each address of the service is a `Door`, and each command is in
`VERBS`. Nothing else decides: what is not in the table cannot be asked for.
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
    """What somebody is to a thing, or to the service. A mate is of the group that owns it.

    A stranger has signed in and is nothing more; a visitor is one whom the service lets in
    without that; a monitor is a program whose token reads metrics. A viewer, a runner and a manager
    are in a server that is another's, by their `Level`.
    """

    NOBODY = "nobody"
    VISITOR = "visitor"
    MONITOR = "monitor"
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
    SHOW = "show"
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
    ServerDeed.SHOW: frozenset({Role.OWNER}),  # to visitors, who get copies
    ServerDeed.DELETE: frozenset({Role.OWNER}),
}


def roles_in(person: Person | None, owner: str, level: Level | None) -> frozenset[Role]:
    """Return what *person*, whom shares give *level*, is to a server of *owner*'s."""
    if person is None or person.visitor:
        return frozenset({Role.VISITOR if person else Role.NOBODY})
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
        return frozenset({Role.VISITOR if person else Role.NOBODY})
    found = {Role.WRITER if one.writable else Role.READER for one in shares if one.whom.has(person)}
    if owner.kind is not Kind.HUB and owner.has(person):
        found.add(Role.OWNER if owner.kind is Kind.PERSON else Role.MATE)
    if person.admin:
        found.add(Role.OPERATOR)
    return frozenset(found or {Role.STRANGER})


def alone(person: Person | None, owner: str) -> frozenset[Role]:
    """Return what *person* is to a launch or server of *owner*'s, which are shared with nobody.

    A visitor's are the visitor's own.
    """
    mine = person is not None and person.name == owner
    found = roles(person, Party(Kind.PERSON, owner))
    return frozenset({Role.OWNER, *(found - {Role.VISITOR})}) if mine else found


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


class By(StrEnum):
    """How whoever comes to an address shows who they are.

    By a session, which is a browser's cookie; by a form of a page of ours, which holds a token
    beside that; or by a token of JupyterHub's, as programs do.
    """

    NOTHING = "nothing"
    SESSION = "session"
    FORM = "form"
    TOKEN = "token"  # noqa: S105 - a way, not a password


ALL = frozenset({Role.NOBODY, Role.VISITOR, Role.STRANGER, Role.OPERATOR})
LET_IN = ALL - {Role.NOBODY}
SIGNED_IN = LET_IN - {Role.VISITOR}
THEIRS = frozenset({Role.OWNER})
WATCHED = THEIRS | {Role.OPERATOR}


@dataclass(frozen=True, slots=True)
class Door:
    """An address of the service: to whom it is open, and by what they show who they are.

    ``to`` is what they are to the service; ``whose`` what they must be to what the address names.
    Where that is empty it names nothing, or a volume, of which `VOLUMES` says who may do what. Of
    a server that is shared, it is a row of `SERVERS`.
    """

    by: By
    to: frozenset[Role]
    whose: frozenset[Role] = frozenset()


_OPEN = Door(By.NOTHING, ALL)
_PAGE = Door(By.SESSION, LET_IN)
_FORM = Door(By.FORM, LET_IN)
_MINE = Door(By.SESSION, LET_IN, THEIRS)
_MINE_FORM = Door(By.FORM, LET_IN, THEIRS)
_WATCHED = Door(By.SESSION, LET_IN, WATCHED)
_PROGRAM = Door(By.TOKEN, SIGNED_IN)
_MY_PROGRAM = Door(By.TOKEN, SIGNED_IN, THEIRS)
_WATCHING_PROGRAM = Door(By.TOKEN, SIGNED_IN, WATCHED)
_OFFICE = frozenset({Role.OPERATOR})
_MONITOR = Door(By.TOKEN, frozenset({Role.MONITOR}))

# Every address below the service's own path, and, with a slash first, below the hub's. An operator
# sees how anybody's launch goes and ends it; it is still its owner's to enter and to answer.
DOORS: Mapping[str, Door] = {
    "GET ": _PAGE,
    "GET v2/{rest:path}": _PAGE,
    "GET recognise": _PAGE,
    "POST launches": _FORM,
    "PUT uploads/{name}": Door(By.FORM, SIGNED_IN),
    "GET copies/{key}": _PAGE,
    "POST copies/{key}": _FORM,
    "GET launches/{launch}": _WATCHED,
    "GET launches/{launch}/events": _WATCHED,
    "GET launches/{launch}/log": _WATCHED,
    "GET launches/{launch}/requirements.txt": _WATCHED,
    "POST launches/{launch}/cancel": Door(By.FORM, LET_IN, WATCHED),
    "GET launches/{launch}/edit": _MINE,
    "GET launches/{launch}/enter": _MINE,
    "POST launches/{launch}/retry": _MINE_FORM,
    "POST launches/{launch}/accept": _MINE_FORM,
    "POST launches/{launch}/answer": _MINE_FORM,
    "GET servers": _PAGE,
    "GET servers/states": _PAGE,
    "GET servers/{server}/open": _MINE,
    "GET servers/{server}/delete": _MINE,
    "GET servers/{server}/elsewhere": _MINE,
    "POST servers/{server}/start": _MINE_FORM,
    "POST servers/{server}/stop": _MINE_FORM,
    "POST servers/{server}/update": _MINE_FORM,
    "POST servers/{server}/delete": _MINE_FORM,
    "POST servers/{server}/restart": _MINE_FORM,
    "POST servers/{server}/title": _MINE_FORM,
    "GET servers/{server}/people": Door(By.SESSION, SIGNED_IN, THEIRS),
    "POST servers/{server}/people/{deed}": Door(By.FORM, SIGNED_IN, THEIRS),
    "GET shared/{owner}/{server}/people": Door(By.SESSION, SIGNED_IN, SERVERS[ServerDeed.SHARE]),
    "POST shared/{owner}/{server}/people/{deed}": Door(
        By.FORM, SIGNED_IN, SERVERS[ServerDeed.SHARE]
    ),
    "GET shared/{owner}/{server}/open": Door(By.SESSION, SIGNED_IN, SERVERS[ServerDeed.OPEN]),
    "POST shared/{owner}/{server}/start": Door(By.FORM, SIGNED_IN, SERVERS[ServerDeed.START]),
    "POST shared/{owner}/{server}/stop": Door(By.FORM, SIGNED_IN, SERVERS[ServerDeed.STOP]),
    "POST shared/{owner}/{server}/leave": Door(By.FORM, SIGNED_IN, frozenset(GUESTS.values())),
    "GET api/me": _PROGRAM,
    "POST api/launches": _PROGRAM,
    "GET api/launches/{launch}": _WATCHING_PROGRAM,
    "GET api/launches/{launch}/events": _WATCHING_PROGRAM,
    "POST api/launches/{launch}/cancel": _WATCHING_PROGRAM,
    "POST api/launches/{launch}/answer": _MY_PROGRAM,
    "GET api/servers": _PROGRAM,
    "GET api/servers/{server}/log": _MY_PROGRAM,
    "POST api/servers/{server}/start": _MY_PROGRAM,
    "POST api/servers/{server}/stop": _MY_PROGRAM,
    "POST api/servers/{server}/restart": _MY_PROGRAM,
    "POST api/servers/{server}/update": _MY_PROGRAM,
    "POST api/servers/{server}/delete": _MY_PROGRAM,
    "GET api/shared": _PROGRAM,
    "GET api/servers/{owner}/{server}/people": Door(By.TOKEN, SIGNED_IN, SERVERS[ServerDeed.SHARE]),
    "POST api/servers/{owner}/{server}/people/{deed}": Door(
        By.TOKEN, SIGNED_IN, SERVERS[ServerDeed.SHARE]
    ),
    "POST api/servers/{server}/title": Door(By.TOKEN, SIGNED_IN, THEIRS),
    "GET volumes": Door(By.SESSION, SIGNED_IN),
    "GET volumes/choices": Door(By.SESSION, SIGNED_IN),
    "POST volumes/{deed}": Door(By.FORM, SIGNED_IN),
    "GET api/volumes": _PROGRAM,
    "POST api/volumes/{deed}": _PROGRAM,
    "GET admin": Door(By.SESSION, _OFFICE),
    "GET admin/costs": Door(By.SESSION, _OFFICE),
    "GET admin/costs.csv": Door(By.SESSION, _OFFICE),
    "GET admin/log": Door(By.SESSION, _OFFICE),
    "GET admin/limits": Door(By.SESSION, _OFFICE),
    "GET admin/messages": Door(By.SESSION, _OFFICE),
    "POST admin/stop": Door(By.FORM, _OFFICE),
    "POST admin/limits": Door(By.FORM, _OFFICE),
    "POST admin/messages": Door(By.FORM, _OFFICE),
    "POST admin/messages/end": Door(By.FORM, _OFFICE),
    "POST admin/see-as": Door(By.FORM, _OFFICE),
    "POST see-as/end": Door(By.FORM, SIGNED_IN),
    "GET api/admin/{view}": Door(By.TOKEN, _OFFICE),
    "POST api/admin/stop": Door(By.TOKEN, _OFFICE),
    "POST api/admin/limits": Door(By.TOKEN, _OFFICE),
    "POST api/admin/messages": Door(By.TOKEN, _OFFICE),
    "POST api/admin/messages/end": Door(By.TOKEN, _OFFICE),
    "POST api/admin/see-as": Door(By.TOKEN, _OFFICE),
    "POST messages/dismiss": Door(By.FORM, SIGNED_IN),
    "GET sign-in": _OPEN,
    "GET oauth_callback": _OPEN,
    "POST sign-out": _FORM,
    "POST trusted/drop": _FORM,
    "GET about": _OPEN,
    "GET openapi.json": _OPEN,
    "GET metrics": _MONITOR,
    "GET static/{path:path}": _OPEN,
    "GET /v2/{rest:path}": _OPEN,  # it only leads to the page of ours that asks
    "GET /build/{rest:path}": Door(By.TOKEN, LET_IN),
    "OPTIONS /build/{rest:path}": _OPEN,
    "GET /badge_logo.svg": _OPEN,
    "GET /badge.svg": _OPEN,
    "GET /health": _OPEN,
    "GET /health/live": _OPEN,
    "GET /health/ready": _OPEN,
    "GET /versions": _OPEN,
    "GET /api/repoproviders": _OPEN,
    "GET /about": _OPEN,
    "GET /metrics": _MONITOR,
}

# What an operator reaches while they see the pages as somebody else: what is only looked at and
# leads nowhere, and the ways out. All else that needs a session is closed to them meanwhile.
SEEN_AS = frozenset(
    {
        "GET ",
        "GET recognise",
        "GET servers",
        "GET servers/states",
        "GET volumes",
        "POST see-as/end",
        "POST sign-out",
    }
)

# Commands act as the operator of the installation in whose data folder they act: whoever the
# operating system lets into that, its owner and root. The others need no folder.
HOLDER = frozenset({Role.OPERATOR})
_HELD = """
run, build, infer, check, list, open, logs, start, stop, share, update, remove, title, up, backup,
restore,
environments list, environments show, environments prune, environments pin, environments unpin,
volumes list, volumes make, volumes change, volumes share, volumes unshare, volumes snapshot,
volumes hand-over, volumes delete, volumes restore,
admin people, admin servers, admin costs, admin log, admin stop, admin limits,
admin messages, admin message, admin take-back, admin see-as
"""
VERBS: Mapping[str, frozenset[Role]] = {
    **dict.fromkeys((" ".join(verb.split()) for verb in _HELD.split(",")), HOLDER),
    **dict.fromkeys(("doctor", "sign-in", "sign-out"), HOLDER | {Role.STRANGER}),
}
