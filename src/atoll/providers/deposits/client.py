"""Client: asks a stranger's web server, at addresses that were looked at, for no more than we take.

Every hop of a redirect passes the gate. Where a server says that it was asked too often, we wait
as long as it says, if that is not long, and tell the person so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2

from atoll import __version__
from atoll.errors import NotFound, Refused, TooLarge, Unreachable
from atoll.events import Event, Tell
from atoll.providers.addresses import HOPS, PATIENCE, Gate, authorities, check_hop
from atoll.providers.deposits.deposit import shown
from atoll.sources.locators import host_of

IDLE = 60.0  # seconds for which a server may be silent
LONGEST_ANSWER = 32 * 1024**2  # bytes of JSON; Dataverse lists 20,000 files in less
LONGEST_WAIT = 120.0  # seconds that we wait in all because a server was asked too often
WAIT = 10.0  # seconds, where it does not say how long
TRIES = 4
EPOCH = 10**8  # what is larger is no number of seconds to wait but a time
HEADERS = {
    "User-Agent": f"atoll/{__version__}",
    "Accept-Encoding": "identity",  # a file as it is, and no bomb
}


@dataclass(slots=True)
class Client:
    """Asks through *gate* and tells *tell* what takes long; closed where its ``with`` ends."""

    gate: Gate
    tell: Tell
    waited: float = 0.0
    _clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)  # by host and port

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def json(self, url: str, *, method: str = "GET") -> Any:
        """Return what *url* answers, as JSON.

        Raises `NotFound`, `Refused` where it wants to know who asks, `Unreachable`, `TooLarge`.
        """
        headers = {"Accept": "application/json"}
        async with self.open(url, headers, method=method) as answer:
            check_status(answer)
            parts, size = [], 0
            async for part in answer.aiter_raw():
                size += len(part)
                if size > LONGEST_ANSWER:
                    raise TooLarge(f"The answer of {host_of(url)} is too long.")
                parts.append(part)
        try:
            return json.loads(b"".join(parts))
        except (ValueError, RecursionError) as error:
            raise Unreachable(
                f"{host_of(url)} answers with something else than JSON.",
                hint="Is it the kind of repository that its address looks like?",
            ) from error

    async def landing(self, url: str) -> str:
        """Return where *url* leads, redirects and all; the page itself is not read."""
        async with self.open(url, {"Accept": "text/html,*/*"}) as answer:
            return str(answer.extensions["atoll_url"])

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> AsyncIterator[httpx2.Response]:
        """Ask for *url*, and go where it is redirected; the body is still to be read.

        The answer may have any status but those of a redirect and of a server that is asked too
        often. Raises `Refused` and `Unreachable`.
        """
        _check_url(url)
        for _ in range(TRIES):
            answer = await self._follow(url, {**HEADERS, **(headers or {})}, method)
            try:
                pause = pause_of(answer)
                if pause is None:
                    with _translated(str(answer.extensions["atoll_url"])):
                        yield answer
                    return
            finally:
                await answer.aclose()
            await self._wait(host_of(str(answer.extensions["atoll_url"])), pause)
        raise _too_often(host_of(url), WAIT)

    async def _follow(self, url: str, headers: Mapping[str, str], method: str) -> httpx2.Response:
        start = host_of(url)
        for _ in range(HOPS + 1):
            answer = await self._ask(url, headers, method)
            location = answer.headers.get("location", "")
            if answer.status_code not in {301, 302, 303, 307, 308} or not location:
                answer.extensions["atoll_url"] = url
                return answer
            await answer.aclose()
            url = _redirected(url, location)
            if answer.status_code not in {307, 308}:
                method = "GET"
        raise Unreachable(f"{start} redirects more than {HOPS} times.")

    async def _ask(self, url: str, headers: Mapping[str, str], method: str) -> httpx2.Response:
        """Ask for *url* itself; a stranger's at the very address that was checked."""
        with _translated(url):
            aim, extensions, own = httpx2.URL(url), {}, dict(headers)
            if aim.userinfo:
                raise Refused(f"{aim.host} leads to an address with a password in it.")
            if not self.gate.trusted:
                self.gate.check(url)
                addresses = await asyncio.wait_for(self.gate.addresses(url), PATIENCE)
                own["Host"] = aim.netloc.decode()
                extensions = {"sni_hostname": aim.host}
                aim = aim.copy_with(host=str(addresses[0]))
            client = self._client(urlsplit(url).netloc)
            request = client.build_request(method, aim, headers=own, extensions=extensions)
            return await client.send(request, stream=True)

    def _client(self, netloc: str) -> httpx2.AsyncClient:
        """Return the client for one host: no connection that was made to another is ever used."""
        if netloc not in self._clients:
            self._clients[netloc] = httpx2.AsyncClient(
                trust_env=self.gate.trusted,
                timeout=httpx2.Timeout(IDLE, connect=PATIENCE),
                verify=authorities(),
            )
        return self._clients[netloc]

    async def _wait(self, host: str, pause: float) -> None:
        self.waited += pause
        if self.waited > LONGEST_WAIT:
            raise _too_often(host, pause)
        seconds = f"{pause:.0f} second{'s' * (round(pause) != 1)}"
        self.tell(Event("fetch", f"{host} is asked too often; asking again in {seconds}"))
        await asyncio.sleep(pause)


