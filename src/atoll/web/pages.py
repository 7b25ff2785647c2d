"""Pages: the Launch page and the progress of a launch."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlencode

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

from atoll.accounting import BINDER_PROVIDERS
from atoll.errors import AtollError, NotFound
from atoll.events import Story
from atoll.launching import LaunchRequest
from atoll.launching.desk import Launch, State
from atoll.people import Person
from atoll.sources import Target
from atoll.sources.parsing import binder_spec, parse_binder
from atoll.web import progress
from atoll.web.build import Listeners, asks_rebuild, launch_facts, raw_spec
from atoll.web.guard import address, check_navigation, origin_of, plain
from atoll.web.launch_form import (
    LaunchForm,
    check_rebuild,
    may_rebuild,
    most_cpus,
    request_from,
)
from atoll.web.links import shown
from atoll.web.recognition import (
    Recognised,
    describe,
    describe_environment,
    explain,
    recognise,
    version_and_opening,
)
from atoll.web.sign_in import Session, keep, posted, session_of
from atoll.web.site import Site, site_of
from atoll.web.visitors import Visitors

SHOWN = 500  # lines of a log that are in the page already; the rest comes as a stream
NOBODY = Person("")


def page(
    request: Request,
    session: Session,
    template: str,
    *,
    status: int = 200,
    passing: bool = False,
    **values: Any,
) -> Response:
    """Return *template* as a page for *session*, in the frame that all pages share.

    A *passing* page, of an error say, leaves the browser's cookie alone. Every page holds the
    form token, so that only a person's own navigation gets one; raises `Refused` otherwise.
    """
    check_navigation(request)
    site = site_of(request)
    html = site.render(
        template,
        session=session,
        visiting=session.person is None or session.person.visitor,
        path=request.url.path,
        **values,
    )
    response = HTMLResponse(html, status_code=status)
    return response if session.token or passing else keep(request, response, session)


def home_of(request: Request) -> str:
    """Return the hub's public address, with a slash at its end."""
    return origin_of(request) + site_of(request).place.base


async def show_launch(request: Request) -> Response:
    """GET /: the Launch page, filled in as the query says."""
    session = await session_of(request)
    return _launch_page(request, session, LaunchForm.read(dict(request.query_params)))


async def show_binder_link(request: Request) -> Response:
    """GET v2/PROVIDER/SPEC: the Launch page of a Binder link, with one button.

    A page elsewhere must not start servers with a person's account, so a person presses it.
    Visitors have nothing to lose: theirs starts at once, as at any public Binder.
    """
    session = await session_of(request)
    provider, spec = raw_spec(request, site_of(request).place.prefix, "v2")
    try:
        target = parse_binder(provider, spec, dict(request.query_params))
    except AtollError as error:
        return _launch_page(request, session, LaunchForm(), error=error)
    form = replace(
        LaunchForm.of_link(target),
        rebuild="yes" if asks_rebuild(request) and _may_rebuild(request, session) else "",
    )
    visiting = session.person is None or session.person.visitor
    return _launch_page(request, session, form, link=True, autostart=visiting)


def _may_rebuild(request: Request, session: Session) -> bool:
    return may_rebuild(session.person, site_of(request).atoll.settings.access)


def _launch_page(
    request: Request,
    session: Session,
    form: LaunchForm,
    *,
    error: AtollError | None = None,
    link: bool = False,
    autostart: bool = False,
) -> Response:
    found: Recognised | None = None
    wrong: AtollError | None = None
    if form.repository:
        try:
            found = recognise(form.repository, form.version, form.opening, home_of(request))
            _check(site_of(request), found.target)
        except AtollError as mistake:
            found, wrong = None, mistake
    return page(
        request,
        session,
        "launch.html",
        status=error.status if error else 200,
        form=form,
        found=found,
        wrong=wrong,
        error=None if error and wrong and str(error) == str(wrong) else error,
        link=link and found is not None,
        autostart=autostart and found is not None,
        rules=site_of(request).atoll.settings.servers,
        most_cpus=most_cpus(site_of(request).atoll.settings.servers),
        may_rebuild=_may_rebuild(request, session),
        most_upload=int(site_of(request).atoll.settings.sources.max_size),
    )


