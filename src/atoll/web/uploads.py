"""Uploads: a file that a person sends from the Launch page becomes something to launch."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from atoll.errors import AtollError, Busy, Cancelled, TooLarge
from atoll.web.guard import check_post
from atoll.web.sign_in import session_of
from atoll.web.site import site_of

TOKEN = "X-Form-Token"  # noqa: S105 - a header's name


async def receive(request: Request) -> Response:
    """PUT uploads/NAME: keep the body; the answer's ``reference`` goes into the form's one field.

    A file comes as it is, so that it need not be in memory or on disk twice. One at a time of one
    person; visitors, who come and go and may not fill the disk, do not get here.
    """
    session = await session_of(request)
    check_post(request, request.headers.get(TOKEN, ""), session.form_token)
    site, whose = site_of(request), session.name
    most = int(site.atoll.settings.sources.max_size)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise TooLarge(f"This is larger than the {most / 1e9:.1f} GB that are taken here.")
    uploading: set[str] = request.app.state.uploading
    if whose in uploading:
        raise Busy("You are uploading a file already.", hint="Wait until it is here.")
    uploading.add(whose)
    parts = request.stream()
    try:
        repo = await site.atoll.uploads.receive(request.path_params["name"], parts)
    except ClientDisconnect:
        raise Cancelled("The upload was broken off.") from None
    except AtollError:
        async for _ in parts:  # browsers read no answer before they have sent all
            pass
        raise
    finally:
        uploading.discard(whose)
    return JSONResponse({"ok": True, "reference": str(repo)})
