"""Shared: the servers of others that somebody is let into, as "My servers" lists them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from atoll.access import Level, ServerDeed, may_in, roles_in
from atoll.errors import AtollError
from atoll.people import Person
from atoll.web.recognition import describe
from atoll.web.site import Site

MAY = {
    Level.VIEW: "look at it",
    Level.RUN: "change files and run code",
    Level.MANAGE: "change files, run code, start and stop it, and let others in",
}


@dataclass(frozen=True, slots=True)
class SharedRow:
    """One server that another person owns. ``may`` is half a sentence."""

    owner: str
    name: str
    level: Level
    running: bool
    what: str
    where: str
    through: str = ""  # the group, if it is one's as one of a group
    title: str = ""

    @property
    def called(self) -> str:
        """What people know it by."""
        return self.title or self.name

    @property
    def may(self) -> str:
        """What one may do there, in words."""
        return MAY[self.level]

    def can(self, deed: str) -> bool:
        """Whether one may do that there."""
        return may_in(ServerDeed(deed), roles_in(Person("-"), self.owner, self.level))


async def shared_rows(site: Site, person: Person) -> list[SharedRow]:
    """Return what others share with *person*; nothing while JupyterHub does not say."""
    if person.visitor:
        return []
    given = []
    with contextlib.suppress(AtollError):
        given = await site.shares.with_person_soon(person)
    rows = []
    for one in sorted(given, key=lambda one: (not one.ready, one.owner, one.server)):
        plan, _ = (await site.atoll.store.plans.latest(one.owner)).get(one.server, (None, None))
        what, where = describe(plan.ref.repo) if plan else ("", "")
        through = "" if one.whom.name == person.name else str(one.whom)
        known = (one.owner, one.server, one.level, one.ready, what, where, through)
        rows.append(SharedRow(*known, title=plan.title if plan else ""))
    return rows
