"""Stores: one that remembers in memory, for tests and for plug-in authors to compare with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from atoll.access import Party, Share
from atoll.accounting import LaunchRecord
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import Act, Search
from atoll.allowances import Ruling
from atoll.environments import Environment, EnvKey, ShelvedEnvironment, ShelvedFailure
from atoll.errors import AtollError, Changed, NotFound
from atoll.launching.copies import CopyLink
from atoll.launching.desk import Launch
from atoll.messages import Message
from atoll.servers import Ends, ServerPlan, Stop
from atoll.volumes import Volume


@dataclass(slots=True)
class MemoryShelf:
    """Environments and failures, by key and engine."""

    kept: dict[tuple[str, str], Environment] = field(default_factory=dict)
    failures: dict[tuple[str, str], ShelvedFailure] = field(default_factory=dict)
    pinned: set[tuple[str, str]] = field(default_factory=set)

    async def get(self, key: EnvKey, engine: str) -> Environment | None:
        """Return what was put last, if anything."""
        return self.kept.get((key, engine))

    async def put(self, environment: Environment) -> None:
        """Remember *environment*; forget a failure of the same key."""
        where = (environment.key, environment.engine)
        self.kept[where] = environment
        self.failures.pop(where, None)

    async def failure(self, key: EnvKey, engine: str) -> ShelvedFailure | None:
        """Return why the last build of *key* failed, if the last one did."""
        return self.failures.get((key, engine))

    async def put_failure(self, key: EnvKey, engine: str, error: AtollError) -> None:
        """Remember that the last build of *key* failed with *error*."""
        self.failures[key, engine] = ShelvedFailure(error, datetime.now(UTC))

    async def all(self) -> list[ShelvedEnvironment]:
        """Return every environment, the last put first; no times are kept."""
        never = datetime.min.replace(tzinfo=UTC)
        return [
            ShelvedEnvironment(one, never, never, where in self.pinned)
            for where, one in reversed(self.kept.items())
        ]

    async def pin(self, key: EnvKey, engine: str, *, pinned: bool) -> None:
        """Pin the environment, or not any more."""
        if (key, engine) not in self.kept:
            raise NotFound(f"There is no environment {key}.")
        (self.pinned.add if pinned else self.pinned.discard)((key, engine))

    async def drop(self, key: EnvKey, engine: str) -> None:
        """Forget the environment and its failure."""
        self.kept.pop((key, engine), None)
        self.pinned.discard((key, engine))
        self.failures.pop((key, engine), None)


@dataclass(slots=True)
class MemoryPlans:
    """Plans by id, in the order in which they were made."""

    made: dict[str, tuple[ServerPlan, datetime]] = field(default_factory=dict)

    async def put(self, plan: ServerPlan) -> None:
        """Remember *plan* under its id."""
        self.made[plan.id] = (plan, datetime.now(UTC))

    async def get(self, plan_id: str, owner: str) -> ServerPlan:
        """Return *owner*'s plan, or raise `NotFound`."""
        plan, _ = self.made.get(plan_id, (None, None))
        if plan is None or plan.owner.name != owner:
            raise NotFound("There is no such plan.")
        return plan

    async def latest(self, owner: str) -> Mapping[str, tuple[ServerPlan, datetime]]:
        """Return *owner*'s newest plan for each server name."""
        mine = (one for one in self.made.values() if one[0].owner.name == owner)
        return {plan.name: (plan, made) for plan, made in mine}

    async def kept(self) -> list[ServerPlan]:
        """Return the newest plan of every server of everybody's that is not temporary."""
        newest = {(plan.owner.name, plan.name): plan for plan, _ in self.made.values()}
        return [plan for plan in newest.values() if not plan.content.temporary]

    async def newest(self, owner: str, name: str) -> ServerPlan | None:
        """Return the newest plan of *owner*'s server *name*, if there is one."""
        plan, _ = (await self.latest(owner)).get(name, (None, None))
        return plan

    async def any_ends(self) -> bool:
        """Say whether anybody's plan says when its server is stopped."""
        return any(plan.ends != Ends() for plan, _ in self.made.values())

    async def retitle(self, owner: str, name: str, title: str) -> None:
        """Have the newest plan of *owner*'s server *name* say *title*, or raise `NotFound`."""
        plan, made = (await self.latest(owner)).get(name, (None, None))
        if plan is None or made is None:
            raise NotFound("There is no such server of yours.")
        self.made[plan.id] = (replace(plan, title=title), made)

    async def forget(self, owner: str, name: str) -> None:
        """Forget every plan of *owner*'s server *name*."""
        for plan, _ in list(self.made.values()):
            if (plan.owner.name, plan.name) == (owner, name):
                del self.made[plan.id]


@dataclass(slots=True)
class MemoryRecords:
    """Launch records, oldest first."""

    kept: list[LaunchRecord] = field(default_factory=list)

    async def add(self, record: LaunchRecord) -> None:
        """Keep *record*."""
        self.kept.append(record)

    async def newest(self, *, limit: int = 100, person: str = "") -> list[LaunchRecord]:
        """Return the newest *limit* records, of *person* only if one is named."""
        mine = [one for one in self.kept if not person or one.person == person]
        return mine[::-1][:limit]


@dataclass(slots=True)
class MemoryLaunches:
    """Launches by id, in the order in which they were made."""

    kept: dict[str, Launch] = field(default_factory=dict)

    async def put(self, launch: Launch) -> None:
        """Remember *launch*, replacing what its id named before."""
        self.kept[launch.id] = launch

    async def get(self, launch_id: str) -> Launch | None:
        """Return it, if it was ever put."""
        return self.kept.get(launch_id)

    async def unfinished(self) -> list[Launch]:
        """Return every launch that is not over, oldest first."""
        return [one for one in self.kept.values() if not one.state.over]

    async def newest(self, person: str, *, limit: int = 20) -> list[Launch]:
        """Return *person*'s newest launches."""
        mine = [one for one in self.kept.values() if one.request.person.name == person]
        return mine[::-1][:limit]


