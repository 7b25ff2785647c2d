"""Servers: the page "My servers", and what its buttons do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.errors import BadRequest, NotFound
from atoll.launching import Existing, LaunchRequest
from atoll.launching.desk import Launch
from atoll.launching.existing import pinned
from atoll.names import is_slug
from atoll.people import Person
from atoll.plain import plain
from atoll.servers import ServerPlan
from atoll.sources.checking import check_version
from atoll.sources.parsing import binder_spec
from atoll.web.acts import note_act
from atoll.web.build import launch_facts
from atoll.web.hub_api import HubServer
from atoll.web.launches import go_to
from atoll.web.pages import page
from atoll.web.rows import Row, plan_of, row_of, rows_of
from atoll.web.shared import SharedRow, shared_rows
from atoll.web.sign_in import Session, posted, session_of
from atoll.web.site import Site, site_of
from atoll.web.starter import join

STOPPING = 45  # tries, a second apart, until a server that is to be deleted has stopped


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
    row = await row_of(site, person, *await find(site, person, name_of(request)))
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
    return server, await plan_of(site, person, server, newest), made


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
