"""Servers: the page "My servers", and what its buttons do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.allowances import ends
from atoll.errors import AtollError, BadRequest, NotFound
from atoll.launching import Existing, LaunchRequest
from atoll.launching.changes import as_it_runs
from atoll.launching.desk import Launch
from atoll.launching.existing import pinned
from atoll.names import is_slug
from atoll.people import Person
from atoll.plain import plain
from atoll.servers import NO_ENDS, Ends, ServerPlan, Stop, Why
from atoll.settings import ServerSettings
from atoll.sources.checking import check_version
from atoll.sources.parsing import binder_spec
from atoll.volumes import Copied
from atoll.web.acts import note_act
from atoll.web.build import launch_facts
from atoll.web.hub_api import HubServer, HubUser
from atoll.web.launches import go_to
from atoll.web.pages import page
from atoll.web.recent import Answer
from atoll.web.recognition import describe, describe_environment
from atoll.web.shared import SharedRow, shared_rows
from atoll.web.sign_in import Session, posted, session_of
from atoll.web.site import Site, site_of
from atoll.web.starter import join

STOPPING = 45  # tries, a second apart, until a server that is to be deleted has stopped
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


async def show_servers(request: Request) -> Response:
    """GET servers."""
    session = await session_of(request)
    site, person = site_of(request), session.person
    rows: list[Row] = []
    shared: list[SharedRow] = []
    late = False
    if person:
        (rows, late), shared = await asyncio.gather(
            rows_of(site, person), shared_rows(site, person)
        )
    trusted = await site.atoll.store.trusts.all(person.name) if person else ()
    done = plain(request.query_params.get("done", "")[:100])
    now = datetime.now(UTC)
    return page(
        request,
        session,
        "servers.html",
        rows=rows,
        shared=shared,
        late=late,
        done=done,
        now=now,
        trusted=trusted,
    )


async def show_states(request: Request) -> Response:
    """GET servers/states: the states alone, which the page compares with what it shows."""
    session = await session_of(request)
    if session.person is None:
        return JSONResponse({})
    servers = await _hub_servers(site_of(request), session.person)
    return JSONResponse({name: server.state for name, server in servers.items()})


async def open_server(request: Request) -> Response:
    """GET servers/NAME/open."""
    session = await session_of(request)
    site, person, name = site_of(request), _person(session), name_of(request)
    server, plan, _ = await find(site, person, name)
    url = join(server.url, plan.opening if plan else "lab")
    return await go_to(site, person, name, url)


async def start(request: Request) -> Response:
    """POST servers/NAME/start: exactly what it was, the files as they were left."""
    session, _ = await posted(request)
    return await _start(request, _person(session), name_of(request))


async def restart(request: Request) -> Response:
    """POST servers/NAME/restart: stop it, and start it as it was."""
    session, _ = await posted(request)
    person, name = _person(session), name_of(request)
    await stop_to_restart(site_of(request), person, name)
    return await _start(request, person, name)


async def stop_to_restart(site: Site, person: Person, name: str) -> None:
    """Stop a server that is to be started again, and wait until it has stopped.

    Raises `BadRequest` where that would lose its files, or cannot be done now.
    """
    server, plan, _ = await find(site, person, name)
    if plan is None or plan.content.temporary:
        message = f"Server {_called(plan, name)} is temporary: its files would be gone."
        raise BadRequest(message, hint="Save what you need elsewhere, then stop it.")
    if server.state in {"starting", "stopping"}:
        message = f"Server {_called(plan, name)} is {server.state}."
        raise BadRequest(message, hint="Try again in a moment.")
    await site.hub.stop(person.name, name)
    await until_stopped(site, person.name, name)


async def until_stopped(site: Site, owner: str, name: str) -> None:
    """Wait until the hub has stopped server *name* of *owner*'s; raise `BadRequest` in the end."""
    for _ in range(STOPPING):
        server = (await site.hub.user(owner)).servers.get(name)
        if server is None or server.state == "stopped":
            return
        await asyncio.sleep(1)
    raise BadRequest(f"Server {name} is still being stopped.", hint="Try again in a minute.")


