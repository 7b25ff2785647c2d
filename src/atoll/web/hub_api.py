"""Hub API: what we ask JupyterHub, and its answers as plain values.

The hub is reached with the service's own token, except where a person's token says who they are.
Paths and fields: https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx2

from atoll.errors import AtollError, Busy, NotFound, Refused, StartFailed, Unreachable
from atoll.people import Person
from atoll.web.recent import Answer, Recent

PATIENCE = 30.0  # seconds; a POST that starts a server is answered within JupyterHub's 10
STARTING_PATIENCE = 600.0  # seconds without any word while a server starts


@dataclass(frozen=True, slots=True)
class HubServer:
    """A named server as JupyterHub sees it. ``plan`` is the id that it was last started with."""

    name: str
    ready: bool = False
    pending: str = ""
    stopped: bool = True
    url: str = ""
    last_activity: str = ""
    started: str = ""
    plan: str = ""

    @property
    def state(self) -> str:
        """One word for a person: running, starting, stopping or stopped."""
        if self.pending:
            return {"spawn": "starting", "stop": "stopping"}.get(self.pending, self.pending)
        return "running" if self.ready else "stopped"


@dataclass(frozen=True, slots=True)
class HubUser:
    """A person as JupyterHub sees them, with all their named servers, and no other."""

    name: str
    admin: bool = False
    groups: frozenset[str] = frozenset()
    servers: Mapping[str, HubServer] = field(default_factory=dict)
    last_activity: str = ""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a token belongs to, and what it may do. ``session`` is JupyterHub's browser session."""

    person: Person
    kind: str
    scopes: frozenset[str]
    session: str = ""

    def may(self, scope: str, *filters: str) -> bool:
        """Whether the token has *scope*, in full or with one of *filters*."""
        return scope in self.scopes or any(f"{scope}!{one}" in self.scopes for one in filters)


def hub_client(url: str, token: str) -> httpx2.AsyncClient:
    """Return a client for the API at *url*, which may be ``http+unix://%2Fpath/hub/api``."""
    headers = {"Authorization": f"token {token}"}
    parts = urlsplit(url)
    if parts.scheme == "http+unix":
        # httpx2 wants a name for the Host header; the socket decides where it goes.
        transport = httpx2.AsyncHTTPTransport(uds=unquote(parts.netloc))
        return httpx2.AsyncClient(
            transport=transport,
            base_url=f"http://hub{parts.path}",
            headers=headers,
            timeout=PATIENCE,
        )
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False)


