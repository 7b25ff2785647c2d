"""Overview: what there is on this hub and what it costs, for its operator's page, API and commands.

Rows are dicts of JSON's own types. What servers use and what is on disk are the meter's last word.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from atoll.access import HUB, Kind, Party
from atoll.accounting.costs import Cost, Thing, month, summed
from atoll.acts import Search
from atoll.allowances import shown
from atoll.app import Atoll
from atoll.errors import BadRequest, NotFound, Unreachable
from atoll.launching.desk import Desk
from atoll.messages import Message
from atoll.people import Person
from atoll.quantities import moment_or_span
from atoll.web.hub_api import HubApi

Row = dict[str, Any]
INSTEAD = {"max_idle": "idle", "lifetime": "max_age"}  # what counts where the first is not said
GROUPED = {"person": Kind.PERSON, "group": Kind.GROUP}


async def servers(atoll: Atoll) -> list[Row]:
    """Return the servers that ran a moment ago, those first that use most memory."""
    late = timedelta(seconds=3 * atoll.settings.operator.sample)
    now, plans = datetime.now(UTC), atoll.store.plans
    found = [
        {
            "server": f"{one.owner}/{one.name}",
            "owner": one.owner,
            "name": one.name,
            "title": plan.title if (plan := await plans.newest(one.owner, one.name)) else "",
            "cpus": round(one.cpus, 2),
            "memory": one.memory,
            "started": one.started.isoformat(timespec="seconds"),
            "measured": one.at.isoformat(timespec="seconds"),
        }
        for one in await atoll.store.costs.readings()
        if now - one.at < late
    ]
    return sorted(found, key=lambda row: -row["memory"])


async def people(atoll: Atoll, hub: HubApi) -> list[Row]:
    """Return everybody whom the hub knows, with their servers and costs of this month."""
    spent = {row["who"]: row for row in await costs(atoll, "", "person")}
    rows = []
    for user in await hub.users(""):
        running = [one.name for one in user.servers.values() if not one.stopped or one.pending]
        row = spent.get(user.name, {})
        rows.append(
            {
                "person": user.name,
                "operator": user.admin,
                "groups": sorted(user.groups),
                "running": sorted(running),
                "servers": len(user.servers),
                "last_seen": user.last_activity,
                "cpu_hours": row.get("cpu_hours", 0.0),
                "memory_gib_hours": row.get("memory_gib_hours", 0.0),
            }
        )
    return sorted(rows, key=lambda row: (-len(row["running"]), row["person"]))


def launches(desk: Desk) -> list[Row]:
    """Return the launches in progress and in line, with what was last said of each."""
    return [
        {
            "launch": one.id,
            "person": one.request.person.name,
            "what": str(one.request.repo),
            "since": one.made.isoformat(timespec="seconds"),
            "said": said,
        }
        for one, said in desk.going()
    ]


async def environments(atoll: Atoll) -> list[Row]:
    """Return the environments, the most lately used first, and how many kept servers need each."""
    needed = Counter(plan.environment.key for plan in await atoll.store.plans.kept())
    sizes = _sizes(await _lately(atoll), Thing.ENVIRONMENT)
    return [
        {
            "key": one.environment.key,
            "python": one.environment.python,
            "bytes": sizes.get((HUB, one.environment.key)),
            "used": one.used.isoformat(timespec="seconds"),
            "servers": needed[one.environment.key],
            "pinned": one.pinned,
        }
        for one in await atoll.store.shelf.all()
    ]


async def volumes(atoll: Atoll) -> list[Row]:
    """Return everybody's volumes, the largest first."""
    sizes = _sizes(await _lately(atoll), Thing.VOLUME)
    users = defaultdict(list)
    for volume_id, server in atoll.keeper.files.users():
        users[volume_id].append(server)
    rows = [
        {
            "volume": str(one),
            "owner": str(one.owner),
            "bytes": sizes.get((one.owner, one.name)),
            "quota": one.quota or None,
            "servers": sorted(users[one.id]),
            "deleted": one.deleted is not None,
        }
        for one in await atoll.store.volumes.all()
    ]
    return sorted(rows, key=lambda row: -(row["bytes"] or 0))


def disk(atoll: Atoll) -> Row:
    """Return how many bytes the data folder's disk has, and has left."""
    found = shutil.disk_usage(atoll.settings.data)
    return {"bytes": found.total, "free": found.free}


