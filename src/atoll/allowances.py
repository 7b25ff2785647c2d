"""Allowances: what somebody may have, by what is set for them and for the groups they are in.

``atoll.toml`` says what everybody and what the people of a group may have; an operator may set
something else for a person or a group while the hub runs, which is a `Ruling` each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError

from atoll.access import Kind, Party, parties
from atoll.errors import BadRequest, Changed
from atoll.people import Person
from atoll.quantities import UNITS, written_duration, written_number
from atoll.settings import Settings
from atoll.settings.sections import GroupSettings, ServerSettings

WIDEST = ("none", "internet", "full")
FOR_EVER = ("idle", "max_idle", "max_age", "lifetime")  # of these, 0 is the most
NAMES = tuple(GroupSettings.model_fields)
SIZES = ("memory", "max_memory", "volume_quota")
EVERYBODY, OURS = "everybody, atoll.toml", "atoll.toml"


@dataclass(frozen=True, slots=True)
class Ruling:
    """That an operator, *by*, has set *name*, one of `NAMES`, to *value* for *whom*."""

    whom: Party
    name: str
    value: Any
    by: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Rulings(Protocol):
    """Where rulings are kept; the newer one about the same counts."""

    async def of(self, whom: Iterable[Party]) -> Sequence[Ruling]:
        """Return what is set for any of *whom*."""
        ...

    async def all(self) -> Sequence[Ruling]:
        """Return what is set, by whom it is for and by name."""
        ...

    async def put(self, new: Iterable[Ruling], over: Iterable[Ruling] | None = None) -> None:
        """Keep *new*, all or none; one of which the value is ``None`` takes the old one back.

        *over* is what was set when that was decided: if it is not so any more, raise `Changed`.
        """
        ...

    async def forget(self, whom: Party) -> None:
        """Take back all that is set for *whom*, who is no more."""
        ...


@dataclass(frozen=True, slots=True)
class Word:
    """A value that counts for somebody, and in half a sentence where it is from."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Allowances:
    """Says what somebody may have now."""

    settings: Settings
    rulings: Rulings

    async def of(self, person: Person | None) -> ServerSettings:
        """Return the rules of ``[servers]`` as they are for *person*; ``None`` is unknown."""
        return allowance(self.settings, person, await self._about(person))

    async def words(self, person: Person | None) -> Mapping[str, Word]:
        """Return what counts for *person*, by name, and where it comes from."""
        return words(self.settings, person, await self._about(person))

    async def servers(self, person: Person) -> int:
        """Return how many servers *person* may have running."""
        return (await self.of(person)).per_person

    async def quota(self, owner: Party, person: Person) -> int:
        """Return what a volume of *owner*'s may take, in bytes, where *person* asks for it.

        A group's is the group's own, whoever of it asks; else *owner* is *person*.
        """
        if owner.kind is Kind.GROUP:
            return _room_of(self.settings, owner, await self.rulings.of([owner]))
        return int((await self.words(person))["volume_quota"].value)

    async def quotas(self, person: Person) -> dict[Party, int]:
        """Return what a volume of each of *person*'s groups may take, in bytes."""
        rulings = await self._about(person)
        groups = (Party(Kind.GROUP, name) for name in sorted(person.groups))
        return {group: _room_of(self.settings, group, rulings) for group in groups}

    async def any_ends(self) -> bool:
        """Whether servers are stopped of which nobody has asked for it."""
        if self.settings.any_ends:
            return True
        return any(one.name in FOR_EVER and one.value for one in await self.rulings.all())

    async def _about(self, person: Person | None) -> Sequence[Ruling]:
        known = person is not None and not person.visitor
        return await self.rulings.of(parties(person)) if person and known else ()


def allowance(
    settings: Settings, person: Person | None, rulings: Iterable[Ruling] = ()
) -> ServerSettings:
    """Return the rules of ``[servers]`` as they are for *person*; ``None`` is somebody unknown."""
    known = words(settings, person, rulings)
    update = {name: one.value for name, one in known.items() if name in ServerSettings.model_fields}
    return settings.servers.model_copy(update=update)


def words(
    settings: Settings, person: Person | None, rulings: Iterable[Ruling] = ()
) -> dict[str, Word]:
    """Return what *person* may have, by name, and where that is from.

    What an operator has set for the person goes before what their groups say, and that before
    what is said for everybody. A group says what an operator has set for it, else what ``[groups]``
    does; of several groups, the most generous word counts.
    """
    rulings = list(rulings)
    found = {name: Word(_usual(settings, name), EVERYBODY) for name in NAMES}
    for name in NAMES:
        said = [
            word
            for group in (sorted(person.groups) if person else ())
            if (word := _of_group(settings, group, name, rulings))
        ]
        if said:
            found[name] = max(said, key=lambda one: _generous(name, one.value))
        if name == "networks" and said:
            offered = {network for one in said for network in one.value}
            together = ", ".join(one.source for one in said)
            found[name] = Word([one for one in WIDEST if one in offered], together)
    for ruling in rulings:
        if person and ruling.whom == Party(Kind.PERSON, person.name):
            found[ruling.name] = Word(ruling.value, f"set for {person.name} by {ruling.by}")
    # Who may have little is given no more of it unasked.
    for name in ("memory", "cpus"):
        if float(found[name].value) > float(found[f"max_{name}"].value):
            found[name] = found[f"max_{name}"]
    return found


