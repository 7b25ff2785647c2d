"""Costs: what servers, volumes and environments have used, by day, person and group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from atoll.access import Kind, Party
from atoll.acts import short
from atoll.errors import BadRequest
from atoll.servers import Running, Usage

HOUR = 3600
GIB = 1024**3
COLUMNS = (
    "cpu_hours",
    "memory_gib_hours",
    "server_gib_days",
    "volume_gib_days",
    "environment_gib_days",
)


class Thing(StrEnum):
    """What has cost something."""

    SERVER = "server"
    VOLUME = "volume"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Cost:
    """What *owner*'s thing *name* has cost on one day (UTC).

    ``cpu`` is in processor seconds, ``memory`` in byte seconds of what it used, ``disk`` in bytes
    that it kept that day, ``None`` if that was not measured. ``groups`` are the owner's of then.
    """

    day: date
    thing: Thing
    owner: Party
    name: str
    cpu: float = 0.0
    memory: float = 0.0
    disk: int | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the counters of a server said at a moment.

    ``cpus`` is how many processors it has kept busy since the reading before.
    """

    handle: str
    owner: str
    name: str
    at: datetime
    started: datetime
    cpu: float
    memory: int
    cpus: float = 0.0


class Costs(Protocol):
    """Where costs are kept, and the last reading of each server."""

    async def add(self, costs: Iterable[Cost], readings: Collection[Reading] | None = None) -> None:
        """Add *costs* to those of the same day and thing, and replace all readings by *readings*.

        Both or neither, so that no kill has anything counted twice. Disk and groups replace what
        was said of that day before; without *readings*, those there are stay.
        """
        ...

    async def readings(self) -> list[Reading]:
        """Return the last reading of each server that ran then, by owner and name."""
        ...

    async def between(self, first: date, last: date) -> list[Cost]:
        """Return the costs of these days, both included."""
        ...

    async def prune(self, before: date) -> None:
        """Forget what was before that day."""
        ...


def counted(
    before: Mapping[str, Reading],
    now: Sequence[tuple[Running, Usage]],
    at: datetime,
    groups: Mapping[str, Collection[str]],
) -> tuple[list[Cost], list[Reading]]:
    """Return what has been used since the readings *before*, and the readings of *now*.

    A counter that has gone back counts from nothing, as that of a server not seen before. Memory
    counts as if it had been since then what it is now.
    """
    costs, readings = [], []
    for server, usage in now:
        old = before.get(server.handle)
        same = old is not None and old.cpu <= usage.cpu
        since = old.at if old else server.started
        seconds = max(0.0, (at - since).total_seconds())
        cpu = usage.cpu - old.cpu if old and same else usage.cpu
        rate = cpu / seconds if seconds else 0.0
        whose = tuple(sorted(groups.get(server.owner, ())))
        owner = Party(Kind.PERSON, server.owner)
        memory = usage.memory * seconds
        costs.append(Cost(at.date(), Thing.SERVER, owner, server.name, cpu, memory, None, whose))
        known = (server.handle, server.owner, server.name, at, server.started)
        readings.append(Reading(*known, usage.cpu, usage.memory, rate))
    return costs, readings


def summed(costs: Iterable[Cost], by: Kind) -> list[dict[str, Any]]:
    """Return what each person, or each group, has cost, the dearest first, in JSON's own types.

    Who is in two groups counts for both, who is in none for “”. What the hub owns is “@”.
    """
    sums: dict[str, dict[str, Any]] = {}
    for cost in costs:
        for whose in _whose(cost, by):
            row = sums.setdefault(whose, {"who": whose, **dict.fromkeys(COLUMNS, 0.0)})
            row["cpu_hours"] += cost.cpu / HOUR
            row["memory_gib_hours"] += cost.memory / GIB / HOUR
            row[f"{cost.thing.value}_gib_days"] += (cost.disk or 0) / GIB
    for row in sums.values():
        row |= {name: round(row[name], 3) for name in COLUMNS}
    return sorted(sums.values(), key=lambda row: (-row["cpu_hours"], row["who"]))


def _whose(cost: Cost, by: Kind) -> tuple[str, ...]:
    if by is Kind.PERSON or cost.owner.kind is Kind.HUB:
        return (str(cost.owner),)
    if cost.owner.kind is Kind.GROUP:
        return (str(cost.owner),)
    return tuple(f"@{name}" for name in cost.groups) or ("",)


def month(text: str) -> tuple[date, date]:
    """Return the first and the last day of the month *text*, as in “2026-11”; "" is this month.

    Raises `BadRequest`.
    """
    this = f"{datetime.now(UTC):%Y-%m}"
    try:
        first = date.fromisoformat(f"{text or this}-01")
    except ValueError:
        raise BadRequest(
            f"“{short(text, 20)}” is no month.", hint="Write the year and the month: 2026-11."
        ) from None
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
