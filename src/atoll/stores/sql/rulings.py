"""Rulings: what an operator has set for people and groups, over what atoll.toml says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select, update

from atoll.access import Party
from atoll.allowances import Ruling
from atoll.errors import Changed
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

    async def put(self, new: Iterable[Ruling], over: Iterable[Ruling] | None = None) -> None:
        """Keep *new*, all or none; one of which the value is ``None`` takes the old one back.

        *over* is what was set when that was decided: if it is not so any more, raise `Changed`.
        """
        known = {(one.whom, one.name): one.at for one in over or ()}
        async with self._database.writing() as connection:
            for one in new:
                if over is None:
                    await connection.execute(self._put(one))
                    continue
                put = self._put_over(one, known.get((one.whom, one.name)))
                if (await connection.execute(put.returning(rulings.c.name))).first() is None:
                    message = f"Somebody else has just set {one.name} for {one.whom}."
                    raise Changed(message, hint="Look at what is set now.")

    def _put(self, one: Ruling) -> Any:
        if one.value is None:
            return delete(rulings).where(*_that(one))
        return self._database.put(rulings, _row(one), keys=("whom", "name"))

    def _put_over(self, one: Ruling, at: datetime | None) -> Any:
        """Return what changes one row if it is of that moment, or, ``None``, is not there."""
        if at is None:
            return self._database.insert(rulings).values(**_row(one)).on_conflict_do_nothing()
        if one.value is None:
            return delete(rulings).where(*_that(one), rulings.c.at == at)
        return update(rulings).where(*_that(one), rulings.c.at == at).values(**_row(one))

    async def forget(self, whom: Party) -> None:
        """Take back all that is set for *whom*, who is no more."""
        async with self._database.writing() as connection:
            await connection.execute(delete(rulings).where(rulings.c.whom == key_of(whom)))

    async def _all(self, asked: Select[tuple[object, ...]]) -> list[Ruling]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).mappings().all()
        found = [Ruling(**{**row, "whom": party_of(row["whom"])}) for row in rows]
        return sorted(found, key=lambda one: (one.whom.kind, one.whom.name, one.name))


def _row(one: Ruling) -> dict[str, Any]:
    row = {"whom": key_of(one.whom), "name": one.name}
    return {**row, "value": one.value, "by": one.by, "at": one.at}


def _that(one: Ruling) -> tuple[ColumnElement[bool], ...]:
    return rulings.c.whom == key_of(one.whom), rulings.c.name == one.name