def shorter(seconds: float, most: float) -> float:
    """Return the shorter of two times in seconds, of which 0 is for ever."""
    return min(filter(None, (seconds, most)), default=0.0)


def longest_idle(rules: ServerSettings) -> float:
    """Return the longest idle time that *rules* let people ask for, in seconds; 0 is for ever."""
    return rules.idle if rules.max_idle is None else rules.max_idle


def ends(
    rules: ServerSettings, lifetime: float | None = None, idle: float | None = None
) -> tuple[float, float]:
    """Return after how many seconds of life, and of no use, *rules* have a server stopped.

    *lifetime* and *idle* are what its person asked for, ``None`` if for nothing; 0 is for ever.
    """
    if lifetime is None:
        lifetime = rules.max_age if rules.lifetime is None else rules.lifetime
    unused = rules.idle if idle is None else idle
    return shorter(lifetime, rules.max_age), shorter(unused, longest_idle(rules))


def rulings_from(
    whom: Party, sent: Mapping[str, object], by: str, over: Iterable[Ruling] = ()
) -> list[Ruling]:
    """Return what *sent*, texts by name, changes for *whom*; an empty text takes it back.

    *over* is what is set for them now. ``was_NAME`` in *sent* is what its sender had seen there:
    what they left as it was is nobody's to change, and what is another by now is not replaced.
    Raises `BadRequest` with a sentence about the first that cannot be, and `Changed`.
    """
    if whom.kind is Kind.HUB:
        raise BadRequest(
            "What everybody may have is in atoll.toml, in [servers] and [volumes].",
            hint="Name a person or a group: ada, @maths.",
        )
    now = {one.name: one for one in over}
    found, late = [], []
    for name in (one for one in NAMES if one in sent):
        new = Ruling(whom, name, _value(name, sent[name]), by)
        was, there = f"was_{name}", now[name].value if name in now else None
        seen = _value(name, sent[was]) if was in sent else there
        if new.value in (seen, there):  # theirs to leave, or as they want it already
            continue
        found.append(new)
        if seen != there:
            late.append(_told(name, now.get(name)))
    if late:
        message = f"Meanwhile, for {whom}, {'; '.join(late)}. Nothing was set."
        raise Changed(message, hint="Look at what is set now, and set it again if you still want.")
    return found


def _told(name: str, now: Ruling | None) -> str:
    """Return in half a sentence what is set *now*, which somebody had not seen."""
    words = name.replace("_", " ")
    if now is None:
        return f"what was set of {words} has been taken back"
    return f"{now.by} has set {words} to {shown(name, now.value)}"


def shown(name: str, value: Any) -> str:
    """Return *value* as a person writes it, exactly: it may be sent back as it is; "" is none."""
    if value is None:
        return ""
    if name in SIZES:
        units = (one for one in reversed(UNITS.items()) if int(value) % one[1] == 0)
        unit, size = next(units)
        return f"{int(value) // size}{unit}"
    if name == "networks":
        return ", ".join(value)
    if name in FOR_EVER:
        return written_duration(value) if value else "0"
    return str(value) if name == "network" else written_number(value)


def _usual(settings: Settings, name: str) -> Any:
    if name == "volume_quota":
        return settings.volumes.quota
    return getattr(settings.servers, name)


def _of_group(settings: Settings, group: str, name: str, rulings: Iterable[Ruling]) -> Word | None:
    whom = Party(Kind.GROUP, group)
    for one in rulings:
        if (one.whom, one.name) == (whom, name):
            return Word(one.value, f"set for {whom} by {one.by}")
    value = getattr(settings.groups.get(group), name, None)
    return None if value is None else Word(value, f"{whom}, {OURS}")


def _room_of(settings: Settings, group: Party, rulings: Iterable[Ruling]) -> int:
    said = _of_group(settings, group.name, "volume_quota", rulings)
    return int(said.value if said else _usual(settings, "volume_quota"))


def _generous(name: str, value: Any) -> float:
    if name in FOR_EVER:
        return value or math.inf
    return WIDEST.index(value) if name == "network" else len(value) if name == "networks" else value


def _value(name: str, sent: object) -> Any:
    if sent is None or sent == "":
        return None
    if not isinstance(sent, str | int | float):
        raise BadRequest(f"“{name}” is to be text.")
    text = str(sent).strip()
    parts = [one.strip() for one in text.split(",") if one.strip()]
    try:
        known = GroupSettings.model_validate({name: parts if name == "networks" else text})
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadRequest(f"{name}: {said}.", hint="Leave it empty to take it back.") from None
    return getattr(known, name)
