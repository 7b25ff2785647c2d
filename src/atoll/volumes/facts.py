"""Facts: what people and programs are told of volumes, in JSON's own types."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from atoll.access import Deed, Kind
from atoll.people import Person
from atoll.volumes import Volume
from atoll.volumes.keeper import Keeper


def facts(volume: Volume, person: Person) -> dict[str, Any]:
    """Return what *person* is told of *volume*: ``volume`` is how they write it."""
    mine = volume.owner.kind is Kind.PERSON and volume.owner.has(person)
    shares = [
        {"whom": "everybody" if one.whom.kind is Kind.HUB else str(one.whom), "write": one.writable}
        for one in volume.shares
    ]
    return {
        "volume": volume.name if mine else str(volume),
        "owner": str(volume.owner),
        "description": volume.description,
        "quota": volume.quota or None,
        "shares": shares if volume.lets(person, Deed.CHANGE) else [],
        "snapshot": bool(volume.origin),
        "made": volume.made.isoformat(),
        "deleted": volume.deleted.isoformat() if volume.deleted else None,
        "may": [deed.value for deed in Deed if volume.lets(person, deed)],
    }


async def listed(
    keeper: Keeper, person: Person, *, everybodys: bool = False
) -> list[dict[str, Any]]:
    """Return the facts of all that *person* may see, with sizes and the servers that have them.

    ``bytes`` is ``None`` where the files are not there. *everybodys*, too, for operators.
    """
    servers = defaultdict(list)
    for volume_id, server in keeper.files.users():
        servers[volume_id].append(server)
    rows = []
    for volume in await keeper.seen_by(person, everybodys=everybodys):
        there = await keeper.files.has(volume)
        size = await keeper.files.size(volume) if there else None
        more = {"bytes": size, "servers": sorted(servers[volume.id])}
        rows.append({**facts(volume, person), **more})
    return rows