async def _start(request: Request, person: Person, name: str) -> Response:
    prefix, base = site_of(request).place.prefix, site_of(request).place.base
    server, begun = await start_again(request, person, name)
    if server.state in {"running", "starting"}:
        return RedirectResponse(f"{prefix}servers/{name}/open", 303)
    if begun is None:
        return RedirectResponse(f"{base}hub/spawn-pending/{quote(person.name)}/{name}", 303)
    return RedirectResponse(f"{prefix}launches/{begun.id}", 303)


async def start_again(
    request: Request, person: Person, name: str
) -> tuple[HubServer, Launch | None]:
    """Start *person*'s server unless it is up; return it as it was, and the launch if one was due.

    Its environment may have been pruned: then a launch of the same makes it anew.
    """
    site = site_of(request)
    server, plan, _ = await find(site, person, name)
    if plan is None:
        raise NotFound("Nobody knows any more what this server held.", hint="Launch it again.")
    if server.state in {"running", "starting"}:
        return server, None
    if await site.atoll.builder.healthy(plan.environment.handle):
        await note_act(request, person.name, "start", "server", f"{person.name}/{name}")
        await site.hub.start(person.name, name, plan.id)
        return server, None
    again = replace(once_more(plan, name, moving=False), person=person)
    return server, await site.desk.open(again, launch_facts(request, *binder_spec(again.repo)))


def once_more(plan: ServerPlan, name: str, *, moving: bool) -> LaunchRequest:
    """Return the launch of *plan*'s server once more, of the same version or of what it is now.

    Where that is *moving*, its person is asked before anything changes.
    """
    theirs = plan.environment_ref
    return LaunchRequest(
        person=plan.owner,
        repo=plan.ref.repo if moving else pinned(plan.ref),
        environment=(theirs.repo if moving else pinned(theirs)) if theirs else None,
        opening=plan.opening,
        name=name,
        temporary=plan.content.temporary,
        copied=plan.content.copied,
        limits=plan.limits,
        network=plan.network,
        existing=Existing.ASK if moving else Existing.LEAVE,
        title=plan.title,
        ends=plan.ends,
    )


async def update(request: Request) -> Response:
    """POST servers/NAME/update: what has changed in the repository since is shown, or opened."""
    session, _ = await posted(request)
    begun = await begin_update(request, _person(session), name_of(request))
    return RedirectResponse(f"{site_of(request).place.prefix}launches/{begun.id}", 303)


async def begin_update(
    request: Request,
    person: Person,
    name: str,
    *,
    version: str = "",
    how: Existing = Existing.ASK,
) -> Launch:
    """Begin a launch of what the repository of *person*'s server is now, and return it.

    Or of what it is at *version*. *how* says whether they are asked, or it is only looked.
    """
    site = site_of(request)
    _, plan, _ = await find(site, person, name)
    if plan is None or plan.content.temporary:
        message = f"Server {_called(plan, name)} keeps no files."
        raise BadRequest(message, hint="Launch the repository again.")
    again = replace(once_more(plan, name, moving=True), person=person, existing=how)
    if version:
        asked = check_version(version)
        again = replace(again, repo=replace(again.repo, version=asked, path_follows=False))
    return await site.desk.open(again, launch_facts(request, *binder_spec(again.repo)))


async def stop(request: Request) -> Response:
    """POST servers/NAME/stop."""
    session, _ = await posted(request)
    await stop_one(request, _person(session), name_of(request))
    return RedirectResponse(f"{site_of(request).place.prefix}servers", 303)


