"""Limits: what a person or a group may have, seen and set by an operator while the hub runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.access import Party, party
from atoll.allowances import NAMES
from atoll.errors import Changed
from atoll.settings.sections import GroupSettings
from atoll.web import overview
from atoll.web.office import by_form, by_token
from atoll.web.pages import page
from atoll.web.sign_in import session_of
from atoll.web.site import site_of
from atoll.web.volumes import object_of, text_of

MEANT = {name: known.description for name, known in GroupSettings.model_fields.items()}


async def show_limits(request: Request) -> Response:
    """GET admin/limits: what is set for whom; with ``of``, what they may have and why."""
    of = request.query_params.get("of", "").strip()
    return await _limits_page(request, party(of) if of else None)


async def set_limits(request: Request) -> Response:
    """POST admin/limits: set what ``whom`` may have; an empty field takes it back.

    What another operator has set meanwhile is shown instead, beside what was to be set.
    """
    boss, sent = await by_form(request)
    whom = party(text_of(sent, "whom"))
    try:
        await boss.limit(whom, sent)
    except Changed as error:
        return await _limits_page(request, whom, error=error, typed=sent)
    told = urlencode({"of": str(whom), "done": "yes"})
    return RedirectResponse(f"{site_of(request).place.prefix}admin/limits?{told}", 303)


async def set_limits_for_programs(request: Request) -> Response:
    """POST api/admin/limits: the same, with a token and a JSON object; answers what is set."""
    boss, sent = await by_token(request), await object_of(request)
    return JSONResponse(await boss.limit(party(text_of(sent, "whom")), sent))


async def _limits_page(
    request: Request,
    whom: Party | None,
    *,
    error: Changed | None = None,
    typed: Mapping[str, Any] | None = None,
) -> Response:
    session, site = await session_of(request), site_of(request)
    kept = await overview.limits(site.atoll)
    mine = {row["name"]: row["value"] for row in kept if row["whom"] == str(whom)}
    sent = typed or {}
    own = {one: sent[one] for one in NAMES if one in sent and sent[one] != sent.get(f"was_{one}")}
    return page(
        request,
        session,
        "admin_limits.html",
        status=error.status if error else 200,
        whom=whom,
        rows=await overview.allowed(site.atoll, site.hub, whom) if whom else [],
        mine=mine,
        fields={**mine, **own},
        kept=kept,
        meant=MEANT,
        error=error,
        done="done" in request.query_params,
    )