async def show_recognised(request: Request) -> Response:
    """GET recognise?text=…&version=…&opening=…: what the Launch page says while one types."""
    session = await session_of(request)
    query = request.query_params
    try:
        found = recognise(
            query.get("text", ""),
            query.get("version", ""),
            query.get("opening", ""),
            home_of(request),
        )
        _check(site_of(request), found.target)
    except AtollError as error:
        return JSONResponse(explain(error))
    return JSONResponse(found.as_json() | {"for": session.name})


def _check(site: Site, target: Target) -> None:
    """Raise `Refused` where an address alone tells that it may not be fetched."""
    for repo in (target.repo, target.environment):
        if repo:
            site.atoll.source.check(repo)


async def launch(request: Request) -> Response:
    """POST launches: begin a launch and show its progress."""
    session, fields = await posted(request)
    form = LaunchForm.read(fields)
    site = site_of(request)
    try:
        wanted = request_from(form, session.person or NOBODY, site.atoll.settings.servers)
        begun = await _begin(request, session, wanted)
    except AtollError as error:
        return _launch_page(request, session, form, error=error)
    return _to_progress(request, session, begun)


async def retry(request: Request) -> Response:
    """POST launches/ID/retry: the same again, building anew what failed."""
    session, _ = await posted(request)
    old = await _launch_of(request, session)
    person = session.person or NOBODY
    begun = await _begin(request, session, replace(old.request, person=person, retry=True))
    return _to_progress(request, session, begun)


async def show_requirements(request: Request) -> Response:
    """GET launches/ID/requirements.txt: what is proposed to a repository that says nothing."""
    session = await session_of(request)
    begun = await _launch_of(request, session)
    if not begun.proposal:
        raise NotFound("Nothing is proposed for this launch.")
    kept = {"Content-Disposition": 'attachment; filename="requirements.txt"'}
    return PlainTextResponse(begun.proposal, headers=kept)


async def accept(request: Request) -> Response:
    """POST launches/ID/accept: the same with the packages that are proposed.

    Its server, which has only just come up, is stopped, unless it runs something else by now.
    """
    session, _ = await posted(request)
    site = site_of(request)
    old = await _launch_of(request, session)
    person = session.person or NOBODY
    await site.desk.cancel(old)
    server = (await site.hub.user(person.name)).servers.get(old.name)
    if server and old.plan and server.plan == old.plan and not server.stopped:
        await site.hub.stop(person.name, old.name)
    begun = await _begin(request, session, replace(old.request, person=person, infer=True))
    return _to_progress(request, session, begun)


async def _begin(request: Request, session: Session, wanted: LaunchRequest) -> Launch:
    site = site_of(request)
    check_rebuild(wanted, session.person, site.atoll.settings.access)
    provider, spec = binder_spec(wanted.repo)
    facts = launch_facts(request, provider, spec)
    facts["provider"] = BINDER_PROVIDERS.get(provider, "Git")
    if session.person and not session.person.visitor:
        return await site.desk.open(wanted, facts)
    visitors: Visitors = request.app.state.visitors
    where = address(request.headers, request.client, visitors.rules.proxies)
    return await visitors.open(wanted, where, session.visitor, facts)


def _to_progress(request: Request, session: Session, begun: Launch) -> Response:
    # "#go": whoever has just launched goes on by themselves even if it was ready at once; who
    # comes back to the page later does not.
    answer = RedirectResponse(f"{site_of(request).place.prefix}launches/{begun.id}#go", 303)
    person = begun.request.person
    if person.visitor and not session.visitor:
        return keep(request, answer, replace(session, visitor=person.name))
    return answer


async def show_progress(request: Request) -> Response:
    """GET launches/ID: how it goes."""
    session = await session_of(request)
    begun = await _launch_of(request, session)
    site = site_of(request)
    events = list(site.desk.story(begun).events)
    log = [event for event in progress.shown_events(events) if event.message]
    version, opening = await _version_and_opening(site, begun)
    return page(
        request,
        session,
        "progress.html",
        launch=begun,
        version=version,
        opens=shown(opening),
        over=begun.state.over,
        now=time.time(),
        steps=progress.steps(events),
        log=[plain(event.message) for event in log[-SHOWN:]],
        seen=f"{progress.mark_of(events)}-{len(events) - 1}" if events else "",
        title=describe(begun.request.repo)[1],
        environment=describe_environment(begun.request.environment, begun.environment_ref),
        kept_log=bool(begun.log and _kept_log(site, begun.log)),
    )


