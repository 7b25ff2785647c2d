"""Elsewhere: the page of a server's other places: the same on other hubs, and at home."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from atoll.errors import NotFound
from atoll.launching.wishes import Wishes
from atoll.sources import Target
from atoll.web.pages import home_of, page, rules_of
from atoll.web.servers import find, name_of, once_more
from atoll.web.sign_in import session_of
from atoll.web.site import site_of
from atoll.web.ways import NOWHERE, elsewhere


async def show_elsewhere(request: Request) -> Response:
    """GET servers/NAME/elsewhere: the same server on other hubs, and at home."""
    session = await session_of(request)
    site, name = site_of(request), name_of(request)
    if session.person is None:
        raise NotFound("You have no servers yet.", hint="Launch a repository.")
    _, plan, _ = await find(site, session.person, name)
    found = NOWHERE
    if plan:
        same = once_more(plan, name, moving=False)
        wishes = Wishes.of(same, await rules_of(request, session))
        wishes = replace(wishes, volumes=", ".join(one.name for one in plan.mounts))
        target = Target(same.repo, same.opening, same.environment)
        hubs = site.atoll.settings.pages.hubs
        found = elsewhere(target, wishes, home_of(request), hubs)
    return page(request, session, "elsewhere.html", name=name, elsewhere=found)
