"""Messages: written by an operator, shown at the top of people's pages until they end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.errors import BadRequest, NotFound
from atoll.messages import Level, Message, Messages
from atoll.people import Person
from atoll.web import overview
from atoll.web.deeds import Operator
from atoll.web.guard import inside
from atoll.web.office import by_form, by_token
from atoll.web.pages import page
from atoll.web.sign_in import posted, session_of
from atoll.web.site import site_of
from atoll.web.volumes import Fields, object_of, text_of

FRESH = 5.0  # seconds for which what is on the board is believed; commands write past us


@dataclass(slots=True)
class Board:
    """The messages of now. Every page asks for them, so that the store is asked now and then."""

    messages: Messages
    _live: Sequence[Message] = ()
    _at: float = 0.0

    async def of(self, person: Person | None) -> list[Message]:
        """Return what *person* is to see, and has not put away, the newest first."""
        now = time.monotonic()
        if not self._at or now - self._at > FRESH:
            self._at = now  # before we ask: what is changed while we do is asked for again
            self._live = await self.messages.live(datetime.now(UTC))
        today = datetime.now(UTC)
        theirs = [one for one in self._live if one.goes_to(person)]
        theirs = [one for one in theirs if one.until is None or one.until > today]
        if not theirs or person is None or person.visitor:
            return theirs
        away = await self.messages.dismissed(person.name)
        return [one for one in theirs if one.number not in away]

    def changed(self) -> None:
        """Ask the store the next time."""
        self._at = 0.0


async def show_messages(request: Request) -> Response:
    """GET admin/messages: what is told to whom, and a form."""
    session, site = await session_of(request), site_of(request)
    rows = await overview.messages(site.atoll)
    levels = {Level.NOTICE: "Something to know", Level.WARNING: "Something not to miss"}
    done = {"written": "It is shown now.", "ended": "It is shown no more."}.get(
        request.query_params.get("done", ""), ""
    )
    return page(request, session, "admin_messages.html", rows=rows, levels=levels, done=done)


async def write(request: Request) -> Response:
    """POST admin/messages: tell ``whom`` the ``text``."""
    await _write(request, *await by_form(request))
    return _back(request, "written")


async def end(request: Request) -> Response:
    """POST admin/messages/end: take the message ``number`` back, which was written ``at``."""
    await _end(request, *await by_form(request))
    return _back(request, "ended")


async def write_for_programs(request: Request) -> Response:
    """POST api/admin/messages: tell ``whom`` the ``text``, with a token and a JSON object."""
    boss = await by_token(request)
    return JSONResponse(await _write(request, boss, await object_of(request)))


async def end_for_programs(request: Request) -> Response:
    """POST api/admin/messages/end: take the message ``number`` back, with a token."""
    boss = await by_token(request)
    return JSONResponse(await _end(request, boss, await object_of(request)))


async def dismiss(request: Request) -> Response:
    """POST messages/dismiss: show whoever sends it the message ``number`` no more."""
    session, sent = await posted(request)
    site, number = site_of(request), _number(sent)
    messages = site.atoll.store.messages
    live = await messages.live(datetime.now(UTC))
    if not any(one.number == number and one.goes_to(session.person) for one in live):
        raise NotFound("There is no such message for you.")
    await messages.dismiss(number, session.name)
    here = inside(site.place.prefix, text_of(sent, "next"))
    return RedirectResponse(here, 303)


def board_of(request: Request) -> Board:
    """Return the board of the service that *request* came to."""
    board: Board = request.app.state.board
    return board


async def _write(request: Request, boss: Operator, sent: Fields) -> overview.Row:
    whom, text, level, until = (text_of(sent, one) for one in ("whom", "text", "level", "until"))
    row = await boss.tell(whom, text, level=level, until=until)
    board_of(request).changed()
    return row


async def _end(request: Request, boss: Operator, sent: Fields) -> overview.Row:
    row = await boss.take_back(_number(sent), text_of(sent, "at"))
    board_of(request).changed()
    return row


def _number(sent: Fields) -> int:
    text = str(sent.get("number", ""))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 - of a column
        raise BadRequest("“number” is the number of a message.")
    return int(text)


def _back(request: Request, done: str) -> Response:
    where = f"{site_of(request).place.prefix}admin/messages?done={done}"
    return RedirectResponse(where, 303)
