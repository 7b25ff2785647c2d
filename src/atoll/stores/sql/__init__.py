"""Sql: the store behind SQLAlchemy, on one SQLite file or on a PostgreSQL server."""

from __future__ import annotations

import asyncio

from atoll.settings import Settings
from atoll.stores.sql.database import Database
from atoll.stores.sql.launches import SqlLaunches
from atoll.stores.sql.migrating import migrate
from atoll.stores.sql.plans import SqlPlans
from atoll.stores.sql.records import SqlRecords
from atoll.stores.sql.shelf import SqlShelf
from atoll.stores.sql.stops import SqlStops
from atoll.stores.sql.urls import database_url


class SqlStore:
    """Everything that must survive a restart, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.shelf = SqlShelf(database)
        self.plans = SqlPlans(database)
        self.records = SqlRecords(database)
        self.launches = SqlLaunches(database)
        self.stops = SqlStops(database)

    async def open(self) -> None:
        """Bring the tables up to date; any number of processes may do so at once.

        Raises `Unreachable` when the database does not answer, `Lacking` when a newer Atoll has
        already changed its tables.
        """
        await asyncio.to_thread(migrate, self.database.url)

    async def close(self) -> None:
        """Disconnect."""
        await self.database.close()


def open_store(settings: Settings) -> SqlStore:
    """Return the store that *settings* name, not yet opened; raises `BadSettings` for its URL."""
    return SqlStore(Database(database_url(settings)))
