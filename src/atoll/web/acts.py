"""Acts: what was done by a page or a program is written down, with the address it came from."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from atoll.acts import Act, Way, note
from atoll.web.guard import address
from atoll.web.site import site_of


def sent_from(request: Request) -> str:
    """Return the address of whoever sent *request*."""
    proxies = site_of(request).atoll.settings.access.proxies
    return address(request.headers, request.client, proxies)


async def note_act(
    request: Request,
    who: str,
    deed: str,
    kind: str,
    what: str,
    *,
    must: bool = False,
    detail: Mapping[str, str] | None = None,
) -> None:
    """Write down that *who* did *deed* by *request*; see `atoll.acts.note`."""
    way = Way.PROGRAM if "authorization" in request.headers else Way.PAGE
    act = Act(
        who,
        deed,
        kind,
        what,
        server=what if kind == "server" else "",
        way=way,
        address=sent_from(request),
        detail=detail or {},
    )
    await note(site_of(request).atoll.store.acts, act, must=must)