@dataclass(frozen=True, slots=True)
class HubApi:
    """JupyterHub's REST API, as far as Atoll's service needs it.

    Every method raises `Unreachable` when the hub does not answer.
    """

    http: httpx2.AsyncClient
    _recent: Recent[HubUser] = field(default_factory=Recent)

    @classmethod
    def from_environment(cls) -> HubApi:
        """Return the API that JupyterHub's variables for services name."""
        token = os.environ["JUPYTERHUB_API_TOKEN"]
        return cls(hub_client(os.environ["JUPYTERHUB_API_URL"], token))

    async def exchange(self, form: Mapping[str, str]) -> str:
        """Return the access token for an OAuth authorisation code, or raise `Refused`."""
        answer = await self._ask("POST", "/oauth2/token", data=dict(form))
        if answer.status_code != httpx2.codes.OK:
            raise Refused("JupyterHub refused the sign-in.", hint="Try to sign in again.")
        return str(answer.json()["access_token"])

    async def bearer(self, token: str) -> Bearer | None:
        """Return whose *token* is and what it may do, or ``None`` if it is not valid (any more)."""
        headers = {"Authorization": f"token {token}"}
        answer = await self._ask("GET", "/user", headers=headers)
        if answer.status_code in {httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN}:
            return None
        _check(answer, "tell who you are")
        found = answer.json()
        scopes = frozenset(found.get("scopes", ()))
        # Every token may tell these of whose it is, JupyterHub's identity scopes.
        groups = frozenset(found.get("groups") or ())
        person = Person(found["name"], groups, bool(found.get("admin")))
        return Bearer(person, found.get("kind", ""), scopes, found.get("session_id") or "")

    async def user(self, name: str) -> HubUser:
        """Return *name* with all servers, or raise `NotFound`."""
        url = f"/users/{quote(name, safe='')}?include_stopped_servers=1"
        answer = await self._ask("GET", url)
        _check(answer, "find the user")
        return _user(answer.json())

    async def user_soon(self, name: str) -> Answer[HubUser]:
        """Return what `user` does or, if that takes long, what it said a moment ago.

        Not of before we have started or stopped one of the user's servers, or removed the user.
        """
        return await self._recent.get(name, lambda: self.user(name))

    async def users(self, prefix: str) -> list[HubUser]:
        """Return every user whose name begins with *prefix*, with all servers."""
        found: list[HubUser] = []
        step = 200
        while True:
            query = f"name_filter={quote(prefix)}&offset={len(found)}&limit={step}"
            answer = await self._ask("GET", f"/users?include_stopped_servers=1&{query}")
            _check(answer, "list users")
            page = [_user(one) for one in answer.json()]
            found += page
            if len(page) < step:
                return [one for one in found if one.name.startswith(prefix)]

    async def people(self) -> dict[str, Person]:
        """Return everybody by name, with the groups that they are in."""
        return {one.name: Person(one.name, one.groups) for one in await self.users("")}

    async def add_user(self, name: str) -> None:
        """Make an ordinary user *name*."""
        answer = await self._ask("POST", "/users", json={"usernames": [name], "admin": False})
        _check(answer, "add a visitor")

    async def remove_user(self, name: str) -> None:
        """Remove user *name* and all servers; it may be gone already."""
        with self._changing(name):
            answer = await self._ask("DELETE", f"/users/{quote(name, safe='')}")
        if answer.status_code != httpx2.codes.NOT_FOUND:
            _check(answer, "remove a visitor")

    async def token(self, name: str, server: str, *, seconds: int, note: str) -> str:
        """Return a new token of *name* that opens *server* and nothing else, for *seconds*."""
        body = {
            "note": note,
            "expires_in": seconds,
            "scopes": [f"access:servers!server={name}/{server}"],
        }
        answer = await self._ask("POST", f"/users/{quote(name, safe='')}/tokens", json=body)
        _check(answer, "make a token")
        return str(answer.json()["token"])

    async def start(self, name: str, server: str, plan: str) -> bool:
        """Start *server* of *name* with *plan*; return whether it is up already.

        Raises `StartFailed` with what the spawner said, `Busy` at a limit of the hub's.
        """
        url = _server(name, server)
        body = {"user_options": {"plan": plan}}
        with self._changing(name):
            answer = await self._ask("POST", url, json=body)
        if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:
            raise Busy(_said(answer))  # which says what to do, be it the hub's limit or ours
        if answer.status_code in {httpx2.codes.CREATED, httpx2.codes.ACCEPTED}:
            return bool(answer.status_code == httpx2.codes.CREATED)
        if said := _said(answer):
            raise StartFailed(said)
        raise StartFailed("JupyterHub could not start the server.", hint="Try again in a moment.")

    async def progress(self, name: str, server: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield JupyterHub's events while *server* starts; the last has ``ready`` or ``failed``."""
        url = _server(name, server) + "/progress"
        timeout = httpx2.Timeout(PATIENCE, read=STARTING_PATIENCE)
        with _translated():
            async with self.http.stream("GET", url, timeout=timeout) as answer:
                if answer.status_code != httpx2.codes.OK:
                    await answer.aread()
                    raise StartFailed(_said(answer) or "The server is not starting.")
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line.removeprefix("data:"))

    async def stop(self, name: str, server: str, *, remove: bool = False) -> None:
        """Stop *server*, and forget it if *remove*; what is gone already is fine."""
        with self._changing(name):
            answer = await self._ask("DELETE", _server(name, server), json={"remove": remove})
        if answer.status_code != httpx2.codes.NOT_FOUND:
            _check(answer, "stop the server")

    async def said(self, doing: str, method: str, url: str, **how: Any) -> Any:
        """Return what the hub answers to anything else; *doing* is for the error, if it is one.

        Raises `NotFound`, or `Unreachable` with what the hub says.
        """
        answer = await self._ask(method, url, **how)
        _check(answer, doing)
        return answer.json() if answer.content else None

    async def healthy(self) -> bool:
        """Whether the hub answers."""
        with contextlib.suppress(AtollError):
            return (await self._ask("GET", "/health", timeout=3)).is_success
        return False

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        try:
            yield
        finally:
            self._recent.forget(name)

    async def _ask(self, method: str, url: str, **how: Any) -> httpx2.Response:
        with _translated():
            return await self.http.request(method, url, **how)


@contextlib.contextmanager
def _translated() -> Any:
    try:
        yield
    except httpx2.TransportError as error:
        raise Unreachable("JupyterHub does not answer.", hint="Try again in a moment.") from error


def _server(name: str, server: str) -> str:
    return f"/users/{quote(name, safe='')}/servers/{quote(server, safe='')}"


def _said(answer: httpx2.Response) -> str:
    """Return what the hub says, or "" if that is but the status's name, as when it is ended."""
    try:
        said = str(answer.json().get("message", ""))
    except (ValueError, AttributeError):
        return ""
    return "" if said == answer.reason_phrase else said


def _check(answer: httpx2.Response, doing: str) -> None:
    if answer.is_success:
        return
    if answer.status_code == httpx2.codes.NOT_FOUND:
        raise NotFound(f"JupyterHub could not {doing}: it is not there.")
    said = f": {_said(answer)}".removesuffix(": ")
    raise Unreachable(
        f"JupyterHub could not {doing}{said}.",
        hint="Try again; if it stays so, the operator finds more in the hub's log.",
    )


def _user(model: Mapping[str, Any]) -> HubUser:
    return HubUser(
        name=model["name"],
        admin=bool(model.get("admin")),
        groups=frozenset(model.get("groups") or ()),
        # Without the nameless one, which JupyterHub lists for everybody and does not let go of.
        servers={
            name: _hub_server(one) for name, one in (model.get("servers") or {}).items() if name
        },
        last_activity=model.get("last_activity") or "",
    )


def _hub_server(model: Mapping[str, Any]) -> HubServer:
    options = model.get("user_options") or {}
    plan = options.get("plan", "") if isinstance(options, dict) else ""
    return HubServer(
        name=model["name"],
        ready=bool(model.get("ready")),
        pending=model.get("pending") or "",
        stopped=bool(model.get("stopped", not model.get("ready"))),
        url=model.get("url") or "",
        last_activity=model.get("last_activity") or "",
        started=model.get("started") or "",
        plan=plan if isinstance(plan, str) else "",
    )
