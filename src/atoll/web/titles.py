"""Titles: what people call their servers, changed on "My servers" and by programs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from atoll.errors import NotFound
from atoll.names import title_of
from atoll.people import Person
from atoll.web.acts import note_act
from atoll.web.servers import find, name_of
from atoll.web.sign_in import posted
from atoll.web.site import site_of
from atoll.web.volumes import Fields, by_token, object_of, text_of


async def retitle(request: Request) -> Response:
    """POST servers/NAME/title: call it otherwise, running or not; by its name if by nothing."""
    session, sent = await posted(request)
    if session.person is None:
        raise NotFound("You have no servers yet.", hint="Launch a repository.")
    name, _ = await _retitle(request, session.person, sent)
    return RedirectResponse(f"{site_of(request).place.prefix}servers#{name}", 303)


async def retitle_for_programs(request: Request) -> Response:
    """POST api/servers/NAME/title: the same, with a token and a JSON object."""
    person = await by_token(request)
    name, title = await _retitle(request, person, await object_of(request))
    return JSONResponse({"name": name, "title": title})


async def _retitle(request: Request, person: Person, sent: Fields) -> tuple[str, str]:
    site, name = site_of(request), name_of(request)
    title = title_of(text_of(sent, "title"))
    await find(site, person, name)
    await site.atoll.store.plans.retitle(person.name, name, title)
    what = f"{person.name}/{name}"
    await note_act(request, person.name, "retitle", "server", what, detail={"title": title})
    return name, title
