"""Allowances: what somebody may have, by the groups they are in."""

from __future__ import annotations

from atoll.people import Person
from atoll.settings import GroupSettings, ServerSettings, Settings

WIDEST = ("none", "internet", "full")


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
    return max(values, key=lambda one: float(str(one)))
