"""Copies: the addresses at which visitors get copies of servers."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, select

from atoll.launching.copies import CopyLink
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.schema import copies


class SqlCopies:
    """Keeps the `CopyLinks` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, link: CopyLink) -> None:
        """Remember *link*, instead of the one before of the same server."""
        row = {
            "owner": link.owner,
            "name": link.server,
            "key": link.key,
            "made": link.made,
            "volumes": list(link.volumes),
        }
        await self._database.keep(copies, row, keys=("owner", "name"))

    async def get(self, key: str) -> CopyLink | None:
        """Return the link that has *key*, if there is one."""
        return await self._one(copies.c.key == key) if can_be_a_key(key) else None

    async def of(self, owner: str, server: str) -> CopyLink | None:
        """Return the link to *server* of *owner*'s, if there is one."""
        return await self._one((copies.c.owner == owner) & (copies.c.name == server))

    async def drop(self, owner: str, server: str) -> None:
        """Forget the link to it; there may be none."""
        where = (copies.c.owner == owner) & (copies.c.name == server)
        async with self._database.writing() as connection:
            await connection.execute(delete(copies).where(where))

    async def _one(self, where: ColumnElement[bool]) -> CopyLink | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(copies).where(where))).one_or_none()
        if row is None:
            return None
        return CopyLink(row.owner, row.name, row.key, row.made, tuple(row.volumes))
