"""Guard: what every request passes before a handler sees it, and every answer on the way out.

People's servers may share our host name, so a page there counts as "same origin" for a browser.
Hence: cookies never leave our own path, pages that hold a form token are shown to navigations
only (a script cannot fetch and read them), and nothing of ours can be framed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atoll.acts import sender
from atoll.errors import Refused

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]+")


class Guard:
    """Adds our security headers to every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass *scope* on, and the answer back with headers."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


def is_navigation(headers: Mapping[str, str]) -> bool:
    """Whether a person goes to an address, in a tab of its own, rather than a script or a frame.

    A browser too old to say what a request is for passes, as it does everywhere.
    """
    mode = headers.get("sec-fetch-mode", "navigate")
    return mode == "navigate" and headers.get("sec-fetch-dest", "document") == "document"


def check_navigation(request: Request) -> None:
    """Let only a person's own navigation read a page, or raise `Refused`."""
    if not is_navigation(request.headers):
        raise Refused("Pages are for people: open this address in a tab of its own.")


def check_post(request: Request, sent: str, expected: str) -> None:
    """Let a form through that came from a page of ours, or raise `Refused`."""
    if not same_origin(request.headers):
        raise Refused("This form came from another site.", hint="Open the page here and try again.")
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Refused("This form is too old.", hint="Go back, reload the page and try again.")


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent this from a page of ours (or a person typed the address)."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def foreign_origin(headers: Mapping[str, str]) -> str | None:
    """Return the site whose script asks, "null" if it hides; ``None`` if none does.

    A program outside a browser sends neither header and is nobody's page.
    """
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        return origin
    if origin is None and headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return "null"
    return None


def allowed_origin(origin: str, origins: Sequence[str]) -> bool:
    """Whether the operator lists *origin* (``https://book.example.org``), or "*" for everybody."""
    return "*" in origins or origin.rstrip("/") in {one.rstrip("/") for one in origins}


def inside(prefix: str, target: str) -> str:
    """Return *target* if it is a path below *prefix*, else *prefix*: never another site."""
    path = target.split("?", 1)[0].split("#", 1)[0]
    plain = not re.search(r"[\x00-\x20\\]", target) and not target.startswith("//")
    climbs = ".." in re.split(r"[/\\]", unquote(path)) or "//" in path
    return target if plain and not climbs and target.startswith(prefix) else prefix


def address(headers: Headers, client: Any, proxies: int = 0) -> str:
    """Return the address of whoever asks, as the outermost of the operator's *proxies* saw it."""
    seen = str(client.host) if client else ""
    return sender(headers.getlist("x-forwarded-for"), seen, proxies)


def origin_of(request: Request) -> str:
    """Return the scheme and host that the browser used, such as ``https://hub.example.org``."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip()
    scheme = scheme if scheme in {"http", "https"} else "http"
    host = request.headers.get("host", "")
    return f"{scheme}://{host if HOST.fullmatch(host) else 'localhost'}"


def asked_for(request: Request) -> str:
    """Return the path and the query of *request* as they were sent, still quoted."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    query = f"?{request.url.query}" if request.url.query else ""
    return raw.decode("ascii", "replace").partition("?")[0] + query
