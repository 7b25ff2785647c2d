"""Schema: the tables, one for each thing that must survive a restart.

What is looked for or sorted by is a column; the rest of a record is its ``body``, as JSON, so
that a new field of a record needs no migration. All times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

PREFIX = "atoll_"  # JupyterHub's tables may live in the same database
VERSION_TABLE = f"{PREFIX}alembic_version"


class Moment(TypeDecorator[datetime]):
    """A time zone aware moment; SQLite, which has no such thing, gets it in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return *value* in UTC, as *dialect* wants it."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the stored moment, aware and in UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)

environments = Table(
    f"{PREFIX}environments",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("engine", String(64), primary_key=True),
    Column("made", Moment, nullable=False),
    Column("used", Moment, nullable=False),
    Column("body", JSON, nullable=False),
    Column("pinned", Boolean, nullable=False, server_default=false()),
)

failures = Table(
    f"{PREFIX}failures",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("engine", String(64), primary_key=True),
    Column("made", Moment, nullable=False),
    Column("error", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("log", Text, nullable=False),
)

plans = Table(
    f"{PREFIX}plans",
    metadata,
    Column("number", Integer, primary_key=True),  # tells the newer of two made in one instant
    Column("id", String(64), nullable=False, unique=True),
    Column("owner", String(255), nullable=False),
    Column("name", String(64), nullable=False),
    Column("made", Moment, nullable=False),
    Column("body", JSON, nullable=False),
    Index(None, "owner", "name"),
)

launches = Table(
    f"{PREFIX}launches",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("person", String(255), nullable=False),
    Column("state", String(32), nullable=False, index=True),
    Column("made", Moment, nullable=False),
    Column("body", JSON, nullable=False),
    Index(None, "person", "made"),
)

records = Table(
    f"{PREFIX}records",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("person", String(255), nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("status", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Index(None, "person", "at"),
)

stops = Table(
    f"{PREFIX}stops",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("why", String(32), nullable=False),
)

trusts = Table(
    f"{PREFIX}trusts",
    metadata,
    Column("person", String(255), primary_key=True),
    Column("what", String(2300), primary_key=True),
    Column("at", Moment, nullable=False),
)

copies = Table(
    f"{PREFIX}copies",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("made", Moment, nullable=False),
    Column("volumes", JSON, nullable=False),
)

volumes = Table(
    f"{PREFIX}volumes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(270), nullable=False),
    Column("name", String(64), nullable=False),
    Column("deleted", Moment),
    Column("body", JSON, nullable=False),
    UniqueConstraint("owner", "name"),
)

shares = Table(
    f"{PREFIX}shares",
    metadata,
    Column("volume", ForeignKey(volumes.c.id, ondelete="CASCADE"), primary_key=True),
    Column("whom", String(270), primary_key=True, index=True),
    Column("writable", Boolean, nullable=False),
)

acts = Table(
    f"{PREFIX}acts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("who", String(500), nullable=False),
    Column("deed", String(500), nullable=False),
    Column("kind", String(500), nullable=False),
    Column("what", String(500), nullable=False),
    Column("server", String(500), nullable=False),
    Column("way", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "who", "number"),
)

rulings = Table(
    f"{PREFIX}rulings",
    metadata,
    Column("whom", String(270), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("by", String(255), nullable=False),
    Column("at", Moment, nullable=False),
)

messages = Table(
    f"{PREFIX}messages",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("whom", String(270), nullable=False),
    Column("text", String(500), nullable=False),
    Column("level", String(16), nullable=False),
    Column("server", String(330), nullable=False),
    Column("by", String(255), nullable=False),
    Column("at", Moment, nullable=False),
    Column("until", Moment),
)

dismissals = Table(
    f"{PREFIX}dismissals",
    metadata,
    Column("message", ForeignKey(messages.c.number, ondelete="CASCADE"), primary_key=True),
    Column("person", String(255), primary_key=True, index=True),
)

costs = Table(
    f"{PREFIX}costs",
    metadata,
    Column("day", Date, primary_key=True),
    Column("thing", String(16), primary_key=True),
    Column("owner", String(270), primary_key=True),
    Column("name", String(330), primary_key=True),
    Column("cpu", Float, nullable=False),
    Column("memory", Float, nullable=False),
    Column("disk", BigInteger),
    Column("groups", JSON, nullable=False),
)

readings = Table(
    f"{PREFIX}readings",
    metadata,
    Column("handle", String(255), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("name", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("started", Moment, nullable=False),
    Column("cpu", Float, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("cpus", Float, nullable=False),
)
