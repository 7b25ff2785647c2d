"""Rows: what "My servers", and programs, are told of each of a person's servers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from atoll.allowances import ends
from atoll.errors import AtollError, NotFound
from atoll.launching.changes import as_it_runs
from atoll.people import Person
from atoll.servers import NO_ENDS, Ends, ServerPlan, Stop, Why
from atoll.settings.sections import ServerSettings
from atoll.volumes import Copied
from atoll.web.hub_api import HubServer, HubUser
from atoll.web.recent import Answer
from atoll.web.recognition import describe, describe_environment
from atoll.web.site import Site

TAKING = timedelta(minutes=2)  # that stopping a server may take, after it was decided


@dataclass(frozen=True, slots=True)
class Row:
    """One server on the page. ``size`` is in bytes, ``None`` if it keeps no files.

    ``version`` is that of the files; ``launched`` is the one whose environment is used, if that is
    another. ``environment`` is the repository that it is of, if that is another. ``title`` is what
    its person calls it, or "".

    ``end`` is when it will be stopped, and why, if nothing happens; ``ended`` is when and why it
    was stopped, if nobody asked for that. ``moves`` says that its repository may have newer files.
    ``copied`` is what it is a copy of.
    ``locator`` is its repository as commands are told it.
    """

    name: str
    state: str
    what: str
    where: str
    version: str
    date: datetime | None
    temporary: bool
    size: int | None
    used: str
    python: str
    launched: str = ""
    environment: str = ""
    end: tuple[datetime, Why] | None = None
    ended: Stop | None = None
    moves: bool = False
    locator: str = ""
    copied: Copied | None = None
    title: str = ""

    @property
    def called(self) -> str:
        """What its person knows it by."""
        return self.title or self.name


async def rows_of(site: Site, person: Person) -> tuple[list[Row], bool]:
    """Return the rows of the page, and whether JupyterHub's newest word is yet to come."""
    store = site.atoll.store
    answer, latest, stops = await asyncio.gather(  # at once: in a crowd each waits for its turn
        _soon(site, person),
        store.plans.latest(person.name),
        store.stops.latest(person.name),
    )
    servers = answer.said.servers
    rules = await site.atoll.allowances.of(person)
    visitors = site.atoll.settings.access.idle if person.visitor else 0
    rows = []
    for name in sorted({*servers, *latest}):
        server = servers.get(name, HubServer(name))
        newest, made = latest.get(name, (None, None))
        plan = await plan_of(site, person, server, newest)
        row = await row_of(site, person, server, plan, made)
        own = plan.ends if plan else NO_ENDS
        end = end_of(server, rules, own, visitors=visitors)
        rows.append(replace(row, end=end, ended=ended(server, stops.get(name))))
    order = {"running": 0, "starting": 0, "stopping": 1}
    return sorted(rows, key=lambda row: order.get(row.state, 2)), answer.late


async def row_of(
    site: Site, person: Person, server: HubServer, plan: ServerPlan | None, made: datetime | None
) -> Row:
    """Return the row of a *server*, last started with *plan*, which was *made* then (UTC)."""
    what, where = describe(plan.ref.repo) if plan else ("", "")
    temporary = bool(plan and plan.content.temporary)
    used = server.last_activity or server.started or (made.isoformat() if made else "")
    launched = plan.ref.version if plan else ""
    files = "" if temporary else await site.atoll.runner.origin(person.name, server.name)
    older = bool(files) and files != launched
    theirs = plan.environment_ref if plan else None
    return Row(
        name=server.name,
        state=server.state,
        what=what,
        where=where,
        version=files if older else launched,
        date=plan.ref.date if plan and not older else None,
        launched=launched if older else "",
        temporary=temporary,
        size=None if temporary else await site.atoll.runner.size(person.name, server.name),
        used=used,
        python=plan.environment.python if plan else "",
        environment=describe_environment(theirs.repo, theirs.version) if theirs else "",
        copied=plan.content.copied if plan else None,
        moves=bool(files and plan and not launched.startswith(plan.ref.repo.version)),
        title=plan.title if plan else "",
        locator=plan.ref.repo.locator if plan else "",
    )


def end_of(
    server: HubServer, rules: ServerSettings, own: Ends = NO_ENDS, *, visitors: float = 0
) -> tuple[datetime, Why] | None:
    """Return when *server* is stopped by its owner's *rules* if it is not used any more, and why.

    *own* is what they asked for; *visitors* the idle time in seconds that a visitor's has, or 0.
    """
    lifetime, unused = ends(rules, own.lifetime, own.idle)
    started = moment(server.started)
    used = moment(server.last_activity) or started
    if server.state != "running" or not used:
        return None
    found = [(used + timedelta(seconds=idle), Why.IDLE) for idle in (unused, visitors) if idle]
    if lifetime and started:
        found.append((started + timedelta(seconds=lifetime), Why.AGE))
    return min(found, default=None)


def ended(server: HubServer, stop: Stop | None) -> Stop | None:
    """Return *stop* if it is why *server* does not run: nothing happened to the server since."""
    last = moment(server.last_activity)  # JupyterHub counts a start and a stop as activity
    if server.state != "stopped" or not stop or not last or last > stop.at + TAKING:
        return None
    return stop


def moment(text: str) -> datetime | None:
    """Return the time that JupyterHub means by *text*, `None` by none."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _soon(site: Site, person: Person) -> Answer[HubUser]:
    try:
        return await site.hub.user_soon(person.name)
    except NotFound:
        return Answer(HubUser(person.name))


async def plan_of(
    site: Site, person: Person, server: HubServer, newest: ServerPlan | None
) -> ServerPlan | None:
    """Return what the server was last started with; that is not always the *newest* plan.

    What only brought newer files in is: it runs on with these. Its title and ends are the newest.
    """
    if server.plan and not (newest and newest.id == server.plan):
        with contextlib.suppress(AtollError):
            was = await site.atoll.store.plans.get(server.plan, person.name)
            return as_it_runs(was, newest) if newest else was
    return newest
