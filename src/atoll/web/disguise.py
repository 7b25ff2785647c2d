"""Disguise: that an operator sees the pages as somebody else sees them, for some minutes.

It is a cookie beside the session's, signed, good for that session alone, and believed no longer
than the settings say. Whom it names is looked up at each page: whoever has become an operator
meanwhile, or is gone, is nobody to be seen as.
"""

from __future__ import annotations

from itsdangerous import BadSignature
from starlette.requests import Request
from starlette.responses import Response

from atoll.errors import NotFound, Refused
from atoll.people import Person
from atoll.web.deeds import to_be_seen_as
from atoll.web.guard import origin_of
from atoll.web.site import site_of

COOKIE = "atoll-seen-as"
PURPOSE = "seen-as"


async def person_seen_as(request: Request, operator: Person, session_mark: str) -> Person | None:
    """Return whom *operator*, in the session of that mark, sees the pages as, if as anybody."""
    site = site_of(request)
    rules, value = site.atoll.settings.operator, request.cookies.get(COOKIE, "")
    if not (value and rules.see_as and operator.admin):
        return None
    try:
        signer = site.place.signer(PURPOSE)
        name, who, mark = signer.loads(value, max_age=int(rules.see_as_for))
    except (BadSignature, ValueError):
        return None
    if (who, mark) != (operator.name, session_mark):
        return None
    try:
        return await to_be_seen_as(site.hub, name)
    except (NotFound, Refused):
        return None


def put_on(request: Request, response: Response, name: str, who: str, session_mark: str) -> None:
    """Have the browser that gets *response* see the pages as *name* does, for operator *who*."""
    site = site_of(request)
    response.set_cookie(
        COOKIE,
        site.place.signer(PURPOSE).dumps([name, who, session_mark]),
        max_age=int(site.atoll.settings.operator.see_as_for),
        path=site.place.prefix,
        httponly=True,
        samesite="strict",
        secure=origin_of(request).startswith("https:"),
    )


def take_off(request: Request, response: Response) -> None:
    """Have it see them as whoever it is."""
    response.delete_cookie(COOKIE, path=site_of(request).place.prefix)
