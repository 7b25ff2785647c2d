"""Records: one row for every launch that came to an end."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy import select

from atoll.accounting import LaunchRecord
from atoll.stores.sql.database import Database
from atoll.stores.sql.schema import records

RECORD = TypeAdapter(LaunchRecord)


class SqlRecords:
    """Keeps the `Records` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: LaunchRecord) -> None:
        """Keep *record*; a launch taken up again after a restart still has one only."""
        row = {
            "id": record.id,
            "person": record.person,
            "at": record.at,
            "status": record.status,
            "body": RECORD.dump_python(record, mode="json"),
        }
        await self._database.keep(records, row, keys=("id",))

    async def newest(self, *, limit: int = 100, person: str = "") -> list[LaunchRecord]:
        """Return the newest *limit* records, of *person* only if one is named."""
        asked = select(records.c.body).order_by(records.c.at.desc(), records.c.number.desc())
        if person:
            asked = asked.where(records.c.person == person)
        async with self._database.reading() as connection:
            rows = await connection.execute(asked.limit(limit))
            return [RECORD.validate_python(row.body) for row in rows]
