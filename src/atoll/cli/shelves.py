"""What has been built on this machine, measured: for `atoll environments` and its parts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from atoll.app import opened
from atoll.cli.common import Laptop
from atoll.disk import usage
from atoll.environments import EnvKey, ShelvedEnvironment


async def rows_of(machine: Laptop) -> list[dict[str, Any]]:
    """Return each environment of *machine*: what it takes, alone and in all, and who needs it."""
    async with opened(machine.atoll):
        shelved = await machine.atoll.store.shelf.all()
        plans = await machine.atoll.store.plans.kept()
    servers = defaultdict(set)
    for plan in plans:
        servers[plan.environment.key].add(f"{plan.owner.name}/{plan.name}")
    for record, alive in machine.runner.records.all():
        if alive:
            servers[EnvKey(record.environment)].add(f"{record.owner}/{record.name}")
    return _measured(shelved, servers)


def _measured(
    shelved: list[ShelvedEnvironment], servers: dict[EnvKey, set[str]]
) -> list[dict[str, Any]]:
    there = [one for one in shelved if Path(one.environment.handle).is_dir()]
    sizes = usage({one.environment.key: Path(one.environment.handle) for one in there})
    return [
        {
            "key": one.environment.key,
            "engine": one.environment.engine,
            "python": one.environment.python,
            "as_of": one.environment.as_of.isoformat() if one.environment.as_of else None,
            "bytes": sizes[one.environment.key].all,
            "alone": sizes[one.environment.key].alone,
            "shares": sorted(sizes[one.environment.key].shares),
            "made": one.made.isoformat(),
            "used": one.used.isoformat(),
            "servers": sorted(servers.get(one.environment.key, ())),
            "pinned": one.pinned,
            "path": one.environment.handle,
        }
        for one in there
    ]
