"""Addresses: where a hub is, as people write it, and which pages of it may be opened."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from atoll.errors import BadRequest

LONGEST = 500  # characters of an address that we look at
# A hub's own pages: what stands before them is its address.
INSIDE = re.compile(r"/(?:services/atoll(?:/.*)?|hub/(?:home|token|login|spawn|admin)\b.*)$")
SERVICE = "services/atoll/"


def hub_address(text: str, *, plain_http: bool = False) -> str:
    """Return the address of the hub that *text* means, with a slash at its end.

    Any page of it will do, and https may be left out. Raises `BadRequest` for what is no address,
    and, unless *plain_http*, for one where anybody on the way could read the token.
    """
    written = text.strip()[:LONGEST]
    if "://" not in written:
        written = f"{'http' if _is_here(_host(f'//{written}')) else 'https'}://{written}"
    parts, host = _split(written), _host(written)
    usual = re.fullmatch(r"[\w.:-]+", host) and re.fullmatch(r"[!-~]*", parts.path)
    if parts.scheme not in {"http", "https"} or not usual or parts.username is not None:
        shown = "This" if "@" in text else f"“{ascii(text[:80])[1:-1]}”"  # before @, a password
        raise BadRequest(
            f"{shown} is not a hub's address.",
            hint="Write it as in your browser, such as https://hub.example.org",
        )
    if parts.scheme == "http" and not plain_http and not _is_here(host):
        raise BadRequest(
            f"{host} would be asked without encryption: anybody on the way could read your token.",
            hint=f"Use https://{host}. If it really has none: atoll sign-in --plain-http ADDRESS",
        )
    port = f":{parts.port}" if parts.port else ""
    netloc = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    return f"{parts.scheme}://{netloc}{INSIDE.sub('', parts.path).rstrip('/')}/"


def is_here(address: str) -> bool:
    """Say whether *address* is of this very machine."""
    return _is_here(_host(address))


def page_of(address: str, path: str) -> str:
    """Return the page at *path*, as the hub at *address* says it, or the hub's own page.

    Whatever it says, it is a page of that host, by the same protocol.
    """
    parts = urlsplit(address)
    if re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", path):
        return f"{parts.scheme}://{parts.netloc}{path}"
    return f"{address}{SERVICE}"


def _split(text: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - urllib's own kind
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def _host(text: str) -> str:
    return str(_split(text).hostname or "")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
