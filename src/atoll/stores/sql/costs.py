"""Costs: sums by day, and the last reading of each server, which change together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from sqlalchemy import delete, func, insert, select

from atoll.access import Kind, Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.stores.sql.database import Database
from atoll.stores.sql.schema import costs, readings

KEYS = ("day", "thing", "owner", "name")


class SqlCosts:
    """Keeps the `Costs` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: Iterable[Cost], now: Collection[Reading] | None = None) -> None:
        """Add *new* to what was, and replace the readings by those of *now*, if they are given."""
        async with self._database.writing() as connection:
            if now is not None:
                await connection.execute(delete(readings))
                if now:
                    await connection.execute(insert(readings), [asdict(one) for one in now])
            for cost in new:
                added = self._database.insert(costs).values(**_row(cost))
                more = {
                    "cpu": costs.c.cpu + added.excluded.cpu,
                    "memory": costs.c.memory + added.excluded.memory,
                    "disk": func.coalesce(added.excluded.disk, costs.c.disk),
                    "groups": added.excluded.groups,
                }
                await connection.execute(
                    added.on_conflict_do_update(index_elements=KEYS, set_=more)
                )

    async def readings(self) -> list[Reading]:
        """Return the last reading of each server that ran then, by owner and name."""
        asked = select(readings).order_by(readings.c.owner, readings.c.name)
        async with self._database.reading() as connection:
            return [Reading(**row._mapping) for row in await connection.execute(asked)]  # noqa: SLF001

    async def between(self, first: date, last: date) -> list[Cost]:
        """Return the costs of these days, both included."""
        asked = (
            select(costs)
            .where(costs.c.day.between(first, last))
            .order_by(*(costs.c[key] for key in KEYS))
        )
        async with self._database.reading() as connection:
            return [_cost(row) for row in await connection.execute(asked)]

    async def prune(self, before: date) -> None:
        """Forget what was before that day."""
        async with self._database.writing() as connection:
            await connection.execute(delete(costs).where(costs.c.day < before))


def _row(cost: Cost) -> dict[str, Any]:
    row = asdict(cost)
    owner = f"{cost.owner.kind.value}:{cost.owner.name}"
    return {**row, "thing": cost.thing.value, "owner": owner, "groups": list(cost.groups)}


def _cost(row: Any) -> Cost:
    kind, _, name = row.owner.partition(":")
    owner = Party(Kind(kind), name)
    known = (row.day, Thing(row.thing), owner, row.name, row.cpu, row.memory, row.disk)
    return Cost(*known, tuple(row.groups))
