"""Volumes: which there are, whose they are, and with whom they are shared."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Select, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from atoll.access import Party, Share
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.parties import key_of, party_of
from atoll.stores.sql.schema import shares, volumes
from atoll.volumes import Volume

VOLUME = TypeAdapter(Volume)


class SqlVolumes:
    """Keeps the `atoll.volumes.Records` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, volume: Volume) -> bool:
        """Record *volume*, without its shares; ``False`` if its owner has one of that name."""
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(volumes).values(**_row(volume)))
        except IntegrityError:
            return False
        return True

    async def get(self, volume_id: str) -> Volume | None:
        """Return it, if there is one, deleted or not."""
        return await self._one(select(volumes).where(volumes.c.id == volume_id), volume_id)

    async def find(self, owner: Party, name: str) -> Volume | None:
        """Return *owner*'s volume *name*, if there is one, deleted or not."""
        asked = select(volumes).where(volumes.c.owner == key_of(owner), volumes.c.name == name)
        return await self._one(asked, f"{owner.name}/{name}")

    async def of(self, whom: Iterable[Party]) -> list[Volume]:
        """Return all that any of *whom* owns or has a share in, by owner and name."""
        keys = [key_of(one) for one in whom]
        shared = select(shares.c.volume).where(shares.c.whom.in_(keys))
        return await self._all(
            select(volumes).where(or_(volumes.c.owner.in_(keys), volumes.c.id.in_(shared)))
        )

    async def all(self) -> list[Volume]:
        """Return all, by owner and name."""
        return await self._all(select(volumes))

    async def change(self, before: Volume, after: Volume) -> bool:
        """Replace *before* by *after*, but for its shares, unless another was quicker."""
        mine = update(volumes).where(volumes.c.id == before.id)
        known = select(volumes.c.body).where(volumes.c.id == before.id)
        try:
            async with self._database.writing() as connection:
                # Changes nothing, but whoever comes now waits until we are done.
                await connection.execute(mine.values(name=volumes.c.name))
                body = (await connection.execute(known)).scalar()
                if body is None or VOLUME.validate_python(body) != replace(before, shares=()):
                    return False
                await connection.execute(mine.values(**_row(after)))
                return True
        except IntegrityError:
            return False

    async def share(self, volume_id: str, share: Share) -> None:
        """Record *share*, in place of another with the same party; of a volume that is there."""
        row = {"volume": volume_id, "whom": key_of(share.whom), "writable": share.writable}
        with contextlib.suppress(IntegrityError):  # it has just been forgotten
            async with self._database.writing() as connection:
                await connection.execute(self._database.put(shares, row, keys=("volume", "whom")))

    async def unshare(self, volume_id: str, whom: Party) -> None:
        """Forget *whom*'s share; there may be none."""
        gone = delete(shares).where(shares.c.volume == volume_id, shares.c.whom == key_of(whom))
        async with self._database.writing() as connection:
            await connection.execute(gone)

    async def forget(self, volume_id: str) -> None:
        """Forget it and its shares; it may be gone."""
        async with self._database.writing() as connection:
            await connection.execute(delete(volumes).where(volumes.c.id == volume_id))

    async def _one(self, asked: Select[Any], words: str) -> Volume | None:
        found = await self._all(asked) if can_be_a_key(words) else []
        return found[0] if found else None

    async def _all(self, asked: Select[Any]) -> list[Volume]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked.order_by(volumes.c.owner, volumes.c.name))).all()
            ids = [row.id for row in rows]
            theirs = select(shares).where(shares.c.volume.in_(ids)).order_by(shares.c.whom)
            given = defaultdict(list)
            for row in await connection.execute(theirs):
                given[row.volume].append({"whom": party_of(row.whom), "writable": row.writable})
        return [VOLUME.validate_python({**row.body, "shares": given[row.id]}) for row in rows]


def _row(volume: Volume) -> dict[str, Any]:
    body = VOLUME.dump_python(volume, mode="json")
    del body["shares"]
    return {
        "id": volume.id,
        "owner": key_of(volume.owner),
        "name": volume.name,
        "deleted": volume.deleted,
        "body": body,
    }
