"""Arriving: from where somebody came to a link, as far as their browser tells.

It is shown, and decides nothing: pages of people's servers share our host name, and a page can
give itself any address there.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from itsdangerous import BadSignature
from starlette.requests import Request
from starlette.responses import Response

from atoll.web.guard import HOST, asked_for, origin_of
from atoll.web.site import site_of

COOKIE = "atoll-came"
SOON = 300  # seconds in which somebody who has signed in arrives


class Whence(StrEnum):
    """Where a link was; any other text is the host of a page elsewhere."""

    HERE = "here"
    HIDDEN = "hidden"
    NOWHERE = "nowhere"


def whence(request: Request) -> str:
    """Return where the link was that *request* follows: a `Whence`, or a host's name."""
    if kept := _kept(request):
        return kept
    return whence_of(request.headers, urlsplit(origin_of(request)).netloc)


def whence_of(headers: Mapping[str, str], mine: str) -> str:
    """Return the same of a request with *headers* to the host *mine*."""
    site = headers.get("sec-fetch-site", "")
    try:
        host = urlsplit(headers.get("referer", "")).netloc
    except ValueError:  # of “http://[”
        host = ""
    if host and HOST.fullmatch(host):
        return Whence.HERE if host == mine else host
    if site in {"cross-site", "same-site"}:
        return Whence.HIDDEN
    return Whence.HERE if site == "same-origin" else Whence.NOWHERE


def remember(request: Request, response: Response, target: str, where: str) -> None:
    """Have the page at the path *target* know *where* somebody came from who had to sign in first.

    Without this, the sign-in page would be what they came from.
    """
    place = site_of(request).place
    response.set_cookie(
        COOKIE,
        place.signer("came").dumps([target, where]),
        max_age=SOON,
        path=place.prefix,
        httponly=True,
        samesite="lax",
        secure=origin_of(request).startswith("https:"),
    )


def _kept(request: Request) -> str:
    try:
        value = request.cookies.get(COOKIE, "")
        target, where = site_of(request).place.signer("came").loads(value, max_age=SOON)
    except (BadSignature, ValueError, TypeError):
        return ""
    return str(where) if target == asked_for(request) else ""
