"""Launches: how far each launch has come, in the database, so that a restart takes it up."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy import select

from atoll.launching.desk import Launch, State
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.schema import launches

LAUNCH = TypeAdapter(Launch)
UNFINISHED = [state.value for state in State if not state.over]


class SqlLaunches:
    """Keeps the `Launches` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, launch: Launch) -> None:
        """Remember *launch*, replacing what its id named before."""
        row = {
            "id": launch.id,
            "person": launch.request.person.name,
            "state": launch.state.value,
            "made": launch.made,
            "body": LAUNCH.dump_python(launch, mode="json"),
        }
        await self._database.keep(launches, row, keys=("id",))

    async def get(self, launch_id: str) -> Launch | None:
        """Return it, if it was ever put."""
        if not can_be_a_key(launch_id):
            return None
        asked = select(launches.c.body).where(launches.c.id == launch_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(asked)).one_or_none()
        return None if row is None else LAUNCH.validate_python(row.body)

    async def unfinished(self) -> list[Launch]:
        """Return every launch that is not over, oldest first."""
        asked = (
            select(launches.c.body)
            .where(launches.c.state.in_(UNFINISHED))
            .order_by(launches.c.made, launches.c.number)
        )
        async with self._database.reading() as connection:
            return [LAUNCH.validate_python(row.body) for row in await connection.execute(asked)]

    async def newest(self, person: str, *, limit: int = 20) -> list[Launch]:
        """Return *person*'s newest launches."""
        asked = (
            select(launches.c.body)
            .where(launches.c.person == person)
            .order_by(launches.c.made.desc(), launches.c.number.desc())
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [LAUNCH.validate_python(row.body) for row in await connection.execute(asked)]
