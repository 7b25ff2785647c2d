"""Database: connections, and the few habits that all tables share."""

from __future__ import annotations

import contextlib
import select
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, Table, event, make_url
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ColumnElement

from atoll.errors import Unreachable

PATIENCE = 30  # seconds that a writer waits for another one
# Connections that are kept: more would be made and closed again and again while people click. After
# so many seconds one to a server is made anew, lest a firewall has forgotten it.
KEPT, OLD = 12, 300


class Database:
    """One database; connects when it is first asked something."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine, made once."""
        if self._engine is None:
            if self.is_sqlite:
                self._engine = create_async_engine(self.url, pool_size=KEPT)
                event.listen(self._engine.sync_engine, "connect", prepare_sqlite)
            else:
                self._engine = create_async_engine(
                    self.url, pool_size=KEPT, max_overflow=0, pool_recycle=OLD
                )
                event.listen(self._engine.sync_engine, "checkout", check_postgresql)
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of ours."""
        return self.url.get_backend_name() == "sqlite"

    def exists(self) -> bool:
        """Say whether there is a file to connect to; a server's databases are there."""
        return not self.is_sqlite or Path(self.url.database or "").exists()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for questions, each answered by what is there then.

        Raises `Unreachable`.
        """
        with translated():
            async with self.engine.connect() as connection:
                if not self.is_sqlite:  # a transaction would be two more things to wait for
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for one transaction, kept as a whole or not at all.

        Its first statement must write: SQLite refuses, instead of waiting for its turn, a
        transaction that has read before it writes. Raises `Unreachable`.
        """
        with translated():
            async with self.engine.begin() as connection:
                yield connection

    def put(
        self,
        table: Table,
        row: Mapping[str, Any],
        *,
        keys: Sequence[str],
        where: ColumnElement[bool] | None = None,
    ) -> Insert:
        """Return the statement that adds *row*, replacing the one with the same *keys*.

        With *where*, only a row for which that is true is replaced.
        """
        rest = {name: value for name, value in row.items() if name not in keys}
        added = self.insert(table).values(**row)
        replacing: Insert = added.on_conflict_do_update(index_elements=keys, set_=rest, where=where)
        return replacing

    async def keep(self, table: Table, row: Mapping[str, Any], *, keys: Sequence[str]) -> None:
        """Add *row*, replacing the one with the same *keys*, in a transaction of its own."""
        async with self.writing() as connection:
            await connection.execute(self.put(table, row, keys=keys))

    def insert(self, table: Table) -> Any:
        """Return the statement that adds to *table*, and knows what to do with rows in its way."""
        # The other dialect would only take memory.
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as insert_into_sqlite

            return insert_into_sqlite(table)
        from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql

        return insert_into_postgresql(table)

    async def close(self) -> None:
        """Disconnect; asking again connects anew."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()


def can_be_a_key(text: str) -> bool:
    """Say whether *text*, which may come from a URL, can be a key; PostgreSQL takes no NUL."""
    return text.isprintable()


def prepare_sqlite(connection: Any, _record: object) -> None:
    """Set up a new SQLite connection: wait for other writers, keep foreign keys."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log this may lose the last moment to a power cut, never the file's sense.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def check_postgresql(connection: Any, _record: object, _lent: object) -> None:
    """Have SQLAlchemy take another connection where the server has closed this one.

    A PostgreSQL server may be restarted under us. What has been closed can be read from, without a
    question that would have to be waited for.
    """
    ours = connection.driver_connection
    poll = select.poll()
    if not ours.closed:
        poll.register(ours.fileno(), select.POLLIN)
    if ours.closed or poll.poll(0):
        raise DisconnectionError


def quicken(url: str) -> None:
    """Have every SQLite connection of this process, to the file at *url*, use a write-ahead log.

    For JupyterHub, which commits some ten times for each server that it starts, and would wait for
    the disk at each.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return

    @event.listens_for(Engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        prepare_sqlite(connection, record)
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()


def make_file(url: URL) -> Path:
    """Make the SQLite file at *url*, readable by nobody else, and return its path."""
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the database's own troubles into ours, without a word of its URL."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        said = str(error.orig or error).strip().partition("\n")[0]
        message = f"The database does not answer: {said}."
        raise Unreachable(message, hint="Is it running, and is [database] url right?") from error
    except PoolTimeout as error:
        message = "The database has too much to do."
        raise Unreachable(message, hint="Try again in a moment.") from error
