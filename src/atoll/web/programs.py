"""Programs: launches, and a person's own servers, for whoever shows a token; as `atoll --hub` does.

What is asked for is held to the same rules as on pages, and answered in JSON.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from atoll import __version__
from atoll.errors import BadRequest
from atoll.events import Event
from atoll.launching import Existing
from atoll.launching.confirming import unasked
from atoll.launching.desk import Launch, State
from atoll.launching.existing import answered
from atoll.launching.requests import existing_of
from atoll.launching.wishes import Wishes
from atoll.people import Person
from atoll.plain import plain
from atoll.web import progress
from atoll.web.doors import door_of
from atoll.web.launches import begin_for
from atoll.web.recognition import target_of
from atoll.web.rows import rows_of
from atoll.web.servers import (
    begin_update,
    delete_one,
    find,
    name_of,
    start_again,
    stop_one,
    stop_to_restart,
)
from atoll.web.site import Site, site_of
from atoll.web.volumes import Fields, by_token, object_of, text_of

INTERFACE = 1  # raised when a program that knew the one before would be misled
ANSWERS = (Existing.UPDATE, Existing.NEW, Existing.LEAVE)
PING = 15  # seconds between signs of life in a quiet stream


async def tell_me(request: Request) -> Response:
    """GET api/me: whose token it is, and what runs here."""
    person = await by_token(request)
    told = {"name": person.name, "admin": person.admin, "groups": sorted(person.groups)}
    return JSONResponse(told | {"atoll": __version__, "interface": INTERFACE})


async def launch(request: Request) -> Response:
    """POST api/launches: begin a launch of what the form on the launch page could say.

    Nobody is shown what a pasted link asks for: of that, only what reaches nothing is taken.
    """
    person, sent = await by_token(request), await object_of(request)
    repository = text_of(sent, "repository")
    target = target_of(repository, text_of(sent, "version"), text_of(sent, "opening"))
    own, link = Wishes.of_program(sent), unasked(Wishes.of_link(repository))
    wishes = Wishes(**link.asked() | own.asked())
    rules = await site_of(request).atoll.allowances.of(person)
    asked = wishes.request(target, person, rules, typed=repository)
    asked = replace(
        asked,
        existing=existing_of(text_of(sent, "existing"), Existing.ASK),
        rebuild=_yes(sent, "rebuild"),
        mounts=() if _yes(sent, "no_volumes") else asked.mounts,
        retry=_yes(sent, "retry"),
        infer=_yes(sent, "infer"),
    )
    return JSONResponse(facts(await begin_for(request, asked)))


async def show(request: Request) -> Response:
    """GET api/launches/ID: how it stands."""
    return JSONResponse(facts(await _launch_of(request)))


async def follow(request: Request) -> Response:
    """GET api/launches/ID/events: how it goes, as a stream; its last event is how it stands."""
    begun = await _launch_of(request)
    seen = request.headers.get("last-event-id", "")
    return EventSourceResponse(
        _tell(request, begun, seen),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        ping=PING,
    )


async def _tell(request: Request, begun: Launch, seen: str) -> AsyncIterator[ServerSentEvent]:
    desk = site_of(request).desk
    story = desk.story(begun)
    mark = progress.mark_of(story.events)
    async for number, event in story.follow(progress.after(seen, story.events)):
        mark = progress.mark_of(story.events)
        if event.phase in {"ready", "failed"}:
            break
        yield ServerSentEvent(json.dumps(_said(event)), id=f"{mark}-{number}", event="told")
    over = await desk.launches.get(begun.id) or begun
    if over.state.over:  # else the service stops, and its successor goes on
        yield ServerSentEvent(json.dumps(facts(over)), event="over")


def _said(event: Event) -> dict[str, Any]:
    return {**asdict(event), "message": plain(event.message)}


async def cancel(request: Request) -> Response:
    """POST api/launches/ID/cancel."""
    begun = await _launch_of(request)
    desk = site_of(request).desk
    await desk.cancel(begun)
    return JSONResponse(facts(await desk.launches.get(begun.id) or begun))


async def answer(request: Request) -> Response:
    """POST api/launches/ID/answer: how to go on where the person has such a server already."""
    person, old = await by_token(request), await _launch_of(request)
    how = existing_of(text_of(await object_of(request), "how"), Existing.ASK)
    if how not in ANSWERS:
        raise BadRequest("That is no answer.", hint=f"There are {', '.join(ANSWERS)}.")
    asked = answered(replace(old.request, person=person), how)
    return JSONResponse(facts(await begin_for(request, asked)))


def facts(launch: Launch) -> dict[str, Any]:
    """Return what programs are told of *launch*; ``url`` is a path at this hub, once it is ready.

    ``changes`` and ``renewal`` say how a server that is there differs, if its person is asked.
    """
    return {
        "id": launch.id,
        "state": launch.state.value,
        "name": launch.name,
        "version": launch.ref,
        "url": launch.url if launch.state is State.READY else "",
        "error": plain(launch.error),
        "hint": plain(launch.hint),
        "kind": launch.error_name,
        "proposal": launch.proposal,
        "changes": [asdict(one) for one in launch.changes],
        "renewal": {
            "count": launch.renewal.count,
            "said": list(launch.renewal.said()),
            "changes": [asdict(one) for one in launch.renewal.changes],
        },
    }


async def list_servers(request: Request) -> Response:
    """GET api/servers: one's own, running or not."""
    return JSONResponse(await servers_told(site_of(request), await by_token(request)))


