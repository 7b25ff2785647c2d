"""Migrating: brings a database's tables up to date, however many processes ask at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from filelock import FileLock
from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from atoll.errors import Lacking
from atoll.stores.sql.database import make_file, prepare_sqlite, translated
from atoll.stores.sql.schema import VERSION_TABLE
from atoll.stores.sql.urls import blocking

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x41746F6C6C  # "Atoll": the number that PostgreSQL locks while tables change
_one_at_a_time = threading.Lock()  # Alembic's `op` and `context` are one for the whole process


def migrate(url: URL) -> None:
    """Bring the tables at *url* up to date, wholly or not at all; quick when they are.

    Raises `Unreachable`, and `Lacking` when the tables are a newer Atoll's.
    """
    with _one_at_a_time, translated(), connected(url) as connection, _locked(connection):
        config = configuration(connection)
        now = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        wanted = ScriptDirectory.from_config(config).get_current_head()
        if (found := now.get_current_revision()) == wanted:
            return
        try:
            command.upgrade(config, "head")
        except (CommandError, ResolutionError) as error:
            raise Lacking(
                f"The database was made by a newer Atoll: its tables are of {found}, and this one "
                f"knows them up to {wanted}.",
                hint="Start that version, or restore a backup of before the upgrade.",
            ) from error


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for work on *connection*."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def connected(url: URL) -> Iterator[Connection]:
    """Lend a connection of one transaction; on SQLite nobody else can write meanwhile."""
    engine = create_engine(blocking(url), poolclass=NullPool)
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            yield connection
        return

    def prepare(connection: object, record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined] # we say BEGIN ourselves
        prepare_sqlite(connection, record)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    with FileLock(
        f"{make_file(url)}.lock", mode=0o600
    ):  # for changing to WAL, SQLite itself does not wait
        with contextlib.closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL").fetchone()
        with engine.begin() as connection:
            yield connection


@contextlib.contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "postgresql":  # freed when the transaction ends, however it does
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    yield