def check_status(answer: httpx2.Response) -> None:
    """Raise what *answer*'s status means, unless it is a good one."""
    status, url = answer.status_code, str(answer.extensions["atoll_url"])
    if answer.is_success:
        return
    if status in {401, 403}:
        raise Refused(
            f"{host_of(url)} gives this to nobody without signing in.",
            hint="Restricted deposits cannot be opened; ask its authors.",
        )
    if status in {404, 410}:
        page = shown(url.partition("?")[0], 200)  # what is behind may be a signature
        raise NotFound(f"There is nothing at {page}.", hint="Check how it is spelt.")
    hint = "Try again later." if status >= httpx2.codes.INTERNAL_SERVER_ERROR else ""
    raise Unreachable(f"{host_of(url)} answers with status {status}.", hint=hint)


def _check_url(url: str) -> None:
    """Raise `Refused` for what a stranger gives as a URL and is none."""
    try:
        good = bool(urlsplit(url).hostname and urlsplit(url).port != 0)
    except ValueError:
        good = False
    if not good:
        raise Refused(f"“{shown(url)}” is given as an address, and is not one.")


def _redirected(url: str, location: str) -> str:
    try:
        aim = urljoin(url, location).partition("#")[0]
        check_hop(url, aim)
    except ValueError:
        aim = location
    _check_url(aim)
    return aim


def pause_of(answer: httpx2.Response) -> float | None:
    """Return how many seconds *answer* asks us to wait, None if it is no such answer.

    The headers are ``Retry-After`` (RFC 9110) and ``X-RateLimit-Reset``, with the seconds to wait
    or, as Zenodo, GitHub and Software Heritage have it, the time since the epoch.
    """
    status, headers = answer.status_code, answer.headers
    later, left = headers.get("retry-after", ""), headers.get("x-ratelimit-remaining", "")
    asked_too_often = status == httpx2.codes.TOO_MANY_REQUESTS or (
        status in {403, 503} and (later or (status == 403 and left == "0"))  # noqa: PLR2004
    )
    if not asked_too_often:
        return None
    now = time.time()
    try:
        said = later or headers.get("x-ratelimit-reset", "")
        number = float(said) if said.replace(".", "", 1).isdigit() else None
        if number is None:
            number = parsedate_to_datetime(said).timestamp()
    except (ValueError, TypeError, OverflowError):
        return WAIT
    return max(1.0, number - now if number > EPOCH else number)


def _too_often(host: str, pause: float) -> Unreachable:
    minutes = max(1, round(pause / 60))
    when = f"{minutes} minute{'s' * (minutes > 1)}" if minutes < 60 else "an hour or more"  # noqa: PLR2004
    return Unreachable(
        f"{host} has been asked too often from here and wants to be left in peace.",
        hint=f"Try again in {when}.",
    )


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what goes wrong on the way to *url* into an error of ours."""
    host = host_of(url)
    try:
        yield
    except httpx2.InvalidURL as error:
        raise Refused(f"{host} leads to an address that is not one.") from error
    except (httpx2.TimeoutException, TimeoutError) as error:
        raise Unreachable(f"{host} does not answer in time.", hint="Try again later.") from error
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        said = shown(error, 200).rstrip(".") or type(error).__name__
        raise Unreachable(f"{host} does not answer: {said}.") from error
