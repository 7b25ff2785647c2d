"""Company: whom a launch lets into its server, and whether visitors get copies of it.

What is asked for is added to what there is; nothing is ever taken back by a launch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from atoll.access import Kind, Level, Party, party
from atoll.errors import BadRequest, Refused
from atoll.events import Event, Tell
from atoll.launching.changes import Change, Wanted
from atoll.launching.copies import CopyLinks, new_link
from atoll.people import VISITOR, Person
from atoll.servers import ServerPlan
from atoll.volumes import Mount
from atoll.volumes.keeper import Keeper

MOST = 20  # people and groups that one launch names
GROUP = "group:"
MAY = {
    Level.VIEW: "look at it",
    Level.RUN: "run code in it, as you",
    Level.MANAGE: "run code in it, as you, start and stop it, and let others in",
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A person or group, and what they may do in the server."""

    whom: Party
    level: Level = Level.RUN

    def __str__(self) -> str:
        """Return how people write it, which `guests` reads: ``ada``, ``@maths:view``."""
        return str(self.whom) if self.level is Level.RUN else f"{self.whom}:{self.level}"

    @property
    def may(self) -> str:
        """What they may do there, to be said to its owner."""
        return MAY[self.level]


@dataclass(frozen=True, slots=True)
class Invited:
    """Who is to be let in, and whether visitors are to get copies."""

    people: tuple[Guest, ...] = ()
    visitors: bool = False

    @property
    def anybody(self) -> bool:
        """Whether anybody is."""
        return bool(self.people) or self.visitors


NOBODY = Invited()


def guests(text: str) -> tuple[Guest, ...]:
    """Return whom *text* names, with commas between: ``ada``, ``ada:view``, ``group:maths:run``.

    A group may be written ``@maths``, too. Raises `BadRequest`.
    """
    found: dict[Party, Guest] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        guest = _guest(one)
        if found.setdefault(guest.whom, guest) != guest:
            raise BadRequest(f"“{guest.whom}” is named twice.", hint="Say once what they may do.")
    if len(found) > MOST:
        raise BadRequest(f"A launch lets in {MOST} people and groups.", hint="Name a group.")
    return tuple(found.values())


def _guest(text: str) -> Guest:
    name, colon, level = text.rpartition(":")
    if not colon or level not in set(Level):
        name, level = text, Level.RUN
    if name.startswith(GROUP):
        name = f"@{name.removeprefix(GROUP)}"
    return Guest(somebody(name), Level(level))


def somebody(text: str) -> Party:
    """Return the person or group that *text* names, who may be let into servers.

    Raises `BadRequest` for visitors, and for all together.
    """
    whom = party(text)
    if whom.kind is Kind.HUB or whom.name.startswith(VISITOR):
        raise BadRequest("A visitor cannot be let in.", hint="Name somebody who signs in.")
    return whom


class Given(Protocol):
    """That somebody is let into a server."""

    @property
    def whom(self) -> Party:
        """Who."""
        ...

    @property
    def level(self) -> Level:
        """What they may do."""
        ...


class Guests(Protocol):
    """Where it is kept who is let into whose server; here, JupyterHub."""

    async def of(self, owner: str, server: str) -> Sequence[Given]:
        """Return who is let into *server* of *owner*; nobody, if it has never run."""
        ...

    async def exists(self, whom: Party) -> None:
        """Raise `NotFound` if nobody is called so."""
        ...

    async def give(self, owner: str, server: str, whom: Party, level: Level) -> None:
        """Let *whom* do *level*, no more and no less, in a server that has begun to run once."""
        ...


@dataclass(frozen=True, slots=True)
class Company:
    """Does what launches ask for others, where there are others: on a hub."""

    shares: Guests
    links: CopyLinks
    keeper: Keeper | None = None

    async def check(self, invited: Invited, person: Person, *, temporary: bool) -> None:
        """Raise, before anything is built, where *person* cannot have *invited* whom they name."""
        if invited.anybody and person.visitor:
            raise Refused("Only who has signed in lets others in.", hint="Sign in, and launch it.")
        if invited.visitors and temporary:
            message = "A temporary server keeps no files that visitors could have copies of."
            raise BadRequest(message, hint="Keep its files, or let no visitors have copies.")
        for one in invited.people:
            if one.whom == Party(Kind.PERSON, person.name):
                raise BadRequest("It is your own server.", hint="Name somebody else, or a group.")
            await self.shares.exists(one.whom)

    async def changes(
        self, invited: Invited, person: Person, server: str, wanted: Wanted
    ) -> tuple[Change, ...]:
        """Return how *person*'s *server*, which is there, would be open to more than it is."""
        found: list[Change] = []
        if new := await self._missing(invited.people, person.name, server):
            now = [Guest(one.whom, one.level) for one in await self.shares.of(person.name, server)]
            after = {one.whom: one for one in (*now, *new)}
            found.append(Change("People", _written(now), _written(after.values())))
        if invited.visitors and not await self.links.of(person.name, server):
            names = [one.name for one in await self._shown(person, wanted.mounts)]
            read = f", and read {', '.join(names)}" if names else ""
            found.append(Change("Visitors", "get no copies", f"get copies by a link{read}"))
        return tuple(found)

    async def welcome(
        self, invited: Invited, plan: ServerPlan, tell: Tell
    ) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """Let them into *plan*'s server, which runs; yield what was done, to be written down."""
        owner, name = plan.owner.name, plan.name
        for one in await self._missing(invited.people, owner, name):
            await self.shares.give(owner, name, one.whom, one.level)
            tell(Event("start", f"{one.whom} may now {one.may}", note=True))
            yield "share", {"whom": str(one.whom), "level": one.level.value}
        if invited.visitors and not await self.links.of(owner, name):
            may = await self._shown(plan.owner, plan.mounts)
            await self.links.put(new_link(owner, name, tuple(one.volume for one in may)))
            tell(Event("start", "Visitors get copies by the link on its page of people", note=True))
            yield "let visitors copy", {"volumes": ", ".join(one.name for one in may)}

    async def _shown(self, person: Person, mounts: Iterable[Mount]) -> list[Mount]:
        return await self.keeper.may_show(person, mounts) if self.keeper else []

    async def _missing(self, people: Sequence[Guest], owner: str, server: str) -> list[Guest]:
        """Return those of *people* who may not do there yet what they are to."""
        if not people:
            return []
        now = {one.whom: one.level.whole for one in await self.shares.of(owner, server)}
        return [one for one in people if one.level not in now.get(one.whom, ())]


async def check(
    company: Company | None, invited: Invited, person: Person, *, temporary: bool
) -> None:
    """Raise, before anything is built, where *person* cannot have *invited* whom they name."""
    if company:
        await company.check(invited, person, temporary=temporary)
    elif invited.anybody:
        message = "Nobody else is here who could be let in."
        raise Refused(message, hint="Launch it on a hub, where others sign in, too.")


def check_levels(invited: Invited, *, own_lab: bool) -> None:
    """Raise `Refused` where somebody is to look only, and the repository brings its own Lab."""
    if own_lab and any(one.level is Level.VIEW for one in invited.people):
        raise Refused(
            "This repository brings its own JupyterLab, where nobody can be held to looking.",
            hint="Let them run code, or share the files in a volume.",
        )


def _written(people: Collection[Guest]) -> str:
    return ", ".join(sorted(f"{one.whom} ({one.level})" for one in people)) or "nobody else"
