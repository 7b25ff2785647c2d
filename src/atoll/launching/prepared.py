"""Prepared: what the operator offers to launch, and to whom."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import AtollError, BadSettings
from atoll.launching.wishes import Wishes
from atoll.people import Person
from atoll.settings.sections import PreparedSettings, ServerSettings
from atoll.sources.parsing import parse


def offered(prepared: Sequence[PreparedSettings], person: Person | None) -> list[PreparedSettings]:
    """Return what *person* is offered; without one, what is there for everybody."""
    groups = person.groups if person else frozenset()
    all_of_it = bool(person and person.admin)
    return [one for one in prepared if all_of_it or not one.groups or groups & {*one.groups}]


def check(prepared: Sequence[PreparedSettings], rules: ServerSettings) -> None:
    """Raise `BadSettings` with all that cannot be launched where *rules* hold, one a line."""
    wrong = []
    for one in prepared:
        try:
            Wishes.of_link(one.launch).request(parse(one.launch), Person(""), rules, typed="")
        except AtollError as error:
            wrong.append(f"  pages.prepared, “{one.title}”: {error} {error.hint}".rstrip())
    if wrong:
        raise BadSettings("\n".join(["What cannot be launched is offered:", *wrong]))
