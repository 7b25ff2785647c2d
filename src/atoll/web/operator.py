"""Operator: the pages from which a hub is run: who is there, what it costs, and who did what."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.access import party
from atoll.accounting.costs import COLUMNS, month
from atoll.acts import Search
from atoll.errors import BadRequest, NotFound
from atoll.names import is_slug
from atoll.web import overview
from atoll.web.guard import check_navigation
from atoll.web.office import by_form, by_token
from atoll.web.pages import page
from atoll.web.sign_in import session_of
from atoll.web.site import site_of
from atoll.web.volumes import object_of, text_of

PER_PAGE = 100
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


async def show_hub(request: Request) -> Response:
    """GET admin: people, servers, the line, what is kept."""
    session, site = await session_of(request), site_of(request)
    known, up = await overview.people_if_up(site.atoll, site.hub)
    asked = request.query_params.get("person", "").strip()[:255]
    measured = await overview.servers(site.atoll)
    on = {(row["person"], name) for row in known for name in row["running"]}
    running = [row for row in measured if not up or (row["owner"], row["name"]) in on]
    found = [row for row in known if asked.lower() in row["person"].lower()]
    return page(
        request,
        session,
        "admin.html",
        asked=asked,
        people=found[:PER_PAGE],
        more=max(0, len(found) - PER_PAGE),
        hub_up=up,
        titles={(row["owner"], row["name"]): row["title"] for row in running},
        servers=[row for row in running if asked.lower() in row["owner"].lower()],
        launches=overview.launches(site.desk),
        environments=await overview.environments(site.atoll),
        volumes=await overview.volumes(site.atoll),
        disk=overview.disk(site.atoll),
        see_as=site.atoll.settings.operator.see_as,
        stopped=_server_name(request.query_params.get("stopped", "")),
    )


async def show_costs(request: Request) -> Response:
    """GET admin/costs: what a month has cost, by person and by group."""
    session, site = await session_of(request), site_of(request)
    when, by = _asked(request)
    first, _ = month(when)
    return page(
        request,
        session,
        "admin_costs.html",
        first=first,
        by=by,
        rows=await overview.costs(site.atoll, when, by),
    )


async def show_costs_as_csv(request: Request) -> Response:
    """GET admin/costs.csv: the same, for a spreadsheet."""
    check_navigation(request)  # a script of a server's page may not read it
    site = site_of(request)
    when, by = _asked(request)
    first, _ = month(when)
    name = f"atoll-costs-{first:%Y-%m}-{by}.csv"
    kept = {"Content-Disposition": f'attachment; filename="{name}"'}
    text = as_csv(await overview.costs(site.atoll, when, by))
    return Response(text, media_type="text/csv; charset=utf-8", headers=kept)


async def show_log(request: Request) -> Response:
    """GET admin/log: who did what."""
    session, site = await session_of(request), site_of(request)
    query = request.query_params
    search = search_of(query)
    rows = await overview.acts(site.atoll, search)
    asked = {name: query.get(name, "") for name in ("who", "what", "since")}
    older = {**asked, "before": str(rows[-1]["number"])} if len(rows) == search.limit else {}
    return page(
        request,
        session,
        "admin_log.html",
        rows=rows,
        asked=asked,
        older=urlencode(older),
        titles=await overview.titles(site.atoll, rows),
    )


async def stop(request: Request) -> Response:
    """POST admin/stop: stop somebody's server, or all of theirs."""
    boss, sent = await by_form(request)
    server = text_of(sent, "server")
    await boss.stop(server)
    told = urlencode({"stopped": server})
    return RedirectResponse(f"{site_of(request).place.prefix}admin?{told}", 303)


async def show_for_programs(request: Request) -> Response:
    """GET api/admin/VIEW: the same in JSON."""
    view, query, site = request.path_params["view"], request.query_params, site_of(request)
    await by_token(request)
    if view == "log":
        return JSONResponse(await overview.acts(site.atoll, search_of(query)))
    if view == "costs":
        return JSONResponse(await overview.costs(site.atoll, *_asked(request)))
    if view == "people":
        return JSONResponse(await overview.people(site.atoll, site.hub))
    if view == "launches":
        return JSONResponse(overview.launches(site.desk))
    if view == "limits" and (of := query.get("of", "").strip()):
        return JSONResponse(await overview.allowed(site.atoll, site.hub, party(of)))
    views = {
        "limits": overview.limits,
        "messages": overview.messages,
        "servers": overview.servers,
        "environments": overview.environments,
        "volumes": overview.volumes,
    }
    if view not in views:
        raise NotFound("There is no such view.", hint=f"There are log, costs, {', '.join(views)}.")
    return JSONResponse(await views[view](site.atoll))


async def stop_for_programs(request: Request) -> Response:
    """POST api/admin/stop: a JSON object with ``server``, as PERSON/NAME, or PERSON for all."""
    boss, sent = await by_token(request), await object_of(request)
    return JSONResponse({"stopped": await boss.stop(text_of(sent, "server"))})


def search_of(query: Mapping[str, str]) -> Search:
    """Return what *query* looks for in the log, or raise `BadRequest`."""
    numbers = {name: query.get(name, "") or "0" for name in ("before", "after")}
    if not all(one.isdecimal() and len(one) < 16 for one in numbers.values()):  # noqa: PLR2004
        raise BadRequest("“before” and “after” are numbers of acts.")
    return Search(
        query.get("who", "").strip()[:255],
        query.get("what", "").strip()[:255],
        overview.since(query.get("since", "").strip()),
        int(numbers["before"]),
        int(numbers["after"]),
        PER_PAGE,
    )


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return *rows* of costs as CSV, in which nothing is a formula."""
    out = io.StringIO()
    table = csv.DictWriter(out, ("who", *COLUMNS))
    table.writeheader()
    for row in rows:
        who = f"'{row['who']}" if row["who"].startswith(FORMULA) else row["who"]
        table.writerow({**row, "who": who})
    return out.getvalue()


def _asked(request: Request) -> tuple[str, str]:
    query = request.query_params
    return query.get("month", ""), query.get("by", "person")


def _server_name(text: str) -> str:
    owner, _, name = text.partition("/")
    return text if owner.isprintable() and (not name or is_slug(name)) else ""
