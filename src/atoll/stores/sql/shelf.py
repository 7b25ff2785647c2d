"""Shelf: finished environments and the reasons of failed builds, in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import Table, and_, delete, select, update
from sqlalchemy.sql.elements import ColumnElement

from atoll import errors
from atoll.environments import Environment, EnvKey, ShelvedEnvironment, ShelvedFailure
from atoll.errors import AtollError, BuildFailed, NotFound
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.schema import environments, failures

ENVIRONMENT = TypeAdapter(Environment)
FRESH = timedelta(minutes=1)  # how far behind "last used" may be: saves a write at each launch


class SqlShelf:
    """Keeps the `Shelf` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: EnvKey, engine: str) -> Environment | None:
        """Return what was put last, if anything, and note that it was used."""
        if not can_be_a_key(key):
            return None
        now = datetime.now(UTC)
        this = _is(environments, key, engine)
        asked = select(environments.c.body, environments.c.used).where(this)
        async with self._database.reading() as connection:
            row = (await connection.execute(asked)).one_or_none()
        if row is None:
            return None
        if now - row.used > FRESH:
            async with self._database.writing() as connection:
                await connection.execute(update(environments).where(this).values(used=now))
        return ENVIRONMENT.validate_python(row.body)

    async def put(self, environment: Environment) -> None:
        """Remember *environment*, replacing; forget a failure of the same key."""
        now = datetime.now(UTC)
        key, engine = environment.key, environment.engine
        body = ENVIRONMENT.dump_python(environment, mode="json")
        row = {"key": key, "engine": engine, "made": now, "used": now, "body": body}
        async with self._database.writing() as connection:
            await connection.execute(self._database.put(environments, row, keys=("key", "engine")))
            await connection.execute(delete(failures).where(_is(failures, key, engine)))

    async def failure(self, key: EnvKey, engine: str) -> ShelvedFailure | None:
        """Return why the last build of *key* failed, if the last one did."""
        async with self._database.reading() as connection:
            asked = select(failures).where(_is(failures, key, engine))
            row = (await connection.execute(asked)).one_or_none()
        if row is None:
            return None
        error = _error_class(row.error)(row.message, hint=row.hint, log=row.log)
        return ShelvedFailure(error, row.made)

    async def put_failure(self, key: EnvKey, engine: str, error: AtollError) -> None:
        """Remember that the last build of *key* failed with *error*."""
        row = {
            "key": key,
            "engine": engine,
            "made": datetime.now(UTC),
            "error": type(error).__name__,
            "message": _storable(str(error)),
            "hint": _storable(error.hint),
            "log": _storable(error.log),
        }
        await self._database.keep(failures, row, keys=("key", "engine"))

    async def all(self) -> list[ShelvedEnvironment]:
        """Return every environment, the most lately used first."""
        asked = select(environments).order_by(environments.c.used.desc(), environments.c.key)
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).all()
        return [
            ShelvedEnvironment(
                ENVIRONMENT.validate_python(row.body), row.made, row.used, row.pinned
            )
            for row in rows
        ]

    async def pin(self, key: EnvKey, engine: str, *, pinned: bool) -> None:
        """Pin the environment, or not any more; raises `NotFound` where there is none."""
        this = update(environments).where(_is(environments, key, engine)).values(pinned=pinned)
        async with self._database.writing() as connection:
            if not (await connection.execute(this)).rowcount:
                raise NotFound(f"There is no environment {key}.")

    async def drop(self, key: EnvKey, engine: str) -> None:
        """Forget the environment and its failure; forgetting what is not there is fine."""
        async with self._database.writing() as connection:
            for table in (environments, failures):
                await connection.execute(delete(table).where(_is(table, key, engine)))


def _is(table: Table, key: EnvKey, engine: str) -> ColumnElement[bool]:
    return and_(table.c.key == key, table.c.engine == engine)


def _error_class(name: str) -> type[AtollError]:
    """Return the error class *name*; one that is no more was the failure of a build, too."""
    found = getattr(errors, name, BuildFailed)
    return found if isinstance(found, type) and issubclass(found, AtollError) else BuildFailed


def _storable(text: str) -> str:
    """Return *text* without what databases cannot hold; a build prints whatever it likes."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()
