"""Oversight: who did what, what it cost, what is set for and told to people, kept in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from atoll.access import Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import ATOLL, Act, Search
from atoll.allowances import Ruling
from atoll.errors import AtollError, Changed
from atoll.messages import Message


@dataclass(slots=True)
class MemoryActs:
    """Acts, oldest first. With ``error``, none can be kept."""

    kept: list[Act] = field(default_factory=list)
    error: AtollError | None = None

    async def add(self, act: Act) -> None:
        """Keep *act*, cleaned."""
        if self.error:
            raise self.error
        self.kept.append(act.clean())

    async def find(self, search: Search) -> Sequence[tuple[int, Act]]:
        """Return what *search* is true of, with the numbers, the newest first."""
        found = [
            (number, act)
            for number, act in enumerate(self.kept, 1)
            if _answers(act, search)
            and (not search.before or number < search.before)
            and number > search.after
        ]
        return found[::-1][: search.limit]

    async def prune(self, before: datetime) -> None:
        """Forget what happened before that moment."""
        self.kept = [one for one in self.kept if one.at >= before]


def _answers(act: Act, search: Search) -> bool:
    theirs = search.who in {"", act.who, act.what} or any(
        one.startswith(f"{search.who}/") for one in (act.what, act.server)
    )
    texts = f"{act.deed}\n{act.what}\n{act.server}".lower()
    late = search.since is None or act.at >= search.since
    return theirs and search.what.lower() in texts and late


@dataclass(slots=True)
class MemoryCosts:
    """Costs by day and thing, and readings."""

    kept: dict[tuple[date, Thing, Party, str], Cost] = field(default_factory=dict)
    read: list[Reading] = field(default_factory=list)

    async def add(self, new: Iterable[Cost], now: Collection[Reading] | None = None) -> None:
        """Add *new* to what was, and replace the readings by those of *now*, if they are given."""
        if now is not None:
            self.read = sorted(now, key=lambda one: (one.owner, one.name))
        for cost in new:
            key = (cost.day, cost.thing, cost.owner, cost.name)
            old = self.kept.get(key, replace(cost, cpu=0.0, memory=0.0))
            disk = old.disk if cost.disk is None else cost.disk
            cpu, memory = old.cpu + cost.cpu, old.memory + cost.memory
            self.kept[key] = replace(cost, cpu=cpu, memory=memory, disk=disk)

    async def readings(self) -> list[Reading]:
        """Return the last reading of each server that ran then."""
        return list(self.read)

    async def between(self, first: date, last: date) -> list[Cost]:
        """Return the costs of these days, both included."""
        return [one for one in self.kept.values() if first <= one.day <= last]

    async def prune(self, before: date) -> None:
        """Forget what was before that day."""
        self.kept = {key: one for key, one in self.kept.items() if one.day >= before}


@dataclass(slots=True)
class MemoryRulings:
    """Rulings by whom they are for and by name."""

    kept: dict[tuple[Party, str], Ruling] = field(default_factory=dict)

    async def of(self, whom: Iterable[Party]) -> list[Ruling]:
        """Return what is set for any of *whom*."""
        them = set(whom)
        return [one for one in await self.all() if one.whom in them]

    async def all(self) -> list[Ruling]:
        """Return what is set, by whom it is for and by name."""
        return sorted(self.kept.values(), key=lambda one: (one.whom.kind, one.whom.name, one.name))

    async def put(self, new: Iterable[Ruling], over: Iterable[Ruling] | None = None) -> None:
        """Keep *new*; one of which the value is ``None`` takes the old one back."""
        new = list(new)
        if over is not None:
            seen = {(one.whom, one.name): one for one in over}
            if any(self.kept.get(key) != seen.get(key) for key in ((o.whom, o.name) for o in new)):
                raise Changed("Somebody else has just set it.")
        for one in new:
            self.kept[one.whom, one.name] = one
            if one.value is None:
                del self.kept[one.whom, one.name]

    async def forget(self, whom: Party) -> None:
        """Take back all that is set for *whom*."""
        self.kept = {key: one for key, one in self.kept.items() if one.whom != whom}


@dataclass(slots=True)
class MemoryMessages:
    """Messages by number, and who has put which away."""

    kept: dict[int, Message] = field(default_factory=dict)
    away: set[tuple[int, str]] = field(default_factory=set)

    async def add(self, message: Message) -> Message:
        """Keep *message* and return it with its number."""
        number = max(self.kept, default=0) + 1
        self.kept[number] = replace(message, number=number)
        return self.kept[number]

    async def live(self, now: datetime) -> list[Message]:
        """Return those that have not ended, the newest first."""
        found = [one for one in self.kept.values() if one.until is None or one.until > now]
        return sorted(found, key=lambda one: -one.number)

    async def end(self, number: int, now: datetime) -> Message | None:
        """Take that one back, if there is one, and it is not Atoll's own."""
        if number not in {one.number for one in await self.live(now) if one.by != ATOLL}:
            return None
        self.kept[number] = replace(self.kept[number], until=now)
        return self.kept[number]

    async def dismiss(self, number: int, person: str) -> None:
        """Show it to *person* no more."""
        if number in self.kept:
            self.away.add((number, person))

    async def dismissed(self, person: str) -> set[int]:
        """Return the numbers of those that *person* has put away."""
        return {number for number, who in self.away if who == person}

    async def forget(self, whom: Party) -> None:
        """Forget what was told to *whom*, and what they put away."""
        self.kept = {number: one for number, one in self.kept.items() if one.whom != whom}
        self.away = {(number, who) for number, who in self.away if who != whom.name}