async def stop_one(request: Request, person: Person, name: str) -> None:
    """Stop *person*'s server; its files are kept."""
    site = site_of(request)
    await find(site, person, name)
    await site.hub.stop(person.name, name)
    await note_act(request, person.name, "stop", "server", f"{person.name}/{name}")


async def ask_delete(request: Request) -> Response:
    """GET servers/NAME/delete: ask first."""
    session = await session_of(request)
    site, person = site_of(request), _person(session)
    row = await _row(site, person, *await find(site, person, name_of(request)))
    return page(request, session, "delete.html", row=row)


async def delete(request: Request) -> Response:
    """POST servers/NAME/delete: the server, its files and its plans; never while it runs."""
    session, _ = await posted(request)
    called = await delete_one(request, _person(session), name_of(request))
    told = urlencode({"done": called})
    return RedirectResponse(f"{site_of(request).place.prefix}servers?{told}", 303)


async def delete_one(request: Request, person: Person, name: str) -> str:
    """Delete *person*'s server with all its files; raise `BadRequest` if it is up.

    Return what they knew it by.
    """
    site = site_of(request)
    server, plan, _ = await find(site, person, name)
    if server.state != "stopped":
        message = f"Server {_called(plan, name)} is {server.state}."
        raise BadRequest(message, hint="Stop it first, then delete it.")
    await site.hub.stop(person.name, name, remove=True)
    await _gone(site, person, name)
    await site.atoll.runner.remove(person.name, name)
    await site.atoll.store.plans.forget(person.name, name)
    await site.atoll.store.copies.drop(person.name, name)
    await note_act(request, person.name, "delete", "server", f"{person.name}/{name}")
    return _called(plan, name)


async def _gone(site: Site, person: Person, name: str) -> None:
    """Wait until the hub has let go of *name*, so that no file is removed under a server."""
    for _ in range(STOPPING):
        if name not in (await site.hub.user(person.name)).servers:
            return
        await asyncio.sleep(1)
    raise BadRequest(f"Server {name} is still being stopped.", hint="Try again in a minute.")


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
        plan = await _plan(site, person, server, newest)
        row = await _row(site, person, server, plan, made)
        own = plan.ends if plan else NO_ENDS
        end = end_of(server, rules, own, visitors=visitors)
        rows.append(replace(row, end=end, ended=ended(server, stops.get(name))))
    order = {"running": 0, "starting": 0, "stopping": 1}
    return sorted(rows, key=lambda row: order.get(row.state, 2)), answer.late


async def _row(
    site: Site, person: Person, server: HubServer, plan: ServerPlan | None, made: datetime | None
) -> Row:
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


async def _hub_servers(site: Site, person: Person) -> Mapping[str, HubServer]:
    try:
        return (await site.hub.user(person.name)).servers
    except NotFound:
        return {}


async def find(
    site: Site, person: Person, name: str
) -> tuple[HubServer, ServerPlan | None, datetime | None]:
    """Return the person's server, what it was last started with, and when it was last asked for.

    One that never ran, of which only a plan is left, counts.
    """
    servers, latest = await asyncio.gather(
        _hub_servers(site, person), site.atoll.store.plans.latest(person.name)
    )
    if name not in servers and name not in latest:
        raise NotFound(f"You have no server “{name}”.")
    server = servers.get(name)
    if server is None:
        server = HubServer(name, url=f"{site.place.base}user/{quote(person.name)}/{name}/")
    newest, made = latest.get(name, (None, None))
    return server, await _plan(site, person, server, newest), made


async def _plan(
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


def _called(plan: ServerPlan | None, name: str) -> str:
    return plan.called if plan else name


def _person(session: Session) -> Person:
    if session.person is None:
        raise NotFound("You have no servers yet.", hint="Launch a repository.")
    return session.person


def name_of(request: Request) -> str:
    """Return the server that the address names, or raise `NotFound`."""
    name: str = request.path_params["server"]
    if not is_slug(name):
        raise NotFound("There is no such server.")
    return name