async def _version_and_opening(site: Site, begun: Launch) -> tuple[str, str]:
    """Return what the person asked for, as the remote understood it if it was heard already."""
    repo, opening = begun.request.repo, begun.request.opening
    with contextlib.suppress(NotFound):
        if begun.plan:
            plan = await site.atoll.store.plans.get(begun.plan, begun.request.person.name)
            repo, opening = plan.ref.repo, plan.opening
    return version_and_opening(repo, opening)


async def follow(request: Request) -> Response:
    """GET launches/ID/events: the same as a stream; Last-Event-ID or ?seen= says what is known.

    A visitor who leaves gives up the launch, and a place in line, since nobody comes back to it; a
    person's goes on.
    """
    session = await session_of(request)
    begun = await _launch_of(request, session)
    story = site_of(request).desk.story(begun)
    seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
    listeners: Listeners = request.app.state.listeners
    told = _tell(request, begun, story, seen)
    return EventSourceResponse(
        listeners.attended(begun, told) if begun.request.person.visitor else told,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        ping=15,
    )


async def _tell(
    request: Request, begun: Launch, story: Story, seen: str
) -> AsyncIterator[ServerSentEvent]:
    start = progress.after(seen, story.events)
    if start == 0 and seen:  # another telling than the page shows: it begins anew
        yield ServerSentEvent("{}", event="anew")
    async for number, event in story.follow(start):
        told = progress.as_json(event, story.events[: number + 1])
        if event.phase in {"ready", "failed"}:
            break
        mark = progress.mark_of(story.events)
        yield ServerSentEvent(json.dumps(told), id=f"{mark}-{number}", event="told")
    over = await site_of(request).desk.launches.get(begun.id) or begun
    if not over.state.over:  # the service stops; the page asks again and finds its successor
        return
    last = {
        "state": over.state.value,
        "steps": [asdict(step) for step in progress.steps(story.events)],
        "proposal": bool(over.proposal),
    }
    yield ServerSentEvent(json.dumps(last), event="over")


async def cancel(request: Request) -> Response:
    """POST launches/ID/cancel."""
    session, _ = await posted(request)
    site = site_of(request)
    begun = await _launch_of(request, session)
    await site.desk.cancel(begun)
    return RedirectResponse(f"{site.place.prefix}launches/{begun.id}", 303)


async def edit(request: Request) -> Response:
    """GET launches/ID/edit: the form that led to it, to change something."""
    session = await session_of(request)
    begun = await _launch_of(request, session)
    form = LaunchForm.of(begun.request, site_of(request).atoll.settings.servers)
    return _launch_page(request, session, form)


async def enter(request: Request) -> Response:
    """GET launches/ID/enter: on to the server, once it is ready."""
    session = await session_of(request)
    begun = await _launch_of(request, session)
    if begun.state is not State.READY:
        return RedirectResponse(f"{site_of(request).place.prefix}launches/{begun.id}", 303)
    return await go_to(site_of(request), begun.request.person, begun.name, begun.url)


async def go_to(site: Site, owner: Person, server: str, url: str) -> Response:
    """Return the way to *url*, a path of *server*; a visitor needs a key to it.

    The key is made only now and opens that one server: it is in no record, event or log of ours.
    """
    if not owner.visitor:
        return RedirectResponse(url, 303)
    token = await site.hub.token(owner.name, server, seconds=86400, note="visit")
    path, mark, fragment = url.partition("#")
    joint = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{joint}{urlencode({'token': token})}{mark}{fragment}", 303)


async def show_log(request: Request) -> Response:
    """GET launches/ID/log: the whole log of the build that failed, as text."""
    session = await session_of(request)
    begun = await _launch_of(request, session)
    kept = _kept_log(site_of(request), begun.log)
    if not kept:
        raise NotFound("There is no log of this launch any more.")
    return PlainTextResponse("\n".join(plain(line) for line in kept.split("\n")))


def _kept_log(site: Site, name: str) -> str:
    folder = (site.atoll.settings.data / "logs").resolve()
    file = (folder / f"{name}.txt").resolve()
    if not name or file.parent != folder or not file.is_file():
        return ""
    return file.read_bytes()[-4 * 1024**2 :].decode("utf-8", "replace")


async def _launch_of(request: Request, session: Session) -> Launch:
    if session.person is None:
        raise NotFound("There is no such launch.", hint="Launch the repository again.")
    launch_id = request.path_params["launch"]
    return await site_of(request).desk.get(launch_id, session.person)
