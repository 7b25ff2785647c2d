"""The meter: a task of the service that measures what servers use, and what is kept on disk."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from atoll.access import HUB, Kind, Party
from atoll.accounting.costs import Cost, Thing, counted
from atoll.app import Atoll
from atoll.disk import usage
from atoll.errors import AtollError, NotFound
from atoll.web.hub_api import HubApi
from atoll.web.now_and_then import now_and_then

KNOWN = 900.0  # seconds for which somebody's groups are believed


@dataclass(slots=True)
class Meter:
    """Looks at all servers every so often, and once a day at the disk.

    What it has seen is in the database after each look, so that a restart loses nothing of a server
    that goes on, and one look's worth of a server that stops meanwhile.
    """

    atoll: Atoll
    hub: HubApi
    _groups: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    _day: date | None = None  # on which the disk was looked at

    def measuring(self) -> AbstractAsyncContextManager[None]:
        """Look now and then for as long as the service runs."""
        sample = self.atoll.settings.operator.sample
        return now_and_then("measure servers", lambda: self.look(datetime.now(UTC)), sample)

    async def look(self, now: datetime) -> None:
        """Count what has been used since the last look; the first time in a day, the disk, too."""
        runner, costs = self.atoll.runner, self.atoll.store.costs
        found = [(one, await runner.usage(one.handle)) for one in await runner.running()]
        seen = [(server, used) for server, used in found if used]
        groups = {server.owner: await self._groups_of(server.owner) for server, _ in seen}
        before = {one.handle: one for one in await costs.readings()}
        if seen or before:
            await costs.add(*counted(before, seen, now, groups))
        if self._day != now.date():
            await costs.add([*await self._kept(now.date()), *await self._volumes(now.date())])
            await costs.add(await self._environments(now.date()))
            await self._prune(now)
            self._day = now.date()

    async def _kept(self, day: date) -> list[Cost]:
        found = []
        for plan in await self.atoll.store.plans.kept():
            owner = Party(Kind.PERSON, plan.owner.name)
            size = await self.atoll.runner.size(owner.name, plan.name)
            groups = tuple(sorted(await self._groups_of(owner.name)))
            found.append(Cost(day, Thing.SERVER, owner, plan.name, disk=size, groups=groups))
        return found

    async def _volumes(self, day: date) -> list[Cost]:
        found = []
        for volume in await self.atoll.store.volumes.all():
            if await self.atoll.keeper.files.has(volume):
                size = await self.atoll.keeper.files.size(volume)
                whose: frozenset[str] = frozenset()
                if volume.owner.kind is Kind.PERSON:
                    whose = await self._groups_of(volume.owner.name)
                groups = tuple(sorted(whose))
                known = (day, Thing.VOLUME, volume.owner, volume.name)
                found.append(Cost(*known, disk=size, groups=groups))
        return found

    async def _environments(self, day: date) -> list[Cost]:
        """Return what environments take; all who ask for the same share one, so they are the hub's.

        What several of them have alike counts once for each.
        """
        shelved = [one.environment for one in await self.atoll.store.shelf.all()]
        folders = {str(one.key): Path(one.handle) for one in shelved if one.handle.startswith("/")}
        there = {key: folder for key, folder in folders.items() if folder.is_dir()}
        sizes = await asyncio.to_thread(usage, there) if there else {}
        return [
            Cost(day, Thing.ENVIRONMENT, HUB, key, disk=size.all) for key, size in sizes.items()
        ]

    async def _prune(self, now: datetime) -> None:
        rules, store = self.atoll.settings.operator, self.atoll.store
        if rules.audit_days:
            await store.acts.prune(now - timedelta(days=rules.audit_days))
        if rules.cost_days:
            await store.costs.prune((now - timedelta(days=rules.cost_days)).date())

    async def _groups_of(self, name: str) -> frozenset[str]:
        """Return the groups that JupyterHub has *name* in; none, where it does not say."""
        at, known = self._groups.get(name, (float("-inf"), frozenset[str]()))
        if time.monotonic() - at < KNOWN:
            return known
        try:
            known = (await self.hub.user(name)).groups
        except NotFound:
            known = frozenset()
        except AtollError:
            return known
        self._groups[name] = (time.monotonic(), known)
        return known
