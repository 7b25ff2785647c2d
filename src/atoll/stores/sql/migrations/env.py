"""Env: what Alembic runs to get at our tables; the connection is always handed to it."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from atoll.stores.sql.schema import PREFIX, VERSION_TABLE, Moment, metadata


def render(_kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """Return how a migration writes *thing*: our own types change, steps once taken must not."""
    return "sa.DateTime(timezone=True)" if isinstance(thing, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # JupyterHub's tables may live beside ours.
    include_name=lambda name, kind, _: kind != "table" or (name or "").startswith(PREFIX),
    transactional_ddl=True,
    render_as_batch=True,
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
