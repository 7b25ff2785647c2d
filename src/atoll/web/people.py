"""People: the page of those who are let into a server, its forms, and the same for programs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.access import GUESTS, Kind, Level, Party, Role, ServerDeed, may_in, party, roles_in
from atoll.errors import AtollError, BadRequest, NotFound, Refused
from atoll.launching.company import somebody
from atoll.launching.copies import new_link
from atoll.names import is_slug
from atoll.people import Person
from atoll.servers import ServerPlan
from atoll.web.acts import note_act
from atoll.web.copies import copies_up, copy_address, end_copies
from atoll.web.guard import origin_of
from atoll.web.hub_api import HubServer
from atoll.web.hub_shares import Code, Given
from atoll.web.pages import page
from atoll.web.rows import moment
from atoll.web.servers import find
from atoll.web.shared import MAY
from atoll.web.sign_in import Session, posted, session_of
from atoll.web.site import Site, site_of
from atoll.web.starter import join
from atoll.web.volumes import Fields, by_token, object_of, said_yes, signed_in, text_of

DAYS = (1, 7, 30)  # that a link of the page's may be good for
MOST_DAYS = 365
DAY = 86400  # seconds


@dataclass(frozen=True, slots=True)
class Room:
    """A server, and what *person* is to it. ``link`` is one that was made just now."""

    site: Site
    person: Person
    owner: str
    server: HubServer
    plan: ServerPlan | None
    whoever: frozenset[Role]
    link: str = ""

    @property
    def name(self) -> str:
        """The server's."""
        return self.server.name

    @property
    def called(self) -> str:
        """What people know it by."""
        return self.plan.called if self.plan else self.name

    @property
    def own_lab(self) -> bool:
        """Whether the repository brings its server: nobody in there can be held to looking."""
        return bool(self.plan and self.plan.environment.own_lab)

    @property
    def levels(self) -> list[Level]:
        """What whoever asks can give here."""
        found = [] if self.own_lab else [Level.VIEW]
        found.append(Level.RUN)
        return [*found, Level.MANAGE] if may_in(ServerDeed.APPOINT, self.whoever) else found

    def check(self, deed: ServerDeed) -> None:
        """Raise `Refused` for who may not do that."""
        if not may_in(deed, self.whoever):
            message = f"You may not {deed} server {self.called} of {self.owner}."
            raise Refused(message, hint=f"Ask {self.owner} to let you manage it.")

    def level(self, sent: Fields) -> Level:
        """Return the level that was sent, if it can be given here."""
        text = text_of(sent, "level")
        if text not in list(Level):
            raise BadRequest(f"“{text[:20]}” is no level.", hint=f"There are {', '.join(Level)}.")
        if Level(text) in self.levels:
            return Level(text)
        if text == Level.VIEW:
            raise Refused(
                "This server runs the repository's own JupyterLab, where nobody can be held to "
                "looking.",
                hint="Let them run code, or share the files in a volume.",
            )
        raise Refused(f"Only {self.owner} makes managers.", hint="Give “run”.")


async def room_of(request: Request, person: Person, deed: ServerDeed) -> Room:
    """Return the server that the address names, one's own if it names no owner.

    Raises `NotFound` for whom it is not there, `Refused` for who may not do *deed*.
    """
    site = site_of(request)
    owner, name = request.path_params.get("owner", person.name), request.path_params["server"]
    level = None
    if owner != person.name and is_slug(name):
        level = await site.shares.level(person, owner, name)
    whoever = roles_in(person, owner, level)
    if not is_slug(name) or not may_in(ServerDeed.OPEN, whoever):
        raise NotFound(f"There is no server “{name[:100]}” for you.")
    server, plan, _ = await find(site, Person(owner), name)
    room = Room(site, person, owner, server, plan, whoever)
    room.check(deed)
    return room


