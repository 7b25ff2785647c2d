"""Office: who comes to an operator's pages and API, as somebody at work there.

Whether they may is the table's to say (`atoll.web.doors`); of a program's token it is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from atoll.access import HUB, roles
from atoll.errors import Refused
from atoll.web.acts import note_act
from atoll.web.deeds import Operator
from atoll.web.doors import ASK, door_of
from atoll.web.sign_in import posted
from atoll.web.site import site_of
from atoll.web.volumes import token_of

POWERFUL = "admin:servers"  # a scope that an operator's token must have to do what operators do


async def by_form(request: Request) -> tuple[Operator, Mapping[str, Any]]:
    """Return who sent a form of an operator's page, and its fields; raises `Refused`."""
    session, sent = await posted(request)
    return _at_work(request, session.name), sent


async def by_token(request: Request) -> Operator:
    """Return whose token a program sent; raises `Refused`, also for a token that may little."""
    person, bearer = await token_of(request)
    if door_of(request).to.isdisjoint(roles(person, HUB)):
        raise Refused("Only an operator may come here.", hint=ASK)
    if not bearer.may(POWERFUL):
        raise Refused(
            "This token may not do what its operator may.",
            hint=f"Make one with the scope {POWERFUL}, or with none named.",
        )
    return _at_work(request, person.name)


def _at_work(request: Request, name: str) -> Operator:
    site = site_of(request)

    async def note(
        deed: str, kind: str, what: str, detail: Mapping[str, str] | None = None
    ) -> None:
        await note_act(request, name, deed, kind, what, must=True, detail=detail)

    return Operator(site.atoll, site.hub, name, note)
