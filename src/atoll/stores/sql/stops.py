"""Stops: why servers were stopped that nobody has asked to stop."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from atoll.servers import Stop, Why
from atoll.stores.sql.database import Database
from atoll.stores.sql.schema import stops


class SqlStops:
    """Keeps the `Stops` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, stop: Stop) -> None:
        """Remember *stop*, instead of the one before of the same server."""
        row = {"owner": stop.owner, "name": stop.name, "at": stop.at, "why": stop.why.value}
        await self._database.keep(stops, row, keys=("owner", "name"))

    async def latest(self, owner: str) -> Mapping[str, Stop]:
        """Return the last one of each of *owner*'s servers; it may have run again since."""
        asked = select(stops).where(stops.c.owner == owner)
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).all()
        return {row.name: Stop(row.owner, row.name, row.at, Why(row.why)) for row in rows}
