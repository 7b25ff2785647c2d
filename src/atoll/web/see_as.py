"""See as: an operator looks at somebody's pages as they see them, and does nothing there.

That it begins, and each page, is written down before it is shown, and whose pages they are is told.
Programs and commands get the same as rows.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.people import Person
from atoll.volumes.facts import listed
from atoll.web import overview
from atoll.web.acts import note_act
from atoll.web.disguise import put_on, take_off
from atoll.web.messages import board_of
from atoll.web.office import by_form, by_token
from atoll.web.people import shared_told
from atoll.web.programs import servers_told
from atoll.web.sign_in import posted, session_of
from atoll.web.site import Site, site_of
from atoll.web.volumes import object_of, text_of


async def begin(request: Request) -> Response:
    """POST admin/see-as: see Atoll's pages as ``person`` does, for some minutes."""
    session, (boss, sent) = await session_of(request), await by_form(request)
    person = await boss.see_as(text_of(sent, "person"))
    board_of(request).changed()
    site = site_of(request)
    answer = RedirectResponse(f"{site.place.prefix}servers", 303)
    put_on(request, answer, person.name, session.name, session.form_token)
    return answer


async def see_for_programs(request: Request) -> Response:
    """POST api/admin/see-as: what ``person`` sees, with a token and a JSON object."""
    boss, sent = await by_token(request), await object_of(request)
    person = await boss.see_as(text_of(sent, "person"))
    board_of(request).changed()
    return JSONResponse(await seen_by(site_of(request), person))


async def seen_by(site: Site, person: Person) -> overview.Row:
    """Return what *person* sees: their servers, what is shared with them, volumes, limits.

    Each is as programs of theirs are told it. Raises `Unreachable`.
    """
    return {
        "person": person.name,
        "servers": await servers_told(site, person),
        "shared": await shared_told(site, person),
        "volumes": await listed(site.atoll.keeper, person),
        "limits": await overview.allowed_to(site.atoll, person),
    }


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
