"""Build: Binder's ``/build/PROVIDER/SPEC``, the stream that other pages' scripts read.

With ``?content=PROVIDER/SPEC``, the files are another repository's. Where somebody has such a
server already and it differs, it is opened as it is, and messages before the last say how it
differs; ``?existing=update``, ``new`` or ``ask`` (then the stream fails, and says it) choose else.

Who asks shows a token of the hub's, or is a visitor where the operator lets visitors in. A stream
that breaks is taken up where it broke (every message has an id), so that a browser's automatic
reconnection does not start a second server. When nobody listens any more the launch is cancelled.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from atoll.accounting import BINDER_PROVIDERS
from atoll.acts import Way
from atoll.errors import AtollError, BadRequest, Refused
from atoll.launching import Existing
from atoll.launching.desk import Desk, Launch, State
from atoll.launching.requests import existing_of
from atoll.launching.wishes import Wishes
from atoll.people import Person
from atoll.sources import written
from atoll.sources.parsing import parse_binder
from atoll.web import binder
from atoll.web.acts import sent_from
from atoll.web.guard import address, allowed_origin, foreign_origin, origin_of
from atoll.web.launch_form import check_rebuild
from atoll.web.sign_in import person_of
from atoll.web.site import Site, site_of
from atoll.web.starter import server_of
from atoll.web.visitors import Visitors

KEEPALIVE = 25  # seconds between comments on a quiet stream, as BinderHub
STREAM = "stream"  # the fact that marks launches which began here
TOKEN_LIFE = 86400  # seconds; thebe keeps a server's token for a day


@dataclass(slots=True)
class Listeners:
    """Who still listens to which launch; a launch that nobody waits for is not finished.

    ``grace`` is how many seconds somebody may take to come back, ``linger`` how many we leave
    the client, at the end, to hang up first.
    """

    desk: Desk
    grace: float
    linger: float = 60.0
    counts: Counter[str] = field(default_factory=Counter)

    async def attended(
        self, launch: Launch, messages: AsyncIterator[ServerSentEvent]
    ) -> AsyncIterator[ServerSentEvent]:
        """Yield *messages* to somebody who waits for *launch* for as long as they listen."""
        self.come(launch)
        try:
            async for message in messages:
                yield message
        finally:
            self.go(launch)

    def resume(self, launches: Sequence[Launch]) -> None:
        """After a restart, wait for those to come back without whom a launch does not go on."""
        for launch in launches:
            if launch.request.person.visitor or STREAM in launch.facts:
                self.expect(launch)

    def come(self, launch: Launch) -> None:
        """Somebody listens to *launch*."""
        self.counts[launch.id] += 1

    def go(self, launch: Launch) -> None:
        """Somebody has gone; if nobody comes back within the grace period, stop."""
        self.counts[launch.id] -= 1
        if self.counts[launch.id] <= 0:
            self.expect(launch)

    def expect(self, launch: Launch) -> None:
        """If nobody is listening when the grace period is over, stop."""
        asyncio.get_running_loop().call_later(self.grace, self._give_up, launch)

    def _give_up(self, launch: Launch) -> None:
        if self.counts[launch.id] <= 0:
            del self.counts[launch.id]
            task = asyncio.ensure_future(self.desk.cancel(launch))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())


async def build(request: Request) -> Response:
    """GET /build/PROVIDER/SPEC."""
    try:
        launch, start = await _launch(request)
    except AtollError as error:
        return _refusal(request, error)
    listeners: Listeners = request.app.state.listeners
    return EventSourceResponse(
        listeners.attended(launch, _stream(request, launch, start, listeners.linger)),
        headers=cors(request) | {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        ping=KEEPALIVE,
        ping_message_factory=lambda: ServerSentEvent(comment="keepalive"),
        sep="\n",
    )


async def preflight(request: Request) -> Response:
    """OPTIONS /build/…: a script of an allowed site may send a token and hear the answer."""
    return Response(
        status_code=204,
        headers=cors(request)
        | {
            "Access-Control-Allow-Methods": "GET",
            "Access-Control-Allow-Headers": "authorization, cache-control, last-event-id, accept",
            "Access-Control-Max-Age": "600",
        },
    )


def cors(request: Request) -> dict[str, str]:
    """Return the headers that let the asking site's script read the answer, if it may."""
    origin = request.headers.get("origin", "")
    rules = site_of(request).atoll.settings.access
    if not origin or not allowed_origin(origin, rules.origins):
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


async def _launch(request: Request) -> tuple[Launch, int]:
    """Return the launch that this request is about, and the first message it has not seen."""
    site = site_of(request)
    _check(request, site)
    person = await _bearer(request, site)
    provider, spec = raw_spec(request, site.place.base)
    content = request.query_params.get("content", "")
    named = {"prefix": provider, "spec": spec, "environment": ""}
    if content:  # Binder's words are the content's, as on pages
        theirs, _, files = content.partition("/")
        named = {"prefix": theirs, "spec": files, "environment": f"{provider}/{spec}"}
    if found := await _resumed(request, site, named, person):
        return found
    target = parse_binder(provider, spec, {"content": content} if content else {})
    facts = launch_facts(request, named["prefix"], named["spec"]) | named | {STREAM: "yes"}
    asks = Wishes.read(dict(request.query_params))
    typed, rules = written(target.repo, target.environment), await site.atoll.allowances.of(person)
    wanted = asks.request(target, person or Person(""), rules, typed=typed)
    how = existing_of(request.query_params.get("existing", ""), Existing.LEAVE)
    wanted = replace(wanted, rebuild=asks_rebuild(request), existing=how)
    check_rebuild(wanted, person, site.atoll.settings.access)
    if person is None:
        visitors: Visitors = request.app.state.visitors
        where = address(request.headers, request.client, visitors.rules.proxies)
        return await visitors.open(wanted, where, "", facts), 0
    return await site.desk.open(wanted, facts), 0