async def servers_told(site: Site, person: Person) -> list[dict[str, Any]]:
    """Return what programs of *person*'s are told of their servers."""
    rows, _ = await rows_of(site, person)
    return [
        {
            "name": row.name,
            "title": row.title,
            "state": row.state,
            "repository": row.locator,
            "environment": row.environment,
            "version": row.version,
            "launched": row.launched,
            "bytes": row.size,
            "since": row.used,
            "temporary": row.temporary,
            "url": f"{site.place.prefix}servers/{row.name}/open",
        }
        for row in rows
    ]


async def show_log(request: Request) -> Response:
    """GET api/servers/NAME/log: what it has printed since it was started."""
    person, name = await by_token(request), name_of(request)
    runner = site_of(request).atoll.runner
    await find(site_of(request), person, name)
    for one in await runner.running():
        if (one.owner, one.name) == (person.name, name):
            return PlainTextResponse("\n".join(map(plain, runner.log(one.handle).split("\n"))))
    raise BadRequest(f"Server {name} is stopped.", hint="What it prints is shown while it runs.")


async def start(request: Request) -> Response:
    """POST api/servers/NAME/start: as it was; a launch, if its environment is to be made again."""
    person, name = await by_token(request), name_of(request)
    _, begun = await start_again(request, person, name)
    return JSONResponse({"name": name, "launch": facts(begun) if begun else None})


async def restart(request: Request) -> Response:
    """POST api/servers/NAME/restart: stop it, and start it as it was."""
    person, name = await by_token(request), name_of(request)
    await stop_to_restart(site_of(request), person, name)
    return await start(request)


async def stop(request: Request) -> Response:
    """POST api/servers/NAME/stop."""
    person, name = await by_token(request), name_of(request)
    await stop_one(request, person, name)
    return JSONResponse({"name": name})


async def update(request: Request) -> Response:
    """POST api/servers/NAME/update: begin a launch of what its repository is now, which asks.

    Or of a ``version`` that is named; with ``look`` nothing is done but to say how it differs.
    """
    person, sent = await by_token(request), await object_of(request)
    how = Existing.LOOK if _yes(sent, "look") else Existing.ASK
    version = text_of(sent, "version")
    begun = await begin_update(request, person, name_of(request), version=version, how=how)
    return JSONResponse(facts(begun))


async def delete(request: Request) -> Response:
    """POST api/servers/NAME/delete: the stopped server, and all its files."""
    person, name = await by_token(request), name_of(request)
    await delete_one(request, person, name)
    return JSONResponse({"name": name})


async def _launch_of(request: Request) -> Launch:
    person = await by_token(request)
    launch_id = request.path_params["launch"]
    return await site_of(request).desk.get(launch_id, person, door_of(request).whose)


def _yes(sent: Fields, name: str) -> bool:
    return sent.get(name, False) in (True, "yes")
