"""Asking: one question to a hub, and its answer, or its error as one of ours.

A hub is believed no more than a stranger: what it says is made plain before anybody sees it, and
is of a limited size; where it sends us is nowhere we go, so that the token stays with it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

import atoll
from atoll import errors
from atoll.client.addresses import SERVICE, is_here
from atoll.errors import AtollError, Refused, Unreachable
from atoll.plain import plain

PATIENCE = httpx2.Timeout(60.0, connect=15.0)  # seconds; a quiet stream says something every 15
LARGEST = 16 * 1024**2  # bytes of an answer
LONGEST = 2000  # characters of an error that are shown
AWAY = {502, 503, 504}  # what a proxy says while the hub behind it is started again
BY_STATUS = {
    400: errors.BadRequest,
    401: errors.Refused,
    403: errors.Refused,
    404: errors.NotFound,
    409: errors.Cancelled,
    413: errors.TooLarge,
    422: errors.BadSpecification,
    429: errors.Busy,
    502: errors.Unreachable,
    503: errors.StartFailed,
}


class Broken(Unreachable):
    """A connection could not be made, or ended; it may be made anew."""


def http_of(address: str, token: str) -> httpx2.Client:
    """Return what asks Atoll at the hub at *address*, as whoever has *token*."""
    return httpx2.Client(
        base_url=f"{address}{SERVICE}api/",
        headers={
            "Authorization": f"Bearer {token}",
            "User-Agent": f"atoll/{atoll.__version__}",
            "Accept-Encoding": "identity",  # what is packed has no size until it is unpacked
        },
        timeout=PATIENCE,
        verify=_authorities(),
        follow_redirects=False,
        trust_env=not is_here(address),  # whose proxy is not asked for this machine
    )


@functools.cache
def _authorities() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # the system's, or those in $SSL_CERT_FILE


def ask(http: httpx2.Client, method: str, path: str, **sent: Any) -> Any:
    """Return the JSON that the hub answers, made plain, or raise what it says is wrong."""
    with answered(http, method, path, **sent) as answer:
        try:
            return cleaned(json.loads(_body(answer)))
        except (ValueError, RecursionError) as error:
            raise not_understood(http) from error


def ask_text(http: httpx2.Client, path: str) -> str:
    """Return the text that the hub answers, made plain, or raise what it says is wrong."""
    with answered(http, "GET", path) as answer:
        return str(cleaned(_body(answer).decode("utf-8", "replace")))


@contextlib.contextmanager
def answered(http: httpx2.Client, method: str, path: str, **sent: Any) -> Iterator[httpx2.Response]:
    """Ask, and give the answer if all is well; raise our kind of error if it is not."""
    with translated(http), http.stream(method, path, **sent) as answer:
        if answer.is_redirect:
            where = httpx2.URL(answer.headers.get("location", ""))
            told = f" {plain(str(where.host))[:100]}" if where.host else ""
            message = f"{_host(http)} sends us on{told}; your token is not taken there."
            raise Unreachable(message, hint="Give --hub the address that your browser ends at.")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise not_understood(http)  # before a byte of it is unpacked
        if not answer.is_success:
            raise _problem(http, answer)
        yield answer


@contextlib.contextmanager
def translated(http: httpx2.Client) -> Iterator[None]:
    """Raise `Unreachable`, with a sentence, where a connection fails."""
    host = _host(http)
    try:
        yield
    except httpx2.TimeoutException as error:
        raise Broken(f"{host} does not answer.", hint="Try again in a while.") from error
    except (httpx2.TransportError, httpx2.StreamError, httpx2.InvalidURL) as error:
        raise _unreachable(host, error) from error


def _unreachable(host: str, error: Exception) -> Unreachable:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(
                f"{host} cannot prove that it is {host}: {plain(cause.verify_message)[:200]}.",
                hint=(
                    "Do not give it a token. If your institution has a certificate authority of "
                    "its own, name that one's file in $SSL_CERT_FILE."
                ),
            )
        cause = cause.__cause__ or cause.__context__
    hint = "Check the address, and whether this machine has a network."
    return Broken(f"{host} cannot be reached.", hint=hint)


def _problem(http: httpx2.Client, answer: httpx2.Response) -> AtollError:
    """Return the error that a hub's *answer* is, as the same one here."""
    try:
        told = cleaned(json.loads(_body(answer)))
    except (ValueError, RecursionError):
        told = None
    status = answer.status_code
    if not isinstance(told, Mapping) or not isinstance(told.get("error"), str):
        if status in AWAY:
            return Broken(f"{_host(http)} does not answer now.", hint="Try again in a while.")
        return not_understood(http)
    kind = told.get("kind")
    said, hint = told["error"][:LONGEST], str(told.get("hint") or "")[:LONGEST]
    if status in AWAY and not kind:  # the proxy's own word
        return Broken(said, hint=hint)
    if kind == "" and status in {404, 405}:  # no address that it knows
        return other_version(http)
    if status in {401, 403} and not _known(http):
        return Refused(
            f"The token for {_host(http)} is not valid there any more.",
            hint=f"Sign in again: atoll sign-in {_home(http)}",
        )
    return error_of(str(kind), status)(said or "That failed there.", hint=hint)


def error_of(kind: str, status: int = 500) -> type[AtollError]:
    """Return the class of ours that is called *kind*, else the one for an HTTP *status*."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, AtollError):
        return found
    return BY_STATUS.get(status, AtollError)


def _known(http: httpx2.Client) -> bool:
    """Say whether the hub knows whose the token is."""
    try:
        with http.stream("GET", "me") as answer:
            return answer.is_success
    except httpx2.HTTPError:
        return True  # nobody says that it does not


def not_understood(http: httpx2.Client) -> Unreachable:
    """Make the error for an answer that no Atoll gives."""
    return Unreachable(
        f"What answers at {_home(http)} is no Atoll, or none that this one understands.",
        hint=f"Check the address; this is Atoll {atoll.__version__}.",
    )


def other_version(http: httpx2.Client) -> Unreachable:
    """Make the error for a hub that does not know what it is asked."""
    return Unreachable(
        f"The hub at {_host(http)} is of another version, which cannot do that.",
        hint=f"This is Atoll {atoll.__version__}; {_home(http)}{SERVICE}about says what it runs.",
    )


def cleaned(value: Any) -> Any:
    """Return JSON's *value* with all text in it made plain."""
    if isinstance(value, str):
        return "\n".join(plain(line) for line in value.split("\n"))
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    if isinstance(value, dict):
        return {cleaned(name): cleaned(one) for name, one in value.items()}
    return value


def _body(answer: httpx2.Response) -> bytes:
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > LARGEST:
            raise Unreachable("The hub's answer is too long.", hint="Tell its operator.")
    return bytes(body)


def _home(http: httpx2.Client) -> str:
    return str(http.base_url).removesuffix(f"{SERVICE}api/")


def _host(http: httpx2.Client) -> str:
    return http.base_url.host