async def _give(room: Room, sent: Fields) -> Room:
    whom, level = somebody(text_of(sent, "whom")), room.level(sent)
    if whom == Party(Kind.PERSON, room.owner):
        raise BadRequest(f"It is {room.owner}'s own.", hint="Name somebody else, or a group.")
    await _managed(room, whom)
    try:
        await room.site.shares.give(room.owner, room.name, whom, level)
    except NotFound as error:
        raise _not_run(error) from error
    return room


async def _take(room: Room, sent: Fields) -> Room:
    whom = party(text_of(sent, "whom"))
    await _managed(room, whom)
    await room.site.shares.take(room.owner, room.name, whom)
    return room


async def _link(room: Room, sent: Fields) -> Room:
    level, days = room.level(sent), str(sent.get("days", DAYS[1]))
    if not re.fullmatch("[0-9]{1,3}", days) or not 1 <= int(days) <= MOST_DAYS:
        message = f"A link is good for 1 to {MOST_DAYS} days."
        raise BadRequest(message, hint="Write a number of days.")
    try:
        path = await room.site.shares.link(room.owner, room.name, level, int(days) * DAY)
    except NotFound as error:
        raise _not_run(error) from error
    return replace(room, link=path)


async def _unlink(room: Room, sent: Fields) -> Room:
    known = {one.id: one for one in await room.site.shares.codes(room.owner, room.name)}
    if not (code := known.get(text_of(sent, "link"))):
        raise NotFound("There is no such link any more.")
    if code.level is Level.MANAGE:
        room.check(ServerDeed.APPOINT)
    await room.site.shares.unlink(room.owner, room.name, code.id)
    return room


async def _managed(room: Room, whom: Party) -> None:
    """Raise `Refused` where a manager would change what another manager may do."""
    given = await room.site.shares.of(room.owner, room.name)
    if any(one.whom == whom and one.level is Level.MANAGE for one in given):
        room.check(ServerDeed.APPOINT)


def _not_run(error: NotFound) -> AtollError:
    if error.hint:  # it says more
        return error
    return BadRequest("This server has not run yet.", hint="Start it once, then share it.")


async def _show(room: Room, sent: Fields) -> Room:
    room.check(ServerDeed.SHOW)
    if room.plan is None or room.plan.content.temporary:
        message = f"Server {room.name} keeps no files that visitors could have copies of."
        raise BadRequest(message, hint="Launch the repository again, and keep its files.")
    atoll, named = room.site.atoll, text_of(sent, "volumes").split(",")
    mine = await atoll.keeper.may_show(room.person, room.plan.mounts)
    may = {one.name: one.volume for one in mine}
    wanted = [name for one in named if (name := one.strip())]
    if strange := [name for name in wanted if name not in may]:
        message = f"You may not let visitors read “{strange[0][:100]}”."
        raise BadRequest(message, hint="Name volumes of this server that are yours to share.")
    shown = tuple(may[name] for name in wanted)
    await atoll.store.copies.put(new_link(room.owner, room.name, shown))
    return room


async def _hide(room: Room, sent: Fields) -> Room:  # noqa: ARG001 - as all of them
    room.check(ServerDeed.SHOW)
    await room.site.atoll.store.copies.drop(room.owner, room.name)
    return room


# What can be done, and how a page says that it was.
DEEDS: Mapping[str, tuple[Callable[[Room, Fields], Awaitable[Room]], str]] = {
    "give": (_give, "They are let in."),
    "take": (_take, "They are not let in any more."),
    "link": (_link, "The link is made."),
    "unlink": (_unlink, "The link lets nobody in any more. Who came by it is still let in."),
    "show": (_show, "Whoever has the visitors’ link gets a copy."),
    "hide": (_hide, "Nobody gets a copy any more."),
}


