"""Limits: what a person or a group may have, seen and set by an operator while the hub runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.access import Kind, Office, Party, check_office, party
from atoll.allowances import rulings_from, shown
from atoll.settings import GroupSettings
from atoll.web import overview
from atoll.web.acts import note_act
from atoll.web.office import by_token, operator
from atoll.web.pages import page
from atoll.web.sign_in import posted
from atoll.web.site import site_of
from atoll.web.volumes import object_of, text_of

MEANT = {name: known.description for name, known in GroupSettings.model_fields.items()}


async def show_limits(request: Request) -> Response:
    """GET admin/limits: what is set for whom; with ``of``, what they may have and why."""
    session, site = await operator(request, Office.LOOK)
    of = request.query_params.get("of", "").strip()
    whom = party(of) if of else None
    kept = await overview.limits(site.atoll)
    return page(
        request,
        session,
        "admin_limits.html",
        whom=whom,
        rows=await overview.allowed(site.atoll, site.hub, whom) if whom else [],
        mine={row["name"]: row["value"] for row in kept if row["whom"] == of},
        kept=kept,
        meant=MEANT,
        done="done" in request.query_params,
    )


async def set_limits(request: Request) -> Response:
    """POST admin/limits: set what ``whom`` may have; an empty field takes it back."""
    session, sent = await posted(request)
    check_office(Office.LIMIT, session.person)
    whom = await _set(request, session.name, sent)
    told = urlencode({"of": str(whom), "done": "yes"})
    return RedirectResponse(f"{site_of(request).place.prefix}admin/limits?{told}", 303)


async def set_limits_for_programs(request: Request) -> Response:
    """POST api/admin/limits: the same, with a token and a JSON object; answers what is set."""
    person = await by_token(request, Office.LIMIT)
    whom = await _set(request, person.name, await object_of(request))
    rows = await overview.limits(site_of(request).atoll)
    return JSONResponse([row for row in rows if row["whom"] == str(whom)])


async def _set(request: Request, who: str, sent: Mapping[str, Any]) -> Party:
    whom = party(text_of(sent, "whom"))
    new = rulings_from(whom, sent, who)
    detail = {one.name: "" if one.value is None else shown(one.name, one.value) for one in new}
    kind = "group" if whom.kind is Kind.GROUP else "person"
    if new:
        await note_act(request, who, "set limits", kind, str(whom), must=True, detail=detail)
        await site_of(request).atoll.store.rulings.put(new)
    return whom
