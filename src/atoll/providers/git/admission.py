"""Admission: where git may fetch a remote from, asked and looked at before git connects to it.

Redirects are followed here, with the same checks at every hop, and git is told the addresses that
were checked and to follow none itself.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx2

from atoll.errors import BadReference, Lacking, NotFound, Refused, Unreachable
from atoll.providers.addresses import (
    HOPS,
    PATIENCE,
    Address,
    Gate,
    authorities,
    check_hop,
    local_path,
    network_of,
    scheme_of,
)
from atoll.providers.git.commands import git
from atoll.providers.git.complaints import MERCURIAL, not_found
from atoll.sources.locators import DEFAULT_PORTS, clone_url, host_of, locate

SERVICE = "/info/refs?service=git-upload-pack"  # git's smart HTTP protocol begins with it
PINNING_GIT = (2, 37)  # the first with http.curloptResolve
_pinning: dict[str | None, bool] = {}  # by program, whether it can


@dataclass(frozen=True, slots=True)
class Admitted:
    """A remote that may be fetched: what git is told to fetch, speak and believe."""

    url: str
    protocols: str
    config: tuple[str, ...] = ()


async def admit(gate: Gate, locator: str) -> Admitted:
    """Return how *locator* is fetched.

    Raises `Refused`, `Unreachable`, and `NotFound` when a web server says so.
    """
    gate.check(locator)
    url = clone_url(locator)
    if gate.trusted:  # "file" serves copies on disk; the person's own insteadOf may lead there
        return Admitted(url, "https:http:ssh:git:file")
    if local_path(locator):
        return Admitted(url, "file")
    if scheme_of(locator) not in {"https", "http"}:
        return Admitted(url, scheme_of(locator))
    await _check_git()
    try:
        async with asyncio.timeout(min(PATIENCE, gate.timeout)):
            return await _follow(gate, url)
    except TimeoutError as error:
        raise Unreachable(
            f"{host_of(locator)} did not answer within {min(PATIENCE, gate.timeout):g} seconds."
        ) from error


async def _check_git() -> None:
    """Raise `Lacking` for a git that would look names up again by itself."""
    program = shutil.which("git")
    if program not in _pinning:
        words = (await git("version")).decode().split()
        version = tuple(int(part) for part in words[2].split(".")[:2])
        _pinning[program] = version >= PINNING_GIT
    if not _pinning[program]:
        raise Lacking("git is too old to be used by a hub.", hint="Install git 2.37 or newer.")


async def _follow(gate: Gate, url: str) -> Admitted:
    """Ask for *url* as git would, and go where it is redirected, looking at every hop."""
    start = urlsplit(url).hostname
    for _ in range(HOPS + 1):
        addresses = await gate.addresses(url)
        status, location = await _ask(url + SERVICE, addresses[0])
        if status not in {301, 302, 303, 307, 308}:
            _check_status(status, url)
            return Admitted(url, urlsplit(url).scheme, _pins(url, addresses))
        url = _redirected(url, location)
    raise Unreachable(f"{start} redirects more than {HOPS} times.")


def _redirected(url: str, location: str) -> str:
    aim = urljoin(url + SERVICE, location)
    base, found, _ = aim.partition("/info/refs")
    host = urlsplit(url).hostname
    check_hop(url, aim)
    if not found:
        raise NotFound(f"There is no git repository at {url}.", hint=f"{host} leads to a page.")
    try:
        return clone_url(locate(base))
    except BadReference as error:
        raise Refused(f"{host} redirects to an address that is not fetched.") from error


async def _ask(url: str, address: Address) -> tuple[int, str]:
    """Return status and Location of *url*, asked at *address*; the body is never read."""
    parts = httpx2.URL(url)
    aim = parts.copy_with(host=str(address))
    extensions = {"sni_hostname": parts.host}
    headers = {"Host": parts.netloc.decode(), "User-Agent": "git/atoll"}
    try:
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=PATIENCE, verify=authorities()) as client,
            client.stream("GET", aim, headers=headers, extensions=extensions) as answer,
        ):
            return answer.status_code, answer.headers.get("location", "")
    except httpx2.HTTPError as error:
        raise Unreachable(f"{parts.host} does not answer: {error}.".replace("..", ".")) from error


def _check_status(status: int, url: str) -> None:
    if status in {401, 403, 404, 410}:
        raise not_found(url)
    if status != httpx2.codes.OK:
        hint = "Try again later." if status >= 500 or status == 429 else ""  # noqa: PLR2004
        hint = MERCURIAL if status == httpx2.codes.BAD_REQUEST else hint
        raise Unreachable(f"{host_of(url)} answers with status {status}.", hint=hint)


def _pins(url: str, addresses: Sequence[Address]) -> tuple[str, ...]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    shown = ",".join(f"[{one}]" if one.version == 6 else str(one) for one in addresses)  # noqa: PLR2004
    pin = () if network_of(host) else (f"http.curloptResolve={host}:{port}:{shown}",)
    return ("http.followRedirects=false", "http.proxy=", *pin)
