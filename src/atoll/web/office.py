"""Office: who comes to an operator's pages and API, and whether they may."""

from __future__ import annotations

from starlette.requests import Request

from atoll.access import Office, check_office
from atoll.errors import Refused
from atoll.people import Person
from atoll.web.sign_in import Session, session_of
from atoll.web.site import Site, site_of
from atoll.web.volumes import token_of

POWERFUL = "admin:servers"  # a scope that an operator's token must have to do what operators do


async def operator(request: Request, office: Office) -> tuple[Session, Site]:
    """Return the session of whoever asks for a page, and the site; raises `Refused`."""
    session = await session_of(request)
    check_office(office, session.person)
    return session, site_of(request)


async def by_token(request: Request, office: Office) -> Person:
    """Return whose token a program sent; raises `Refused`, also for a token that may little."""
    person, bearer = await token_of(request)
    check_office(office, person)
    if not bearer.may(POWERFUL):
        raise Refused(
            "This token may not do what its operator may.",
            hint=f"Make one with the scope {POWERFUL}, or with none named.",
        )
    return person
