"""Launches: one begins with the form, is followed on its page, and leads to a server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from urllib.parse import urlencode

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from atoll.access import Role, alone
from atoll.accounting import BINDER_PROVIDERS
from atoll.errors import AtollError, NotFound
from atoll.events import Story
from atoll.launching import Existing, LaunchRequest
from atoll.launching.changes import needs_stop
from atoll.launching.desk import Launch, State
from atoll.launching.existing import answered
from atoll.launching.prepared import offered
from atoll.people import Person
from atoll.plain import plain
from atoll.sources import Target
from atoll.sources.parsing import binder_spec
from atoll.volumes.renewal import MORE
from atoll.web import progress
from atoll.web.build import Listeners, launch_facts
from atoll.web.doors import door_of
from atoll.web.guard import address
from atoll.web.launch_form import OTHERS, LaunchForm, check_rebuild, request_from
from atoll.web.links import shown
from atoll.web.pages import launch_page, page, rules_of
from atoll.web.question import question_of, trust
from atoll.web.recognition import describe, describe_environment, version_and_opening
from atoll.web.sign_in import Session, keep, posted, session_of
from atoll.web.site import Site, site_of
from atoll.web.visitors import Visitors

SHOWN = 500  # lines of a log that are in the page already; the rest comes as a stream
NOBODY = Person("")


async def launch(request: Request) -> Response:
    """POST launches: begin a launch and show its progress."""
    session, fields = await posted(request)
    form = LaunchForm.read(fields)
    try:
        wanted = request_from(form, session.person or NOBODY, await rules_of(request, session))
        unseen = form.unseen
        # What the operator has prepared need not be asked about, unless it lets people in.
        if unseen & {*OTHERS} or (unseen and not _prepared(request, session, form)):
            return await _ask(request, session, form, wanted)
        begun = await begin(request, session, replace(wanted, existing=Existing.ASK))
    except AtollError as error:
        return await launch_page(request, session, form, error=error)
    if fields.get("trust") == "yes" and not begun.request.person.visitor:
        await trust(request, begun.request)
    return to_progress(request, session, begun)


async def _ask(
    request: Request, session: Session, form: LaunchForm, wanted: LaunchRequest
) -> Response:
    """Return the question about a link that was pasted: what it reaches was in no field."""
    target = Target(wanted.repo, wanted.opening, wanted.environment)
    asked = await question_of(request, session, target, form.wishes)
    said = replace(LaunchForm.of_link(target, form.wishes), rebuild=form.rebuild)
    return await launch_page(request, session, said, asked=asked)


def _prepared(request: Request, session: Session, form: LaunchForm) -> bool:
    """Say whether the operator, and nobody else, has chosen the link that *form* launches."""
    theirs = offered(site_of(request).atoll.settings.pages.prepared, session.person)
    return form.repository in {one.launch for one in theirs}


async def retry(request: Request) -> Response:
    """POST launches/ID/retry: the same again, building anew what failed."""
    session, _ = await posted(request)
    old = await _launch_of(request, session)
    person = session.person or NOBODY
    begun = await begin(request, session, replace(old.request, person=person, retry=True))
    return to_progress(request, session, begun)


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

    Its server, which has only just come up, is started anew, unless it runs something else by now.
    """
    session, _ = await posted(request)
    site = site_of(request)
    old = await _launch_of(request, session)
    person = session.person or NOBODY
    await site.desk.cancel(old)
    server = (await site.hub.user(person.name)).servers.get(old.name)
    other = server and not server.stopped and server.plan != old.plan
    how = Existing.LEAVE if other else Existing.UPDATE
    asked = replace(old.request, person=person, infer=True, existing=how)
    begun = await begin(request, session, asked)
    return to_progress(request, session, begun)


async def answer(request: Request) -> Response:
    """POST launches/ID/answer: what is to happen, where the person has such a server already.

    It is updated (``how=update``), or a new one made beside it (``how=new``).
    """
    session, sent = await posted(request)
    old = await _launch_of(request, session)
    how = Existing.NEW if sent.get("how") == Existing.NEW else Existing.UPDATE
    asked = answered(replace(old.request, person=session.person or NOBODY), how)
    return to_progress(request, session, await begin(request, session, asked))


async def begin(request: Request, session: Session, wanted: LaunchRequest) -> Launch:
    """Begin *wanted*, for *session*'s person or as a visitor's."""
    if session.person and not session.person.visitor:
        return await begin_for(request, wanted)
    check_rebuild(wanted, session.person, site_of(request).atoll.settings.access)
    visitors: Visitors = request.app.state.visitors
    where = address(request.headers, request.client, visitors.rules.proxies)
    return await visitors.open(wanted, where, session.visitor, _facts(request, wanted))


async def begin_for(request: Request, wanted: LaunchRequest) -> Launch:
    """Begin *wanted* for its person, who has signed in."""
    check_rebuild(wanted, wanted.person, site_of(request).atoll.settings.access)
    return await site_of(request).desk.open(wanted, _facts(request, wanted))


def _facts(request: Request, wanted: LaunchRequest) -> dict[str, str]:
    provider, spec = binder_spec(wanted.repo)
    known = {"provider": BINDER_PROVIDERS.get(provider, "Git")}
    return launch_facts(request, provider, spec) | known


def to_progress(request: Request, session: Session, begun: Launch) -> Response:
    """Return the way to the page of a launch that has just *begun*."""
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
        mine=Role.OWNER in alone(session.person, begun.request.person.name),
        version=version,
        opens=shown(opening),
        over=begun.state.over,
        now=time.time(),
        steps=progress.steps(events),
        log=[plain(event.message) for event in log[-SHOWN:]],
        seen=f"{progress.mark_of(events)}-{len(events) - 1}" if events else "",
        title=describe(begun.request.repo)[1],
        environment=describe_environment(begun.request.environment, begun.environment_ref),
        needs_stop=needs_stop(begun.changes),
        more=MORE,
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
    form = LaunchForm.of(begun.request, await rules_of(request, session))
    return await launch_page(request, session, form)


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
    return await site_of(request).desk.get(launch_id, session.person, door_of(request).whose)