async def costs(atoll: Atoll, when: str, by: str) -> list[Row]:
    """Return what each person or group (*by*) has cost in the month *when*; "" is this one.

    Raises `BadRequest`.
    """
    if by not in GROUPED:
        raise BadRequest("Costs are by person or by group.", hint="Write “person” or “group”.")
    return summed(await atoll.store.costs.between(*month(when)), GROUPED[by])


async def limits(atoll: Atoll) -> list[Row]:
    """Return what operators have set, by whom it is for."""
    return [
        {
            "whom": str(one.whom),
            "name": one.name,
            "value": shown(one.name, one.value),
            "by": one.by,
            "at": one.at.isoformat(timespec="seconds"),
        }
        for one in await atoll.store.rulings.all()
    ]


async def allowed(atoll: Atoll, hub: HubApi, whom: Party) -> list[Row]:
    """Return what *whom*, a person or a group, may have now, and where each value comes from.

    Somebody whom the hub does not know yet is in no group. Raises `BadRequest`, `Unreachable`.
    """
    if whom.kind is Kind.HUB:
        person = None
    elif whom.kind is Kind.GROUP:
        person = Person("", frozenset({whom.name}))
    else:
        try:
            person = Person(whom.name, (await hub.user(whom.name)).groups)
        except NotFound:
            person = Person(whom.name)
    return await allowed_to(atoll, person)


async def allowed_to(atoll: Atoll, person: Person | None) -> list[Row]:
    """Return what *person* may have now, and where each value comes from; ``None`` is unknown."""
    found = dict(await atoll.allowances.words(person))
    for name, instead in INSTEAD.items():
        if found[name].value is None:
            found[name] = found[instead]
    return [
        {"name": name, "value": shown(name, one.value), "source": one.source}
        for name, one in found.items()
    ]


async def messages(atoll: Atoll) -> list[Row]:
    """Return the messages that are shown now, the newest first."""
    return [told(one) for one in await atoll.store.messages.live(datetime.now(UTC))]


def told(message: Message) -> Row:
    """Return *message* as a row."""
    return {
        "number": message.number,
        "whom": str(message.whom),
        "server": message.server,
        "text": message.text,
        "level": message.level.value,
        "by": message.by,
        "at": message.at.isoformat(timespec="seconds"),
        "until": message.until.isoformat(timespec="seconds") if message.until else None,
    }


async def titles(atoll: Atoll, rows: Iterable[Row]) -> dict[str, str]:
    """Return what people call the servers that *rows* are about, those which have a title."""
    named = {row["server"] for row in rows if row["server"]}
    found: dict[str, str] = {}
    for owner in {one.rpartition("/")[0] for one in named}:
        latest = await atoll.store.plans.latest(owner)
        found |= {f"{owner}/{name}": plan.title for name, (plan, _) in latest.items()}
    return {server: found[server] for server in named if found.get(server)}


async def acts(atoll: Atoll, search: Search) -> list[Row]:
    """Return the acts that *search* is true of, the newest first."""
    return [{"number": number, **act.told()} for number, act in await atoll.store.acts.find(search)]


def since(text: str) -> datetime | None:
    """Return the moment that *text* means: a day (2026-11-22), or so long ago (8h); or raise.

    Raises `BadRequest`.
    """
    if not text:
        return None
    try:
        found = moment_or_span(text)
        return found if isinstance(found, datetime) else datetime.now(UTC) - found
    except (ValueError, OverflowError):
        raise BadRequest(
            "That is neither a day nor a duration.",
            hint="Write 2026-11-22, or 8h for the last eight hours.",
        ) from None


async def people_if_up(atoll: Atoll, hub: HubApi) -> tuple[list[Row], bool]:
    """Return what `people` does, and whether the hub answers; if not, nobody is known."""
    try:
        return await people(atoll, hub), True
    except Unreachable:
        return [], False


async def _lately(atoll: Atoll) -> Sequence[Cost]:
    today = datetime.now(UTC).date()
    return await atoll.store.costs.between(today - timedelta(days=1), today)


def _sizes(found: Sequence[Cost], thing: Thing) -> dict[tuple[Party, str], int | None]:
    """Return the newest size of each *thing* of which one was *found*."""
    those = sorted((one for one in found if one.thing is thing), key=lambda one: one.day)
    return {(one.owner, one.name): one.disk for one in those if one.disk is not None}
