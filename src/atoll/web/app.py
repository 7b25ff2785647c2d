"""App: which address leads to which handler, and what happens when one raises."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from atoll import __version__
from atoll.app import Atoll, opened
from atoll.errors import AtollError
from atoll.launching.company import Company
from atoll.launching.desk import Bounds, Desk
from atoll.plain import plain
from atoll.web import (
    build,
    copies,
    description,
    elsewhere,
    launches,
    limits,
    logs,
    messages,
    metrics,
    operator,
    pages,
    people,
    programs,
    question,
    see_as,
    servers,
    sign_in,
    sparing,
    status,
    titles,
    uploads,
    volumes,
)
from atoll.web.doors import door
from atoll.web.guard import Guard, asked_for, is_navigation
from atoll.web.hub_api import HubApi
from atoll.web.hub_shares import HubShares
from atoll.web.meter import Meter
from atoll.web.sign_in import Faces, Session, SignInNeeded
from atoll.web.site import STATIC, Place, Site
from atoll.web.starter import HubStarter
from atoll.web.visitors import Visitors

log = logging.getLogger(__name__)

# On the way to a link's page: the host on whose page the link was, as browsers tell it by default.
PASSING_ON = {"Referrer-Policy": "strict-origin-when-cross-origin"}
TITLES = {
    400: "That does not work",
    403: "Not allowed",
    404: "Nothing here",
    405: "That does not work",
    413: "Too large",
    429: "Too many at once",
    500: "Something broke",
    502: "No answer",
    503: "Not possible now",
}


def make_site(atoll: Atoll, hub: HubApi, place: Place) -> Site:
    """Put the service's parts together."""
    meters, settings = metrics.Meters(), atoll.settings
    company = Company(HubShares(hub), atoll.store.copies, atoll.keeper)
    desk = Desk(
        replace(atoll.launcher, company=company),
        metrics.CountedLaunches(atoll.store.launches, meters),
        metrics.CountedRecords(atoll.store.records, meters),
        HubStarter(hub, atoll.store.plans),
        Bounds(settings.access.launches, atoll.allowances.servers),
        atoll.store.acts,
    )
    return Site(atoll, desk, hub, place, meters)


