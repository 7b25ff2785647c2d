"""Stores: one that remembers in memory, for tests and for plug-in authors to compare with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from atoll.access import Party, Share
from atoll.accounting import LaunchRecord
from atoll.environments import Environment, EnvKey, ShelvedEnvironment, ShelvedFailure
from atoll.errors import AtollError, NotFound
from atoll.launching.copies import CopyLink
from atoll.launching.desk import Launch
from atoll.servers import Ends, ServerPlan, Stop
from atoll.testing.oversight import MemoryActs, MemoryCosts, MemoryMessages, MemoryRulings
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

    async def copies(self, owner: str, name: str) -> set[tuple[str, str]]:
        """Return the owners and names of the copies of *owner*'s server *name*."""
        copies = ((plan, plan.content.copied) for plan, _ in self.made.values())
        whose = (owner, name)
        return {
            (plan.owner.name, plan.name)
            for plan, copied in copies
            if copied and (copied.owner, copied.server) == whose
        }

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