# And how it is written down.
NOTED = {"give": "share", "take": "unshare", "link": "share by link", "unlink": "unshare link"} | {
    "show": "let visitors copy",
    "hide": "let visitors copy no more",
}
ENDING = {"show", "hide"}  # after which copies that run may be ended, too
# With which words of what was sent: of those that the deed reads, so that nobody adds a name.
TOLD = {"give": ("whom", "level"), "take": ("whom",), "link": ("level",), "show": ("volumes",)}


async def show_people(request: Request) -> Response:
    """GET servers/NAME/people, shared/OWNER/NAME/people."""
    session = await session_of(request)
    room = await room_of(request, signed_in(session.person), ServerDeed.SHARE)
    _, done = DEEDS.get(request.query_params.get("done", ""), (None, ""))
    return await _page(request, session, room, done)


async def do(request: Request) -> Response:
    """POST …/people/DEED: a form of that page."""
    session, sent = await posted(request)
    name = request.path_params["deed"]
    room = await _do(request, signed_in(session.person), name, sent)
    if room.link:  # in no address that would be kept
        _, done = DEEDS[name]
        return await _page(request, session, room, done)
    return RedirectResponse(f"{_address(room)}/people?{urlencode({'done': name})}", 303)


async def _do(request: Request, person: Person, name: str, sent: Fields) -> Room:
    """Do what is called *name*, write it down, and return the room as it is then."""
    if name not in DEEDS:
        raise NotFound("That cannot be done here.", hint=f"There are {', '.join(DEEDS)}.")
    deed, _ = DEEDS[name]
    # Before it is done: what cannot be written down is refused.
    told = {key: text_of(sent, key) for key in TOLD.get(name, ()) if sent.get(key)}
    room = await deed(await room_of(request, person, ServerDeed.SHARE), sent)
    what = f"{room.owner}/{room.name}"
    await note_act(request, person.name, NOTED[name], "server", what, detail=told)
    if name in ENDING and said_yes(sent, "end"):
        await end_copies(request, person, room.owner, room.name)
    return room


async def _page(request: Request, session: Session, room: Room, done: str) -> Response:
    shares = room.site.shares
    given = await shares.of(room.owner, room.name)
    codes = await shares.codes(room.owner, room.name)
    atoll, mounts = room.site.atoll, room.plan.mounts if room.plan else ()
    copies = await atoll.store.copies.of(room.owner, room.name)
    return page(
        request,
        session,
        "people.html",
        room=room,
        address=_address(room),
        given=given,
        codes=codes,
        at_once=at_once(room, [*given, *codes]),
        may=MAY,
        days=DAYS,
        moment=moment,
        done=done,
        link=origin_of(request) + room.link if room.link else "",
        mine=room.owner == room.person.name,
        appoints=may_in(ServerDeed.APPOINT, room.whoever),
        shows=may_in(ServerDeed.SHOW, room.whoever),
        copies=copies and copy_address(request, copies.key),
        copies_up=len(await copies_up(room.site, room.owner, room.name)),
        badge=f"{origin_of(request)}{room.site.place.base}badge_logo.svg",
        shown=[one.name for one in mounts if copies and one.volume in copies.volumes],
        showable=[one.name for one in await atoll.keeper.may_show(room.person, mounts)],
        mounts=[one.name for one in mounts],
    )


def at_once(room: Room, shared: list[Given | Code]) -> bool:
    """Whether people can edit one notebook there at once: it was shared when it started."""
    started, plan = moment(room.server.started), room.plan
    if plan and plan.shared and plan.id == room.server.plan:
        return room.server.state == "running"
    return bool(started) and any(
        since <= started for one in shared if (since := moment(one.since)) and started
    )


async def open_shared(request: Request) -> Response:
    """GET shared/OWNER/NAME/open."""
    session = await session_of(request)
    room = await room_of(request, signed_in(session.person), ServerDeed.OPEN)
    opening = room.plan.opening if room.plan else "lab"
    return RedirectResponse(join(room.server.url, opening), 303)


