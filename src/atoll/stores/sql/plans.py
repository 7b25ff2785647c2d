"""Plans: everything needed to start each server, in the database, for its owner only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import delete, func, or_, select, update

from atoll.errors import NotFound
from atoll.servers import ServerPlan
from atoll.stores.sql.database import Database, can_be_a_key
from atoll.stores.sql.schema import plans

PLAN = TypeAdapter(ServerPlan)


class SqlPlans:
    """Keeps the `Plans` contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, plan: ServerPlan) -> None:
        """Remember *plan* under its id; raises `NotFound` when the id is somebody else's."""
        row = {
            "id": plan.id,
            "owner": plan.owner.name,
            "name": plan.name,
            "made": datetime.now(UTC),
            "body": PLAN.dump_python(plan, mode="json"),
        }
        put = self._database.put(plans, row, keys=("id",), where=plans.c.owner == plan.owner.name)
        async with self._database.writing() as connection:
            if (await connection.execute(put.returning(plans.c.id))).first() is None:
                raise NotFound("There is no such plan of yours.")

    async def get(self, plan_id: str, owner: str) -> ServerPlan:
        """Return *owner*'s plan, or raise `NotFound`: somebody else's plan is not there."""
        asked = select(plans.c.body).where(plans.c.id == plan_id, plans.c.owner == owner)
        row = None
        if can_be_a_key(plan_id):
            async with self._database.reading() as connection:
                row = (await connection.execute(asked)).one_or_none()
        if row is None:
            raise NotFound("There is no such plan.", hint="Launch the repository again.")
        return PLAN.validate_python(row.body)

    async def kept(self) -> list[ServerPlan]:
        """Return the newest plan of every server of everybody's that is not temporary."""
        newest = select(func.max(plans.c.number)).group_by(plans.c.owner, plans.c.name)
        asked = select(plans.c.body).where(plans.c.number.in_(newest))
        async with self._database.reading() as connection:
            found = [PLAN.validate_python(row.body) for row in await connection.execute(asked)]
        return [plan for plan in found if not plan.content.temporary]

    async def latest(self, owner: str) -> Mapping[str, tuple[ServerPlan, datetime]]:
        """Return *owner*'s newest plan for each server name, and when it was made (UTC)."""
        newest = select(func.max(plans.c.number)).where(plans.c.owner == owner)
        asked = (
            select(plans)
            .where(plans.c.number.in_(newest.group_by(plans.c.name)))
            .order_by(plans.c.number.desc())
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).all()
        return {row.name: (PLAN.validate_python(row.body), row.made) for row in rows}

    async def newest(self, owner: str, name: str) -> ServerPlan | None:
        """Return the newest plan of *owner*'s server *name*, if there is one."""
        asked = (
            select(plans.c.body)
            .where(plans.c.owner == owner, plans.c.name == name)
            .order_by(plans.c.number.desc())
            .limit(1)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(asked)).one_or_none()
        return None if row is None else PLAN.validate_python(row.body)

    async def any_ends(self) -> bool:
        """Say whether anybody's plan says when its server is stopped."""
        ends = plans.c.body["ends"]
        said = (ends[name].as_string().is_not(None) for name in ("lifetime", "idle"))
        async with self._database.reading() as connection:
            found = await connection.execute(select(plans.c.id).where(or_(*said)).limit(1))
        return found.first() is not None

    async def retitle(self, owner: str, name: str, title: str) -> None:
        """Have the newest plan of *owner*'s server *name* say *title*, or raise `NotFound`."""
        plan = await self.newest(owner, name)
        if plan is None:
            raise NotFound("There is no such server of yours.")
        body = PLAN.dump_python(replace(plan, title=title), mode="json")
        async with self._database.writing() as connection:
            await connection.execute(update(plans).where(plans.c.id == plan.id).values(body=body))

    async def copies(self, owner: str, name: str) -> set[tuple[str, str]]:
        """Return the owners and names of the copies of *owner*'s server *name*, running or not."""
        copied = plans.c.body["content"]["copied"]
        asked = select(plans.c.owner, plans.c.name).where(
            copied["owner"].as_string() == owner, copied["server"].as_string() == name
        )
        async with self._database.reading() as connection:
            return {(row.owner, row.name) for row in await connection.execute(asked)}

    async def forget(self, owner: str, name: str) -> None:
        """Forget every plan of *owner*'s server *name*."""
        gone = delete(plans).where(plans.c.owner == owner, plans.c.name == name)
        async with self._database.writing() as connection:
            await connection.execute(gone)
