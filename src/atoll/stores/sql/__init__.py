"""Sql: the store behind SQLAlchemy, on one SQLite file or on a PostgreSQL server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from atoll.errors import Unreachable
from atoll.settings import Settings
from atoll.stores.sql.acts import SqlActs
from atoll.stores.sql.copies import SqlCopies
from atoll.stores.sql.costs import SqlCosts
from atoll.stores.sql.database import Database
from atoll.stores.sql.launches import SqlLaunches
from atoll.stores.sql.messages import SqlMessages
from atoll.stores.sql.plans import SqlPlans
from atoll.stores.sql.records import SqlRecords
from atoll.stores.sql.rulings import SqlRulings
from atoll.stores.sql.schema import VERSION_TABLE
from atoll.stores.sql.shelf import SqlShelf
from atoll.stores.sql.stops import SqlStops
from atoll.stores.sql.trusts import SqlTrusts
from atoll.stores.sql.urls import database_url
from atoll.stores.sql.volumes import SqlVolumes
from atoll.stores.sql.whole import wholly

STEPS = Path(__file__).parent / "migrations" / "versions"
NEWEST = max(file.stem for file in STEPS.glob("m*.py"))[1:5]  # the revision that the code needs


class SqlStore:
    """Everything that must survive a restart, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.shelf = SqlShelf(database)
        self.plans = SqlPlans(database)
        self.records = SqlRecords(database)
        self.launches = SqlLaunches(database)
        self.stops = SqlStops(database)
        self.trusts = SqlTrusts(database)
        self.copies = SqlCopies(database)
        self.volumes = SqlVolumes(database)
        self.acts = SqlActs(database)
        self.costs = SqlCosts(database)
        self.rulings = SqlRulings(database)
        self.messages = SqlMessages(database)
        for part in (one for one in vars(self).values() if one is not database):
            wholly(part)

    async def open(self) -> None:
        """Bring the tables up to date; any number of processes may do so at once.

        Raises `Unreachable` when the database does not answer, `Lacking` when a newer Atoll has
        already changed its tables.
        """
        if not await self._is_current():
            await self.close()
            from atoll.stores.sql.migrating import migrate  # Alembic, for which 13 MB are needed

            await asyncio.to_thread(migrate, self.database.url)

    async def _is_current(self) -> bool:
        if not self.database.exists():
            return False
        question = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - our own name
        try:
            async with self.database.reading() as connection:
                found: str | None = await connection.scalar(question)
        except (Unreachable, ProgrammingError):  # there are no tables yet, or worse: `migrate` says
            return False
        return found == NEWEST

    async def close(self) -> None:
        """Disconnect."""
        await self.database.close()


def open_store(settings: Settings) -> SqlStore:
    """Return the store that *settings* name, not yet opened; raises `BadSettings` for its URL."""
    return SqlStore(Database(database_url(settings)))
