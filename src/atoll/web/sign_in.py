"""Sign-in: who is asking, vouched for by JupyterHub (OAuth 2, authorisation code with PKCE).

The session is a signed cookie below our own path: people's servers share the host name and must
not get it. Its token is good only for asking the hub who the person is.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from itsdangerous import BadSignature
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from atoll.errors import Refused, TooLarge
from atoll.people import Person
from atoll.web.arriving import remember, whence
from atoll.web.disguise import person_seen_as
from atoll.web.guard import check_post, inside, origin_of
from atoll.web.hub_api import Bearer
from atoll.web.recent import QUICK
from atoll.web.site import Site, site_of

COOKIE = "atoll-session"
HUB_SESSION = "jupyterhub-session-id"  # JupyterHub's; a new one means somebody else signed in
LIFETIME = 14 * 86400  # seconds, as JupyterHub's own cookies
PATIENCE = 900  # seconds in which a person must have signed in
FRESH = 60.0  # seconds for which the hub's word about a person is believed
GOOD = 300.0  # and for which it will do while the hub takes long to answer, as JupyterHub's library
AGEING = 30.0  # seconds after which it is asked for again, while a page need not wait for it
LARGEST_FORM = 64 * 1024  # bytes
MOST = 10_000  # people remembered at once


class SignInNeeded(Exception):
    """Nobody we know; the answer is a redirect to the hub's sign-in page."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a browser's cookie says.

    ``form_token`` must come back with every form. ``visitor`` is the name that somebody who has
    not signed in launches under, once they have. ``seer`` is the operator who sees the pages as
    ``person`` does.
    """

    form_token: str
    token: str = ""
    hub_session: str = ""
    visitor: str = ""
    person: Person | None = None
    seer: str = ""

    @property
    def name(self) -> str:
        """What to call whoever this is."""
        return self.person.name if self.person else ""


@dataclass(slots=True)
class Faces:
    """Remembers for a moment whom the hub has vouched for, by token."""

    known: dict[str, tuple[float, Person]] = field(default_factory=dict)
    asking: dict[str, asyncio.Task[Person | None]] = field(default_factory=dict)

    async def vouched(self, site: Site, token: str) -> Person | None:
        """Return whose *token* is by the hub's word of the last `FRESH` seconds, if anybody's.

        Who comes again in time need not wait: the hub is asked anew meanwhile. Later, its word of
        the last `GOOD` seconds will do if it does not answer soon.
        """
        at, known = self.known.get(token, (-GOOD, None))
        age = time.monotonic() - at
        if age < AGEING:
            return known
        asking = self.asking.get(token)
        if asking is None:
            asking = self.asking[token] = asyncio.create_task(self._ask(site, token))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        if FRESH <= age < GOOD:
            await asyncio.wait({asking}, timeout=QUICK)
        if age < FRESH or (age < GOOD and not asking.done()):
            return known
        return await asyncio.shield(asking)

    async def _ask(self, site: Site, token: str) -> Person | None:
        try:
            found = await person_of(site, token)
        finally:
            if wanted := self.asking.get(token) is asyncio.current_task():
                del self.asking[token]
        if wanted and found:
            self.remember(token, found[0])
        elif wanted:
            self.known.pop(token, None)
        return found[0] if found else None

    def remember(self, token: str, person: Person) -> None:
        """Believe for `FRESH` seconds that *token* is *person*'s."""
        if len(self.known) >= MOST:
            self.known.clear()
        self.known[token] = (time.monotonic(), person)

    def forget(self, token: str) -> None:
        """Ask the hub the next time; what it is saying now is of before."""
        self.known.pop(token, None)
        self.asking.pop(token, None)


async def person_of(site: Site, token: str) -> tuple[Person, Bearer] | None:
    """Return whose *token* is, if it may use this service; `None` otherwise."""
    bearer = await site.hub.bearer(token)
    service = site.place.client_id.removeprefix("service-")
    if bearer is None or bearer.kind != "user":
        return None
    if not bearer.may("access:services", f"service={service}"):
        return None
    return bearer.person, bearer


async def session_of(request: Request) -> Session:
    """Return who asks for this page, the same as often as it is asked, or raise `SignInNeeded`.

    Where anonymous access is on, somebody unknown gets a session without a person.
    """
    known: Session | None = getattr(request.state, "session", None)
    if known is None:
        known = request.state.session = await _found(request)
    return known


async def _found(request: Request) -> Session:
    site = site_of(request)
    session = _read(request)
    if session and session.token:
        found = await _vouched(request, session)
        if found and (seen := await person_seen_as(request, found, session.form_token)):
            # Another token: a form of theirs, sent when this is over, must not be the operator's.
            token = f"seen-{session.form_token}"
            return replace(session, form_token=token, person=seen, seer=found.name)
        if found:
            return replace(session, person=found)
        session = None
    if not site.atoll.settings.access.anonymous:
        raise SignInNeeded
    session = session or Session(secrets.token_urlsafe(24))
    if session.visitor:
        return replace(session, person=Person(session.visitor))
    return session


