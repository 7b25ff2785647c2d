"""Urls: where the database is, and what SQLAlchemy must be told to get there.

JupyterHub may share a PostgreSQL database with Atoll (its tables have other names); on SQLite
each has a file of its own, for two programs writing to one file would wait for one another.
"""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from atoll.errors import BadSettings
from atoll.settings import Settings

HINT = "Write [database] url as postgresql://user:password@host/name, or leave it empty for SQLite."


def database_url(settings: Settings) -> URL:
    """Return the URL of Atoll's database with a driver that asyncio can use.

    Raises `BadSettings` (never showing the URL, which may hold a password).
    """
    if not settings.database.url:
        return _sqlite(settings, "atoll.sqlite").set(drivername="sqlite+aiosqlite")
    url = _parse(settings.database.url)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    return url


def jupyterhub_url(settings: Settings) -> str:
    """Return what JupyterHub's ``db_url`` must be, with its password; raises `BadSettings`."""
    url = _parse(settings.database.url) if settings.database.url else None
    if url is None or url.get_backend_name() == "sqlite":
        url = _sqlite(settings, "jupyterhub.sqlite")
    return url.render_as_string(hide_password=False)


def blocking(url: URL) -> URL:
    """Return *url* with the driver for plain, not asyncio, use (psycopg 3 does both)."""
    return url.set(drivername="sqlite") if url.get_backend_name() == "sqlite" else url


def _sqlite(settings: Settings, name: str) -> URL:
    return URL.create("sqlite", database=str(settings.data.absolute() / name))


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise BadSettings("[database] url is not a database URL.", hint=HINT) from None
    kind = url.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite")
    raise BadSettings(f"[database] url: Atoll cannot keep its data in “{kind}” there.", hint=HINT)
