"""See as: an operator looks at somebody's pages as they see them, and does nothing there.

That it begins, and each page, is written down before it is shown, and whose pages they are is told.
"""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from atoll.access import Office, check_office
from atoll.acts import ATOLL
from atoll.errors import Refused
from atoll.messages import REMEMBERED, Level, message_from
from atoll.web.acts import note_act
from atoll.web.disguise import put_on, take_off, to_be_seen_as
from atoll.web.messages import board_of
from atoll.web.sign_in import posted
from atoll.web.site import site_of
from atoll.web.volumes import text_of


async def begin(request: Request) -> Response:
    """POST admin/see-as: see Atoll's pages as ``person`` does, for some minutes."""
    session, sent = await posted(request)
    check_office(Office.SEE_AS, session.person)
    site = site_of(request)
    if not site.atoll.settings.operator.see_as:
        hint = "[operator] see_as = true in atoll.toml does."
        raise Refused("Nobody has switched on that operators see as others do.", hint=hint)
    person = await to_be_seen_as(request, text_of(sent, "person"))
    await note_act(request, session.name, "see as", "person", person.name, must=True)
    now = datetime.now(UTC)
    told = message_from(
        person.name,
        f"{session.name}, an operator of this hub, looked at your pages of Atoll as you see them, "
        f"on {now.day} {now:%B %Y}, {now:%H:%M} UTC. Nothing can be changed in that way.",
        ATOLL,  # nobody's to take back, who looked least of all
        level=Level.NOTICE.value,
        until=str(REMEMBERED.total_seconds()),
    )
    await site.atoll.store.messages.add(told)
    board_of(request).changed()
    answer = RedirectResponse(f"{site.place.prefix}servers", 303)
    put_on(request, answer, person.name, session.name, session.form_token)
    return answer


async def end(request: Request) -> Response:
    """POST see-as/end: see them as oneself again."""
    session, _ = await posted(request)
    site = site_of(request)
    if session.seer:
        await note_act(request, session.seer, "see as, ended", "person", session.name)
    where = f"{site.place.prefix}admin" if session.seer else site.place.prefix
    answer = RedirectResponse(where, 303)
    take_off(request, answer)
    return answer