async def posted(request: Request) -> tuple[Session, dict[str, Any]]:
    """Return who sent a form, and its fields, once it is certain that a page of ours sent it."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LARGEST_FORM:
        raise TooLarge("This is more than a form can hold.")
    session = await session_of(request)
    async with request.form(max_files=0, max_fields=40) as form:
        fields = dict(form)
    check_post(request, str(fields.get("form_token", "")), session.form_token)
    return session, fields


def keep(request: Request, response: Response, session: Session) -> Response:
    """Put *session* into *response*'s cookie."""
    site = site_of(request)
    value = site.place.signer("session").dumps(
        [session.form_token, session.token, session.hub_session, session.visitor]
    )
    response.set_cookie(
        COOKIE,
        value,
        max_age=LIFETIME,
        path=site.place.prefix,
        httponly=True,
        samesite="lax",
        secure=origin_of(request).startswith("https:"),
    )
    return response


async def begin(request: Request) -> Response:
    """GET sign-in: send the person to JupyterHub, which sends them back to `end`."""
    place = site_of(request).place
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    target = inside(place.prefix, request.query_params.get("next", ""))
    query = urlencode(
        {
            "client_id": place.client_id,
            "redirect_uri": f"{place.prefix}oauth_callback",
            "response_type": "code",
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
    )
    answer = RedirectResponse(f"{place.base}hub/api/oauth2/authorize?{query}", 302)
    answer.set_cookie(
        _state_cookie(state),
        place.signer("state").dumps([state, verifier, target, whence(request)]),
        max_age=PATIENCE,
        path=place.prefix,
        httponly=True,
        samesite="lax",
        secure=origin_of(request).startswith("https:"),
    )
    return answer


async def end(request: Request) -> Response:
    """GET oauth_callback: turn the code into a session, if it is this browser that began."""
    site = site_of(request)
    place, query = site.place, request.query_params
    state = query.get("state", "")
    try:
        kept = request.cookies.get(_state_cookie(state), "")
        begun, verifier, target, came = place.signer("state").loads(kept, max_age=PATIENCE)
    except (BadSignature, ValueError):
        begun = verifier = target = came = ""
    if not begun or not secrets.compare_digest(begun.encode(), state.encode()):
        raise Refused("This sign-in did not begin in this browser.", hint="Sign in again.")
    if "code" not in query:
        raise Refused("JupyterHub did not let you in.", hint="Sign in again.")
    token = await site.hub.exchange(
        {
            "client_id": place.client_id,
            "client_secret": place.secret,
            "grant_type": "authorization_code",
            "code": query["code"],
            "redirect_uri": f"{place.prefix}oauth_callback",
            "code_verifier": verifier,
        }
    )
    if await person_of(site, token) is None:
        raise Refused("You may not use this service.", hint="Ask the operator for access.")
    session = Session(secrets.token_urlsafe(24), token, _hub_session(request))
    answer = keep(request, RedirectResponse(inside(place.prefix, target), 302), session)
    answer.delete_cookie(_state_cookie(state), path=place.prefix)
    remember(request, answer, target, came)
    return answer


async def sign_out(request: Request) -> Response:
    """POST sign-out: forget the session here, then at JupyterHub."""
    site = site_of(request)
    session, _ = await posted(request)
    request.app.state.faces.forget(session.token)
    answer = RedirectResponse(f"{site.place.base}hub/logout", 303)
    answer.delete_cookie(COOKIE, path=site.place.prefix)
    return answer


async def _vouched(request: Request, session: Session) -> Person | None:
    if session.hub_session != _hub_session(request):
        return None
    faces: Faces = request.app.state.faces
    return await faces.vouched(site_of(request), session.token)


def _read(request: Request) -> Session | None:
    value = request.cookies.get(COOKIE, "")
    try:
        form_token, token, hub_session, visitor = (
            site_of(request).place.signer("session").loads(value, max_age=LIFETIME)
        )
    except (BadSignature, ValueError, TypeError):
        return None
    return Session(form_token, token, hub_session, visitor)


def _hub_session(request: Request) -> str:
    """Return a mark of JupyterHub's session in this browser; it changes at every sign-in there."""
    value = request.cookies.get(HUB_SESSION, "")
    return hashlib.sha256(value.encode()).hexdigest()[:16] if value else ""


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _state_cookie(state: str) -> str:
    return f"atoll-state-{hashlib.sha256(state.encode()).hexdigest()[:8]}"