def _check(request: Request, site: Site) -> None:
    accepted = {part.split(";")[0].strip() for part in request.headers.get("accept", "").split(",")}
    if "text/event-stream" not in accepted:
        raise BadRequest("Missing Accept header: text/event-stream")
    if request.query_params.get("build_only", "").lower() == "true":
        raise BadRequest("Building but not launching is not permitted here.")
    foreign = foreign_origin(request.headers)
    if foreign is not None and not allowed_origin(foreign, site.atoll.settings.access.origins):
        raise Refused(f"Pages of {foreign} may not launch anything here.")


async def _bearer(request: Request, site: Site) -> Person | None:
    """Return whose token came along; ``None`` for a visitor; or raise `Refused`."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() in {"bearer", "token"}:
        found = await person_of(site, token.strip())
        if found is None:
            raise Refused("This token is not valid here.", hint="Make one on the Tokens page.")
        return found[0]
    if site.atoll.settings.access.anonymous:
        return None
    raise Refused(
        "Sign in to launch.",
        hint="Send “Authorization: Bearer TOKEN” with a token from the Tokens page.",
    )


async def _resumed(
    request: Request, site: Site, named: Mapping[str, str], person: Person | None
) -> tuple[Launch, int] | None:
    """Return the launch that a broken stream was about, if it is *person*'s.

    A visitor proves that with its id, which nobody guesses, and only of a launch that began as a
    stream: the ids of others stand in the addresses of pages.
    """
    launch_id, _, number = request.headers.get("last-event-id", "").partition(".")
    launch = await site.desk.launches.get(launch_id) if number.isdecimal() else None
    if launch is None or not named.items() <= launch.facts.items():
        return None
    owner = launch.request.person
    if owner.name != person.name if person else not (owner.visitor and launch.facts.get(STREAM)):
        return None
    return launch, int(number[:9]) + 1


async def _stream(
    request: Request, launch: Launch, start: int, linger: float
) -> AsyncIterator[ServerSentEvent]:
    site = site_of(request)
    number = 0
    translator = binder.Translator()
    async for _, event in site.desk.story(launch).follow():
        if event.phase == "start" and not translator.image:
            now = await site.desk.launches.get(launch.id) or launch
            translator.image = binder.image_of(now)
        for message in translator.messages(event):
            if number >= start:
                yield _event(launch, number, message)
            number += 1
    yield _event(launch, number, await _last_word(request, site, launch))
    await asyncio.sleep(linger)  # else an EventSource would ask again


async def _last_word(request: Request, site: Site, launch: Launch) -> dict[str, Any]:
    over = await site.desk.launches.get(launch.id) or launch
    if over.state is State.ASKING:
        differs = "; ".join(map(str, over.changes))
        return binder.failed(f"{over.error} {differs}. Ask with existing=update, new or leave.")
    if over.state is not State.READY:
        hint = f" {over.hint}" if over.hint else ""
        return binder.failed((over.error or "The service was restarted.") + hint)
    owner = over.request.person.name
    try:
        token = await site.hub.token(
            owner, over.name, seconds=TOKEN_LIFE, note=f"Binder launch of {over.request.repo}"[:100]
        )
    except AtollError as error:
        return binder.failed(str(error))
    origin = origin_of(request)
    return binder.ready(
        over,
        url=f"{origin}{server_of(over.url, site.place.base)}",
        token=token,
        home=f"{origin}{site.place.base}",
        facts=over.facts,
    )


def _event(launch: Launch, number: int, message: Mapping[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(message), id=f"{launch.id}.{number}", sep="\n")


def _refusal(request: Request, error: AtollError) -> Response:
    """Return *error* in the shape that Binder's clients read, with its status.

    A browser's EventSource can read no refusal, only a stream: there it gets status 200.
    """
    hint = f" {error.hint}" if error.hint else ""
    told = json.dumps(binder.failed(f"{error}{hint}", error.status))
    readable = "text/event-stream" in request.headers.get("accept", "") and error.status not in {
        BadRequest.status,
        Refused.status,
    }
    return Response(
        f"data: {told}\n\n",
        status_code=200 if readable else error.status,
        media_type="text/event-stream",
        headers=cors(request),
    )


def raw_spec(request: Request, base: str, kind: str = "build") -> tuple[str, str]:
    """Return provider and spec as they stand in the URL, still quoted.

    A decoded path would have lost where ``https%3A%2F%2F…`` ends.
    """
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    path = raw.decode("ascii", "replace").partition("?")[0]
    provider, _, spec = path.removeprefix(f"{base}{kind}/").partition("/")
    return provider, spec.rstrip("/")


def asks_rebuild(request: Request) -> bool:
    """Say whether the address asks for the environment to be made anew: ``?rebuild=true``."""
    return request.query_params.get("rebuild", "").lower() == "true"


def launch_facts(request: Request, provider: str, spec: str) -> dict[str, str]:
    """Return what a launch record needs from whoever asked, in Binder's terms."""
    headers = request.headers
    return {
        "prefix": provider,
        "provider": BINDER_PROVIDERS.get(provider, "Git"),
        "spec": spec,
        "origin": headers.get("host", ""),
        "request_origin": headers.get("origin", headers.get("sec-fetch-site", "")),
        "address": sent_from(request),
        "way": (Way.PROGRAM if "authorization" in headers else Way.PAGE).value,
    }
