"""Databases: a copy of each as of one moment, while they are in use; and back again.

A SQLite file is copied by SQLite's own online backup, a PostgreSQL database by its own programs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from atoll.errors import Lacking, Refused, Unreachable
from atoll.settings import Settings
from atoll.stores.sql.database import PATIENCE, translated
from atoll.stores.sql.urls import blocking, database_url, jupyterhub_url

DUMP = "postgresql.dump"  # in an archive, beside the data folder
SQLITE, POSTGRESQL = "sqlite", "postgresql"
OURS, HUBS = "atoll.sqlite", "jupyterhub.sqlite"  # in the data folder


def kind(settings: Settings) -> str:
    """Return which of the two kinds *settings*' database is."""
    return SQLITE if database_url(settings).get_backend_name() == "sqlite" else POSTGRESQL


def sqlite_files(settings: Settings) -> dict[str, Path]:
    """Return the SQLite files of *settings*' installation by their names in an archive.

    JupyterHub's comes first: each plan that it names is in Atoll's by then, which may have more.
    """
    ours = database_url(settings)
    hubs = make_url(jupyterhub_url(settings))
    files = {HUBS: hubs, OURS: ours}
    return {
        name: Path(url.database or "")
        for name, url in files.items()
        if url.get_backend_name() == "sqlite"
    }


def copy(settings: Settings, folder: Path) -> dict[str, Path]:
    """Copy all databases into *folder*; return where, by their names in an archive.

    Raises `Unreachable`, and `Lacking` without PostgreSQL's programs.
    """
    if kind(settings) == POSTGRESQL:
        dump = folder / DUMP
        _run("pg_dump", database_url(settings), "--format=custom", f"--file={dump}")
        return {DUMP: dump}
    made = {}
    for name, file in sqlite_files(settings).items():
        if file.exists():
            _copy_file(file, folder / name)
            made[f"data/{name}"] = folder / name
    return made


def bring_back(settings: Settings, dump: Path) -> None:
    """Fill *settings*' empty PostgreSQL database from *dump*, wholly or not at all."""
    check_empty(settings)
    _run("pg_restore", database_url(settings), "--exit-on-error", "--single-transaction", str(dump))


def check_empty(settings: Settings) -> None:
    """Raise `Refused` where *settings*' PostgreSQL database holds anything, or `Unreachable`."""
    engine = create_engine(blocking(database_url(settings)), poolclass=NullPool)
    with translated(), engine.connect() as connection:
        if inspect(connection).get_table_names():
            raise Refused(
                "The database that [database] url names is not empty.",
                hint="Restoring never mixes: make an empty one, and name that.",
            )


def _copy_file(file: Path, copy: Path) -> None:
    copy.touch(mode=0o600)
    try:
        with (
            contextlib.closing(sqlite3.connect(file, timeout=PATIENCE)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            [said] = target.execute("PRAGMA quick_check(1)").fetchone()
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise Unreachable(
            f"{file} could not be copied: {said}.",
            hint="No backup was made. Is the disk in order? An earlier backup may be needed.",
        )


def _run(program: str, url: URL, *words: str) -> None:
    """Run one of PostgreSQL's programs on the database at *url*; no password is in its words."""
    found = shutil.which(program)
    if found is None:
        raise Lacking(
            f"{program} is not there, by which PostgreSQL is backed up and restored.",
            hint="Install PostgreSQL's client programs (Debian: postgresql-client).",
        )
    where, environ = _told(url)
    common = ("--no-owner", "--no-privileges", "--no-password", f"--dbname={where}")
    ran = subprocess.run(
        [found, *common, *words],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if ran.returncode:
        said = " ".join(ran.stderr.split())[-500:]
        raise Unreachable(
            f"{program} failed: {said}",
            hint="Its version must not be older than the server's; and is [database] url right?",
        )


def _told(url: URL) -> tuple[str, Mapping[str, str]]:
    """Return how libpq is told of *url*, and the variables that hold what nobody may see."""
    _, told = blocking(url).get_dialect()().create_connect_args(url)
    password = told.pop("password", None)
    where = make_conninfo("", **told)
    return where, {"PGPASSWORD": str(password)} if password else {}
