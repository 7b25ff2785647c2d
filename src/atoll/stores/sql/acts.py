"""Acts: the audit log, to which rows are added and of which only the oldest are ever forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, or_, select

from atoll.acts import Act, Search, Way
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.schema import acts


class SqlActs:
    """Keeps the `Acts` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, act: Act) -> None:
        """Keep *act*, cleaned."""
        clean = act.clean()
        row = {name: getattr(clean, name) for name in {*acts.c.keys()} - {"number"}}
        async with self._database.writing() as connection:
            await connection.execute(insert(acts).values({**row, "way": clean.way.value}))

    async def find(self, search: Search) -> Sequence[tuple[int, Act]]:
        """Return what *search* is true of, with the numbers, the newest first."""
        if not can_be_a_key(search.who + search.what):
            return []
        asked, below = select(acts), f"{search.who}/"
        if search.who:
            asked = asked.where(
                or_(
                    acts.c.who == search.who,
                    acts.c.what == search.who,
                    acts.c.what.startswith(below, autoescape=True),
                    acts.c.server.startswith(below, autoescape=True),
                )
            )
        if search.what:
            texts = (acts.c.deed, acts.c.what, acts.c.server)
            asked = asked.where(
                or_(*(text.icontains(search.what, autoescape=True) for text in texts))
            )
        if search.since:
            asked = asked.where(acts.c.at >= search.since)
        if search.before:
            asked = asked.where(acts.c.number < search.before)
        if search.after:
            asked = asked.where(acts.c.number > search.after)
        async with self._database.reading() as connection:
            found = await connection.execute(
                asked.order_by(acts.c.number.desc()).limit(search.limit)
            )
            return [(row.number, _act(row._mapping)) for row in found]  # noqa: SLF001 - its name

    async def prune(self, before: datetime) -> None:
        """Forget what happened before that moment."""
        async with self._database.writing() as connection:
            await connection.execute(delete(acts).where(acts.c.at < before))


def _act(row: object) -> Act:
    known = dict(row)  # type: ignore[call-overload]
    del known["number"]
    return Act(**{**known, "way": Way(known["way"])})
