"""Pages: the frame that all have, the Launch page, and the page of a link."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from atoll.allowances import ends, longest_idle
from atoll.errors import AtollError
from atoll.launching.prepared import offered
from atoll.launching.wishes import Wishes
from atoll.settings.sections import PreparedSettings, ServerSettings
from atoll.sources import Target
from atoll.sources.parsing import parse_binder
from atoll.web import arriving
from atoll.web.build import asks_rebuild, raw_spec
from atoll.web.guard import asked_for, check_navigation, origin_of
from atoll.web.launch_form import LaunchForm, may_rebuild, most_cpus
from atoll.web.question import Question, question_of
from atoll.web.recognition import Recognised, explain, recognise
from atoll.web.sign_in import Session, keep, session_of
from atoll.web.site import Site, site_of


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
        own=site.atoll.settings.pages,
        told=getattr(request.state, "told", ()),
        here=asked_for(request),
        **values,
    )
    response = HTMLResponse(html, status_code=status)
    return response if session.token or passing else keep(request, response, session)


def home_of(request: Request) -> str:
    """Return the hub's public address, with a slash at its end."""
    return origin_of(request) + site_of(request).place.base


async def show_launch(request: Request) -> Response:
    """GET /: the Launch page, filled in as the query says, but for whom to let in.

    Who comes by such an address need not look at all fields; a link's page asks about these.
    """
    session = await session_of(request)
    form = LaunchForm.read(dict(request.query_params))
    return await launch_page(request, session, replace(form, people="", visitors=""))


async def show_binder_link(request: Request) -> Response:
    """GET v2/PROVIDER/SPEC: the Launch page of a Binder link, with one button.

    A page elsewhere must not start servers with a person's account, so a person presses it, who is
    told what it would do; or has said that about this repository no more is to be asked. Visitors
    have nothing to lose: theirs starts at once, as at any public Binder.
    """
    session = await session_of(request)
    provider, spec = raw_spec(request, site_of(request).place.prefix, "v2")
    form = LaunchForm()
    try:
        target = parse_binder(provider, spec, dict(request.query_params))
        form = replace(
            LaunchForm.of_link(target, Wishes.read(dict(request.query_params))),
            rebuild="yes" if asks_rebuild(request) and _may_rebuild(request, session) else "",
        )
        asked = await question_of(request, session, target, form.wishes)
    except AtollError as error:
        return await launch_page(request, session, form, error=error)
    visiting = session.person is None or session.person.visitor
    at_once = visiting or (asked.trusted and not form.rebuild)
    answer = await launch_page(request, session, form, asked=asked, autostart=at_once)
    answer.delete_cookie(arriving.COOKIE, path=site_of(request).place.prefix)
    return answer


def _may_rebuild(request: Request, session: Session) -> bool:
    return may_rebuild(session.person, site_of(request).atoll.settings.access)


async def launch_page(
    request: Request,
    session: Session,
    form: LaunchForm,
    *,
    error: AtollError | None = None,
    asked: Question | None = None,
    autostart: bool = False,
) -> Response:
    """Return the Launch page with *form* filled in; or, *asked* about a link, the page of that."""
    found: Recognised | None = None
    wrong: AtollError | None = None
    if form.repository:
        try:
            found = _recognised(request, form)
            _check(site_of(request), found.target)
        except AtollError as mistake:
            found, wrong = None, mistake
    rules = await rules_of(request, session)
    return page(
        request,
        session,
        "launch.html",
        status=error.status if error else 200,
        form=form,
        found=found,
        wrong=wrong,
        error=None if error and wrong and str(error) == str(wrong) else error,
        link=asked is not None and found is not None,
        asked=asked,
        prepared=_offered(request, session, form),
        autostart=autostart and found is not None,
        rules=rules,
        most_cpus=most_cpus(rules),
        usual_ends=ends(rules),
        most_idle=longest_idle(rules),
        gpus=site_of(request).atoll.runner.gpus(),
        may_rebuild=_may_rebuild(request, session),
        most_upload=int(site_of(request).atoll.settings.sources.max_size),
    )


async def rules_of(request: Request, session: Session) -> ServerSettings:
    """Return what *session*'s person may ask for."""
    return await site_of(request).atoll.allowances.of(session.person)


def _offered(request: Request, session: Session, form: LaunchForm) -> list[PreparedSettings]:
    """Return what the operator has prepared for whoever has not said what they want."""
    prepared = site_of(request).atoll.settings.pages.prepared
    return [] if form.repository else offered(prepared, session.person)


async def show_recognised(request: Request) -> Response:
    """GET recognise?repository=…: what the Launch page says of its form while one types."""
    session = await session_of(request)
    form = LaunchForm.read(dict(request.query_params))
    try:
        found = _recognised(request, form)
        _check(site_of(request), found.target)
    except AtollError as error:
        return JSONResponse(explain(error))
    return JSONResponse(found.as_json() | {"for": session.name})


def _recognised(request: Request, form: LaunchForm) -> Recognised:
    asks = (form.repository, form.version, form.opening)
    hubs = site_of(request).atoll.settings.pages.hubs
    return recognise(*asks, home_of(request), form.wishes, hubs)


def _check(site: Site, target: Target) -> None:
    """Raise `Refused` where an address alone tells that it may not be fetched."""
    for repo in (target.repo, target.environment):
        if repo:
            site.atoll.source.check(repo)