@dataclass(slots=True)
class MemoryStops:
    """Stops by owner and name."""

    kept: dict[tuple[str, str], Stop] = field(default_factory=dict)

    async def put(self, stop: Stop) -> None:
        """Remember *stop*, instead of the one before of the same server."""
        self.kept[stop.owner, stop.name] = stop

    async def latest(self, owner: str) -> Mapping[str, Stop]:
        """Return the last one of each of *owner*'s servers."""
        return {name: stop for (who, name), stop in self.kept.items() if who == owner}


@dataclass(slots=True)
class MemoryTrusts:
    """What needs no question, by person."""

    kept: dict[str, set[str]] = field(default_factory=dict)

    async def put(self, person: str, what: str) -> None:
        """Remember that *person* wants no question about *what*."""
        self.kept.setdefault(person, set()).add(what)

    async def all(self, person: str) -> Collection[str]:
        """Return what *person* wants no question about, in the order of the alphabet."""
        return sorted(self.kept.get(person, ()))

    async def drop(self, person: str, what: str) -> None:
        """Ask about *what* again."""
        self.kept.get(person, set()).discard(what)


@dataclass(slots=True)
class MemoryCopies:
    """Links to copies, by server."""

    kept: dict[tuple[str, str], CopyLink] = field(default_factory=dict)

    async def put(self, link: CopyLink) -> None:
        """Remember *link*, instead of the one before of the same server."""
        self.kept[link.owner, link.server] = link

    async def get(self, key: str) -> CopyLink | None:
        """Return the link that has *key*, if there is one."""
        return next((one for one in self.kept.values() if one.key == key), None)

    async def of(self, owner: str, server: str) -> CopyLink | None:
        """Return the link to *server* of *owner*'s, if there is one."""
        return self.kept.get((owner, server))

    async def drop(self, owner: str, server: str) -> None:
        """Forget the link to it."""
        self.kept.pop((owner, server), None)


@dataclass(slots=True)
class MemoryVolumes:
    """Volumes by id, with their shares."""

    kept: dict[str, Volume] = field(default_factory=dict)

    async def add(self, volume: Volume) -> bool:
        """Record *volume*, without its shares; ``False`` if its owner has one of that name."""
        if await self.find(volume.owner, volume.name):
            return False
        self.kept[volume.id] = replace(volume, shares=())
        return True

    async def get(self, volume_id: str) -> Volume | None:
        """Return it, if there is one."""
        return self.kept.get(volume_id)

    async def find(self, owner: Party, name: str) -> Volume | None:
        """Return *owner*'s volume *name*, if there is one."""
        of_owner = (one for one in self.kept.values() if one.owner == owner)
        return next((one for one in of_owner if one.name == name), None)

    async def of(self, whom: Iterable[Party]) -> list[Volume]:
        """Return all that any of *whom* owns or has a share in."""
        them = set(whom)
        return [
            one
            for one in await self.all()
            if not them.isdisjoint({one.owner, *(share.whom for share in one.shares)})
        ]

    async def all(self) -> list[Volume]:
        """Return all, by owner and name."""
        return sorted(
            self.kept.values(), key=lambda one: (one.owner.kind, one.owner.name, one.name)
        )

    async def change(self, before: Volume, after: Volume) -> bool:
        """Replace *before* by *after*, but for its shares, unless another was quicker."""
        now, known = self.kept.get(before.id), await self.find(after.owner, after.name)
        same = now is not None and replace(now, shares=()) == replace(before, shares=())
        if now is None or not same or (known and known.id != after.id):
            return False
        self.kept[before.id] = replace(after, shares=now.shares)
        return True

    async def share(self, volume_id: str, share: Share) -> None:
        """Record *share*, in place of another with the same party."""
        await self.unshare(volume_id, share.whom)
        if now := self.kept.get(volume_id):
            self.kept[volume_id] = replace(now, shares=(*now.shares, share))

    async def unshare(self, volume_id: str, whom: Party) -> None:
        """Forget *whom*'s share; there may be none."""
        if now := self.kept.get(volume_id):
            left = tuple(one for one in now.shares if one.whom != whom)
            self.kept[volume_id] = replace(now, shares=left)

    async def forget(self, volume_id: str) -> None:
        """Forget it; it may be gone."""
        self.kept.pop(volume_id, None)


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
        """Take that one back, if there is one."""
        if number not in {one.number for one in await self.live(now)}:
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


@dataclass(slots=True)
class MemoryStore:
    """A whole store. What is in it is gone with the process."""

    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    plans: MemoryPlans = field(default_factory=MemoryPlans)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    launches: MemoryLaunches = field(default_factory=MemoryLaunches)
    stops: MemoryStops = field(default_factory=MemoryStops)
    trusts: MemoryTrusts = field(default_factory=MemoryTrusts)
    copies: MemoryCopies = field(default_factory=MemoryCopies)
    volumes: MemoryVolumes = field(default_factory=MemoryVolumes)
    acts: MemoryActs = field(default_factory=MemoryActs)
    costs: MemoryCosts = field(default_factory=MemoryCosts)
    rulings: MemoryRulings = field(default_factory=MemoryRulings)
    messages: MemoryMessages = field(default_factory=MemoryMessages)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to disconnect from."""
