"""Rulings: what an operator has set for people and groups, over what atoll.toml says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, delete, select

from atoll.access import Party
from atoll.allowances import Ruling
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.parties import key_of, party_of
from atoll.stores.sql.schema import rulings


class SqlRulings:
    """Keeps the `atoll.allowances.Rulings` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, whom: Iterable[Party]) -> Sequence[Ruling]:
        """Return what is set for any of *whom*."""
        keys = [key_of(one) for one in whom if can_be_a_key(one.name)]
        return await self._all(select(rulings).where(rulings.c.whom.in_(keys)))

    async def all(self) -> Sequence[Ruling]:
        """Return what is set, by whom it is for and by name."""
        return await self._all(select(rulings))

    async def put(self, new: Iterable[Ruling]) -> None:
        """Keep *new*, all or none; one of which the value is ``None`` takes the old one back."""
        async with self._database.writing() as connection:
            for one in new:
                row: dict[str, Any] = {"whom": key_of(one.whom), "name": one.name}
                if one.value is None:
                    await connection.execute(delete(rulings).filter_by(**row))
                    continue
                row |= {"value": one.value, "by": one.by, "at": one.at}
                put = self._database.put(rulings, row, keys=("whom", "name"))
                await connection.execute(put)

    async def forget(self, whom: Party) -> None:
        """Take back all that is set for *whom*, who is no more."""
        async with self._database.writing() as connection:
            await connection.execute(delete(rulings).where(rulings.c.whom == key_of(whom)))

    async def _all(self, asked: Select[tuple[object, ...]]) -> list[Ruling]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).mappings().all()
        found = [Ruling(**{**row, "whom": party_of(row["whom"])}) for row in rows]
        return sorted(found, key=lambda one: (one.whom.kind, one.whom.name, one.name))
