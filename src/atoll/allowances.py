"""Allowances: what somebody may have, by the groups they are in."""

from __future__ import annotations

import math

from atoll.people import Person
from atoll.settings import GroupSettings, ServerSettings, Settings

WIDEST = ("none", "internet", "full")
FOR_EVER = ("idle", "max_idle", "max_age", "lifetime")  # of these, 0 is the most


def allowance(settings: Settings, person: Person | None) -> ServerSettings:
    """Return the rules of ``[servers]`` as they are for *person*; ``None`` is somebody unknown.

    What their groups say goes before what is said for everybody; of several groups, the most
    generous word counts.
    """
    rules = settings.servers
    names = sorted(person.groups) if person else ()
    found = [settings.groups[name] for name in names if name in settings.groups]
    said = {
        field: [value for one in found if (value := getattr(one, field)) is not None]
        for field in GroupSettings.model_fields
    }
    update = {field: _most(field, values) for field, values in said.items() if values}
    rules = rules.model_copy(update=update)
    # Who may have little is given no more of it unasked.
    return rules.model_copy(
        update={
            "memory": min(int(rules.memory), int(rules.max_memory)),
            "cpus": min(rules.cpus, rules.max_cpus),
        }
    )


def _most(field: str, values: list[object]) -> object:
    if field == "network":
        return max(values, key=lambda one: WIDEST.index(str(one)))
    if field == "networks":
        offered = {name for value in values for name in (value if isinstance(value, list) else ())}
        return [name for name in WIDEST if name in offered]
    if field in FOR_EVER:
        return max(values, key=lambda one: float(str(one)) or math.inf)
    return max(values, key=lambda one: float(str(one)))


def shorter(seconds: float, most: float) -> float:
    """Return the shorter of two times in seconds, of which 0 is for ever."""
    return min(filter(None, (seconds, most)), default=0.0)


def longest_idle(rules: ServerSettings) -> float:
    """Return the longest idle time that *rules* let people ask for, in seconds; 0 is for ever."""
    return rules.idle if rules.max_idle is None else rules.max_idle


def ends(
    rules: ServerSettings, lifetime: float | None = None, idle: float | None = None
) -> tuple[float, float]:
    """Return after how many seconds of life, and of no use, *rules* have a server stopped.

    *lifetime* and *idle* are what its person asked for, ``None`` if for nothing; 0 is for ever.
    """
    if lifetime is None:
        lifetime = rules.max_age if rules.lifetime is None else rules.lifetime
    unused = rules.idle if idle is None else idle
    return shorter(lifetime, rules.max_age), shorter(unused, longest_idle(rules))
