"""Trusts: whose links of which repositories run without a question."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import delete, select

from atoll.stores.sql.database import Database
from atoll.stores.sql.schema import trusts


class SqlTrusts:
    """Keeps the `Trusts` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, person: str, what: str) -> None:
        """Remember that *person* wants no question about *what*."""
        row = {"person": person, "what": what, "at": datetime.now(UTC)}
        await self._database.keep(trusts, row, keys=("person", "what"))

    async def all(self, person: str) -> Collection[str]:
        """Return what *person* wants no question about, in the order of the alphabet."""
        asked = select(trusts.c.what).where(trusts.c.person == person)
        async with self._database.reading() as connection:
            return sorted(await connection.scalars(asked))

    async def drop(self, person: str, what: str) -> None:
        """Ask about *what* again; it may be forgotten already."""
        where = (trusts.c.person == person) & (trusts.c.what == what)
        async with self._database.writing() as connection:
            await connection.execute(delete(trusts).where(where))