async def start_shared(request: Request) -> Response:
    """POST shared/OWNER/NAME/start: as its owner last started it, and with nothing else."""
    session, _ = await posted(request)
    room = await room_of(request, signed_in(session.person), ServerDeed.START)
    site, plan = room.site, room.plan
    if plan is None or not await site.atoll.builder.healthy(plan.environment.handle):
        message = "Its environment is not here any more."
        raise NotFound(message, hint=f"Ask {room.owner} to start it: then it is built again.")
    if room.server.state == "stopped":
        what = f"{room.owner}/{room.name}"
        await note_act(request, room.person.name, "start", "server", what)
        await site.hub.start(room.owner, room.name, plan.id)
    return RedirectResponse(f"{site.place.prefix}servers", 303)


async def stop_shared(request: Request) -> Response:
    """POST shared/OWNER/NAME/stop."""
    session, _ = await posted(request)
    room = await room_of(request, signed_in(session.person), ServerDeed.STOP)
    await room.site.hub.stop(room.owner, room.name)
    what = f"{room.owner}/{room.name}"
    await note_act(request, room.person.name, "stop", "server", what)
    return RedirectResponse(f"{room.site.place.prefix}servers", 303)


async def leave(request: Request) -> Response:
    """POST shared/OWNER/NAME/leave: who was let in themselves gives it back."""
    session, _ = await posted(request)
    room = await room_of(request, signed_in(session.person), ServerDeed.OPEN)
    if not room.whoever & {*GUESTS.values()}:
        raise NotFound("Nobody has let you in there.")
    await room.site.shares.leave(room.person, room.owner, room.name)
    return RedirectResponse(f"{room.site.place.prefix}servers", 303)


async def list_for_programs(request: Request) -> Response:
    """GET api/servers/OWNER/NAME/people."""
    room = await room_of(request, await by_token(request), ServerDeed.SHARE)
    return JSONResponse(await _facts(request, room))


async def do_for_programs(request: Request) -> Response:
    """POST api/servers/OWNER/NAME/people/DEED: the same, with a token and a JSON object."""
    person, name = await by_token(request), request.path_params["deed"]
    room = await _do(request, person, name, await object_of(request))
    made = {"link": origin_of(request) + room.link} if room.link else {}
    return JSONResponse(await _facts(request, room) | made)


async def shared_for_programs(request: Request) -> Response:
    """GET api/shared: the servers that others let one into."""
    return JSONResponse(await shared_told(site_of(request), await by_token(request)))


async def shared_told(site: Site, person: Person) -> list[dict[str, Any]]:
    """Return what programs of *person*'s are told of the servers that others let them into."""
    plans, told = site.atoll.store.plans, []
    for one in await site.shares.with_person(person):
        plan = await plans.newest(one.owner, one.server)
        where = {"owner": one.owner, "server": one.server, "title": plan.title if plan else ""}
        told.append(where | {"level": one.level, "running": one.ready})
    return told


async def _facts(request: Request, room: Room) -> dict[str, Any]:
    shares = room.site.shares
    given = await shares.of(room.owner, room.name)
    codes = await shares.codes(room.owner, room.name)
    copies = await room.site.atoll.store.copies.of(room.owner, room.name)
    return {
        "owner": room.owner,
        "server": room.name,
        "people": [{"whom": str(one.whom), "level": one.level} for one in given],
        "links": [
            {"id": one.id, "level": one.level, "until": one.until, "used": one.used}
            for one in codes
        ],
        "at_once": at_once(room, [*given, *codes]),
        "copies": copy_address(request, copies.key) if copies else "",
        "copies_running": len(await copies_up(room.site, room.owner, room.name)),
    }


def _address(room: Room) -> str:
    prefix = room.site.place.prefix
    if room.owner == room.person.name:
        return f"{prefix}servers/{room.name}"
    return f"{prefix}shared/{quote(room.owner, safe='')}/{room.name}"
