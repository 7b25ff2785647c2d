"""Copies: the page at which visitors get a copy of somebody's server, and what its button does.

And the copies that run, which the original's owner may end.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from atoll.launching import LaunchRequest
from atoll.launching.copies import CopyLink, taken_back
from atoll.launching.existing import pinned
from atoll.launching.wishes import usual_limits
from atoll.people import Person
from atoll.servers import Network, Running, ServerPlan, Stop, Why
from atoll.web.acts import note_act
from atoll.web.guard import origin_of
from atoll.web.launches import begin, to_progress
from atoll.web.pages import page, rules_of
from atoll.web.recognition import describe
from atoll.web.sign_in import posted, session_of
from atoll.web.site import Site, site_of


def copy_address(request: Request, key: str) -> str:
    """Return the whole address of the page of the copies that *key* opens."""
    return f"{origin_of(request)}{site_of(request).place.prefix}copies/{key}"


async def show_copy(request: Request) -> Response:
    """GET copies/KEY: whose server there is a copy of, and what becomes of the copy."""
    session = await session_of(request)
    link, plan = await _found(request)
    rules = await rules_of(request, session)
    what, where = describe(plan.ref.repo)
    reach = min(plan.network, Network(rules.network), key=tuple(Network).index)
    return page(
        request,
        session,
        "copy.html",
        link=link,
        what=what,
        where=where,
        read=[one.name for one in plan.mounts if one.volume in link.volumes],
        network=reach,
        limits=usual_limits(rules),
        mine=session.name == link.owner,
    )


async def take_copy(request: Request) -> Response:
    """POST copies/KEY: begin a copy, and show its progress."""
    session, _ = await posted(request)
    link, plan = await _found(request)
    rules = await rules_of(request, session)
    theirs = plan.environment_ref
    wanted = LaunchRequest(
        person=session.person or Person(""),
        repo=pinned(plan.ref),
        environment=pinned(theirs) if theirs else None,
        opening=plan.opening,
        temporary=True,
        limits=usual_limits(rules),
        network=Network(rules.network),
        copied=link.copied,
    )
    return to_progress(request, session, await begin(request, session, wanted))


async def copies_up(site: Site, owner: str, server: str) -> list[Running]:
    """Return the copies of *owner*'s *server* that run, by whatever link they came."""
    known = await site.atoll.store.plans.copies(owner, server)
    running = await site.atoll.runner.running() if known else ()
    return [one for one in running if (one.owner, one.name) in known]


async def end_copies(request: Request, person: Person, owner: str, server: str) -> None:
    """Stop the copies of *owner*'s *server* that run, as *person* says, who is its owner.

    No other comes up meanwhile if the link was dropped before. Raises `Unreachable` if the hub does
    not answer about any of them, once all have been tried.
    """
    site = site_of(request)

    async def end(copy: Running) -> None:
        await site.hub.stop(copy.owner, copy.name)
        what, original = f"{copy.owner}/{copy.name}", {"copy of": f"{owner}/{server}"}
        await note_act(request, person.name, "stop", "server", what, detail=original)
        if not Person(copy.owner).visitor:  # who has a page that says it, for longer than that
            stop = Stop(copy.owner, copy.name, datetime.now(UTC), Why.TAKEN_BACK)
            await site.atoll.store.stops.put(stop)

    ended = [end(copy) for copy in await copies_up(site, owner, server)]
    for failed in await asyncio.gather(*ended, return_exceptions=True):
        if isinstance(failed, BaseException):
            raise failed


async def _found(request: Request) -> tuple[CopyLink, ServerPlan]:
    """Return the link that the address names, and what it leads to, or raise `NotFound`."""
    store = site_of(request).atoll.store
    link = await store.copies.get(request.path_params["key"])
    if link is None:
        raise taken_back()
    plan, _ = (await store.plans.latest(link.owner)).get(link.server, (None, None))
    if plan is None or plan.content.temporary:
        raise taken_back()
    return link, plan
