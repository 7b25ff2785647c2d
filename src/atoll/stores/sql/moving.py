"""Moving: what the database says of folders follows the data folder to another place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, inspect, select, update

from atoll.stores.sql.database import translated
from atoll.stores.sql.migrating import connected
from atoll.stores.sql.schema import environments, plans


def move(url: URL, old: Path, new: Path) -> None:
    """Have plans and environments at *url* name *new* where they name the data folder *old*.

    Raises `Unreachable`.
    """
    with translated(), connected(url) as connection:
        known = inspect(connection).get_table_names()
        for table in (plans, environments):
            if table.name not in known:
                continue
            keys = tuple(table.primary_key.columns)
            for row in connection.execute(select(*keys, table.c.body)).all():
                body = moved(row.body, str(old), str(new))
                if body != row.body:
                    this = [key == row[n] for n, key in enumerate(keys)]
                    connection.execute(update(table).where(*this).values(body=body))


def moved(value: Any, old: str, new: str) -> Any:
    """Return *value*, which came from JSON, with each path in the folder *old* now in *new*."""
    if isinstance(value, dict):
        return {name: moved(one, old, new) for name, one in value.items()}
    if isinstance(value, list):
        return [moved(one, old, new) for one in value]
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value[len(old) :]
    return value
