"""Doors: no address of the service answers but to whom the table of `access` opens it.

What an address names is looked up by its handler, which asks `door_of` whose it must be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atoll.access import DOORS, HUB, SEEN_AS, By, Door, Role, roles
from atoll.errors import Refused, Unreachable
from atoll.web.acts import note_act
from atoll.web.guard import is_navigation
from atoll.web.sign_in import Session, SignInNeeded, session_of

ASK = "Ask the operator of this hub."
Handler = Callable[[Request], Awaitable[Response]]


def door(method: str, path: str, handler: Handler, *, below: str) -> Route:
    """Return the route to *handler* at *path*, a row of the table, *below* the hub's path or ours.

    The row is its name. Raises `KeyError` for an address that is not in the table.
    """
    row = f"{method} {path}"
    where, behind = below + path.removeprefix("/"), _behind(row, DOORS[row], handler)
    return Route(where, behind, methods=[method], name=row)


def door_of(request: Request) -> Door:
    """Return the door by which *request* came."""
    found: Door = request.state.door
    return found


async def _look_as(request: Request, session: Session, row: str) -> None:
    """Let an operator who sees the pages as somebody else look, and do nothing."""
    if row not in SEEN_AS:
        raise Refused(
            f"You see Atoll as {session.name} does, and can only look.",
            hint="End that first, at the top of this page.",
        )
    if is_navigation(request.headers) and row.startswith("GET"):
        page = {"page": row.removeprefix("GET ") or "launch"}
        await note_act(
            request, session.seer, "look as", "person", session.name, must=True, detail=page
        )


def _behind(row: str, known: Door, handler: Handler) -> Handler:
    @wraps(handler)
    async def come(request: Request) -> Response:
        request.state.door = known
        if known.by in {By.SESSION, By.FORM}:
            session = await session_of(request)
            if session.seer:
                await _look_as(request, session, row)
            # Whom the service lets in without a sign-in is a visitor before they have a name, too.
            who = roles(session.person, HUB) if session.person else {Role.VISITOR}
            if known.to.isdisjoint(who):
                if session.person and not session.person.visitor:
                    raise Refused("Only an operator may come here.", hint=ASK)
                raise SignInNeeded
            if is_navigation(request.headers):  # a page, which shows them
                with contextlib.suppress(Unreachable):  # and is there without them, too
                    request.state.told = await request.app.state.board.of(session.person)
        return await handler(request)

    return come