def make_app(site: Site, culling: AbstractAsyncContextManager[None] | None = None) -> Starlette:
    """Return the service as an ASGI application, which opens and closes *site*'s parts itself.

    *culling*, if there is any, goes on while it runs.
    """
    place, settings = site.place, site.atoll.settings
    app = Starlette(
        routes=[*_pages(place.prefix), *_binder(place.base)],
        middleware=[Middleware(Guard)],
        exception_handlers={
            SignInNeeded: _to_sign_in,
            AtollError: _explain,
            HTTPException: _explain_http,
            Exception: _explain_bug,
        },
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    visitors = Visitors(
        site.hub,
        site.desk,
        site.atoll.store.plans,
        site.atoll.runner,
        settings.access,
        place.secret,
        acts=site.atoll.store.acts,
    )
    app.state.site = site
    app.state.culling = culling or contextlib.nullcontext()
    app.state.faces = Faces()
    app.state.board = messages.Board(site.atoll.store.messages)
    app.state.health = status.Health(site)
    app.state.listeners = build.Listeners(site.desk, settings.builds.grace)
    app.state.uploading = set()  # names of people
    app.state.visitors = visitors
    app.mount(f"{place.prefix}static", Static(directory=str(STATIC)), name="static")
    return app


class Static(StaticFiles):
    """Static files; an address with the file's mark (``?v=``) never changes its meaning."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file with a caching header that fits how it was asked for."""
        response = await super().get_response(path, scope)
        marked = b"v=" in scope.get("query_string", b"")
        keep = "public, max-age=31536000, immutable" if marked else "public, max-age=300"
        response.headers["Cache-Control"] = keep
        return response


def _pages(prefix: str) -> list[Route]:
    get, post = (partial(door, method, below=prefix) for method in ("GET", "POST"))

    return [
        get("", pages.show_launch),
        get("v2/{rest:path}", pages.show_binder_link),
        get("recognise", pages.show_recognised),
        post("launches", launches.launch),
        door("PUT", "uploads/{name}", uploads.receive, below=prefix),
        get("launches/{launch}", launches.show_progress),
        get("launches/{launch}/events", launches.follow),
        get("launches/{launch}/edit", launches.edit),
        get("launches/{launch}/enter", launches.enter),
        get("launches/{launch}/log", launches.show_log),
        post("launches/{launch}/cancel", launches.cancel),
        post("launches/{launch}/retry", launches.retry),
        get("launches/{launch}/requirements.txt", launches.show_requirements),
        post("launches/{launch}/accept", launches.accept),
        post("launches/{launch}/answer", launches.answer),
        get("copies/{key}", copies.show_copy),
        post("copies/{key}", copies.take_copy),
        get("servers", servers.show_servers),
        get("servers/states", servers.show_states),
        get("servers/{server}/open", servers.open_server),
        get("servers/{server}/delete", servers.ask_delete),
        get("servers/{server}/elsewhere", elsewhere.show_elsewhere),
        post("servers/{server}/start", servers.start),
        post("servers/{server}/stop", servers.stop),
        post("servers/{server}/update", servers.update),
        post("servers/{server}/delete", servers.delete),
        post("servers/{server}/restart", servers.restart),
        post("servers/{server}/title", titles.retitle),
        get("servers/{server}/people", people.show_people),
        post("servers/{server}/people/{deed}", people.do),
        get("shared/{owner}/{server}/people", people.show_people),
        post("shared/{owner}/{server}/people/{deed}", people.do),
        get("shared/{owner}/{server}/open", people.open_shared),
        post("shared/{owner}/{server}/start", people.start_shared),
        post("shared/{owner}/{server}/stop", people.stop_shared),
        post("shared/{owner}/{server}/leave", people.leave),
        get("api/me", programs.tell_me),
        post("api/launches", programs.launch),
        get("api/launches/{launch}", programs.show),
        get("api/launches/{launch}/events", programs.follow),
        post("api/launches/{launch}/cancel", programs.cancel),
        post("api/launches/{launch}/answer", programs.answer),
        get("api/servers", programs.list_servers),
        get("api/servers/{server}/log", programs.show_log),
        post("api/servers/{server}/start", programs.start),
        post("api/servers/{server}/stop", programs.stop),
        post("api/servers/{server}/restart", programs.restart),
        post("api/servers/{server}/update", programs.update),
        post("api/servers/{server}/delete", programs.delete),
        get("api/shared", people.shared_for_programs),
        get("api/servers/{owner}/{server}/people", people.list_for_programs),
        post("api/servers/{owner}/{server}/people/{deed}", people.do_for_programs),
        post("api/servers/{server}/title", titles.retitle_for_programs),
        get("volumes", volumes.show_volumes),
        get("volumes/choices", volumes.show_choices),
        post("volumes/{deed}", volumes.do),
        get("api/volumes", volumes.list_for_programs),
        post("api/volumes/{deed}", volumes.do_for_programs),
        get("admin", operator.show_hub),
        get("admin/costs", operator.show_costs),
        get("admin/costs.csv", operator.show_costs_as_csv),
        get("admin/log", operator.show_log),
        post("admin/see-as", see_as.begin),
        post("see-as/end", see_as.end),
        get("admin/limits", limits.show_limits),
        get("admin/messages", messages.show_messages),
        post("admin/stop", operator.stop),
        post("admin/limits", limits.set_limits),
        post("admin/messages", messages.write),
        post("admin/messages/end", messages.end),
        get("api/admin/{view}", operator.show_for_programs),
        post("api/admin/stop", operator.stop_for_programs),
        post("api/admin/limits", limits.set_limits_for_programs),
        post("api/admin/messages", messages.write_for_programs),
        post("api/admin/messages/end", messages.end_for_programs),
        post("api/admin/see-as", see_as.see_for_programs),
        post("messages/dismiss", messages.dismiss),
        get("sign-in", sign_in.begin),
        get("oauth_callback", sign_in.end),
        post("sign-out", sign_in.sign_out),
        post("trusted/drop", question.ask_again),
        get("about", _about),
        get("openapi.json", description.show_description),
        get("metrics", metrics.show_metrics),
    ]


def _binder(base: str) -> list[Route]:
    get = partial(door, "GET", below=base)
    return [
        get("/v2/{rest:path}", _to_launch),
        get("/build/{rest:path}", build.build),
        door("OPTIONS", "/build/{rest:path}", build.preflight, below=base),
        get("/badge_logo.svg", status.show_badge),
        get("/badge.svg", status.show_badge),
        get("/health", status.show_health),
        get("/health/live", status.show_live),
        get("/health/ready", status.show_ready),
        get("/versions", status.show_versions),
        get("/api/repoproviders", status.show_providers),
        get("/about", status.to_about),
        get("/metrics", metrics.show_metrics),
    ]


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    site: Site = app.state.site
    visitors: Visitors = app.state.visitors
    async with opened(site.atoll), contextlib.AsyncExitStack() as stack:
        resumed = await site.desk.resume()
        stack.push_async_callback(site.desk.close)
        if resumed:
            log.info("took up %d launches that a restart had interrupted", len(resumed))
        app.state.listeners.resume(resumed)
        if site.atoll.settings.access.anonymous:
            await stack.enter_async_context(visitors.sweeping())
        await stack.enter_async_context(volumes.clearing_up(site.atoll.keeper))
        await stack.enter_async_context(sparing.sparing(site))
        await stack.enter_async_context(logs.clearing_up(site.atoll.settings))
        if site.atoll.settings.operator.sample:
            await stack.enter_async_context(Meter(site.atoll, site.hub).measuring())
        await stack.enter_async_context(app.state.culling)
        yield


async def _to_launch(request: Request) -> Response:
    """GET /v2/…: the session's cookie is sent below our own path only, so go there first."""
    place: Place = request.app.state.site.place
    below = asked_for(request).removeprefix(place.base)
    return RedirectResponse(place.prefix + below, 302, headers=PASSING_ON)


async def _about(request: Request) -> Response:
    """GET about: what runs here, in which version."""
    try:
        session = await sign_in.session_of(request)
    except (SignInNeeded, AtollError):
        session = Session("")
    return pages.page(request, session, "about.html", passing=True, version=__version__)


async def _to_sign_in(request: Request, error: Exception) -> Response:  # noqa: ARG001
    place: Place = request.app.state.site.place
    if request.method != "GET" or request.headers.get("sec-fetch-mode") in {"cors", "same-origin"}:
        return JSONResponse({"ok": False, "error": "Sign in first."}, 401)
    target = quote(asked_for(request), safe="")
    return RedirectResponse(f"{place.prefix}sign-in?next={target}", 302, headers=PASSING_ON)


async def _explain(request: Request, error: Exception) -> Response:
    problem = error if isinstance(error, AtollError) else AtollError(str(error))
    kind = type(problem).__name__
    return await _error_page(request, problem.status, str(problem), problem.hint, kind)


async def _explain_http(request: Request, error: Exception) -> Response:
    status_code = error.status_code if isinstance(error, HTTPException) else 500
    messages = {404: "There is no page at this address.", 405: "This address takes other requests."}
    return await _error_page(request, status_code, messages.get(status_code, "That failed."), "")


async def _explain_bug(request: Request, error: Exception) -> Response:
    log.error("%s %s broke", request.method, plain(request.url.path), exc_info=error)
    return await _error_page(request, 500, "Something went wrong in Atoll itself.", "Try again.")


async def _error_page(
    request: Request, status_code: int, message: str, hint: str, kind: str = ""
) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if not (wants_page and is_navigation(request.headers)):
        told = {"ok": False, "error": message, "hint": hint, "message": message, "kind": kind}
        return JSONResponse(told, status_code)
    try:
        session = await sign_in.session_of(request)
    except Exception:  # noqa: BLE001 - the page must come even when nothing works
        session = Session("")
    return pages.page(
        request,
        session,
        "error.html",
        status=status_code,
        passing=True,
        title=TITLES.get(status_code, "That failed"),
        message=message,
        hint=hint,
    )
