"""A stand-in for JupyterHub's API and sign-in, for trying the web service without a hub.

It keeps the paths, statuses and fields of JupyterHub 6.1; `tests/browser` uses the real one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from atoll.web.hub_api import HubApi
from support.hub_shares_stand_in import SharesStandIn

SERVICE_TOKEN = "the-service's-own-token"
ACCESS = "access:services!service=atoll"

NOTE = "There is no network in this box."


@dataclass
class HubStandIn:
    """What the hub knows. ``failing`` says why servers of that name do not start.

    ``line`` is what who starts hears, one word after ``step`` seconds, before it is their turn;
    ``breaks`` is how many times the hub goes away meanwhile.
    ``refuse`` is what it says to whoever starts one too many.
    With ``nameless`` it lists for everybody, as JupyterHub does, a server that has no name and
    cannot be deleted.
    """

    users: dict[str, dict] = field(default_factory=dict)
    tokens: dict[str, dict] = field(default_factory=dict)
    codes: dict[str, dict] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    started: list[tuple[str, str, dict]] = field(default_factory=list)
    minted: list[dict] = field(default_factory=list)
    signed_in: str = "ada"
    line: list[str] = field(default_factory=list)
    step: float = 0.01
    breaks: int = 0
    pause: float = 0.0
    down: bool = False
    nameless: bool = False
    refuse: str = ""

    def __post_init__(self) -> None:
        self.sharing = SharesStandIn(self)

    def add(self, name: str, *, admin: bool = False) -> None:
        self.users[name] = {"name": name, "admin": admin, "groups": [], "servers": {}}

    def token_of(self, name: str, *scopes: str, kind: str = "user") -> str:
        token = secrets.token_hex(16)
        self.tokens[token] = {
            "name": name,
            "kind": kind,
            "scopes": list(scopes or (ACCESS,)),
            "session_id": "",
        }
        return token

    def run(self, owner: str, name: str, plan: str = "", **more) -> dict:
        """Have a server of that name running already."""
        server = self._server(owner, name, {"plan": plan})
        server.update(ready=True, stopped=False, **more)
        return server

    def _server(self, owner: str, name: str, options: dict) -> dict:
        server = {
            "name": name,
            "ready": False,
            "pending": None,
            "stopped": True,
            "url": f"/user/{owner}/{name}/",
            "user_options": options,
            "last_activity": "2026-01-02T03:04:05.000000Z",
            "started": None,
        }
        self.users[owner]["servers"][name] = server
        return server

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/hub/api/health", self._health),
                Route("/hub/api/oauth2/authorize", self._authorize),
                Route("/hub/api/oauth2/token", self._exchange, methods=["POST"]),
                Route("/hub/api/user", self._who),
                Route("/hub/api/users", self._list, methods=["GET"]),
                Route("/hub/api/users", self._add, methods=["POST"]),
                Route("/hub/api/users/{user}", self._user, methods=["GET", "DELETE"]),
                Route("/hub/api/users/{user}/tokens", self._mint, methods=["POST"]),
                Route(
                    "/hub/api/users/{user}/servers/{server}",
                    self._change,
                    methods=["POST", "DELETE"],
                ),
                Route("/hub/api/users/{user}/servers/{server}/progress", self._progress),
                *self.sharing.routes(),
                Route("/hub/logout", self._page),
                Route("/hub/spawn-pending/{user}/{server}", self._page),
                Route("/user/{user}/{rest:path}", self._page),
            ]
        )

    def api(self) -> HubApi:
        transport = httpx2.ASGITransport(app=self.app())
        headers = {"Authorization": f"token {SERVICE_TOKEN}"}
        return HubApi(
            httpx2.AsyncClient(transport=transport, base_url="http://hub/hub/api", headers=headers)
        )

    def _service(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"token {SERVICE_TOKEN}"

    async def _health(self, request: Request) -> Response:
        if self.down:
            raise httpx2.ConnectError("down")
        return JSONResponse({})

    async def _page(self, request: Request) -> Response:
        return Response(f"a page of the hub: {request.url.path}", media_type="text/plain")

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        code = secrets.token_hex(8)
        self.codes[code] = {"challenge": query["code_challenge"], "uri": query["redirect_uri"]}
        answer = RedirectResponse(
            f"{query['redirect_uri']}?code={code}&state={query['state']}", 302
        )
        answer.set_cookie("jupyterhub-session-id", f"session-{self.signed_in}")
        return answer

    async def _exchange(self, request: Request) -> Response:
        async with request.form() as form:
            code = self.codes.pop(str(form["code"]), None)
            hashed = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
            proved = urlsafe_b64encode(hashed).rstrip(b"=").decode()
            right = (
                code is not None
                and code["challenge"] == proved
                and code["uri"] == form["redirect_uri"]
                and form["client_secret"] == SERVICE_TOKEN
                and form["client_id"] == "service-atoll"
            )
        if not right:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": self.token_of(self.signed_in)})

    async def _who(self, request: Request) -> Response:
        found = self.tokens.get(request.headers.get("authorization", "").removeprefix("token "))
        known = self.users.get(found["name"], {}) if found else {}
        identity = {key: known[key] for key in ("groups", "admin") if key in known}
        return (
            JSONResponse(found | identity) if found else JSONResponse({"message": "Forbidden"}, 403)
        )

    async def _list(self, request: Request) -> Response:
        assert self._service(request)
        query = request.query_params
        found = [one for name, one in self.users.items() if query["name_filter"] in name]
        start = int(query["offset"])
        return JSONResponse([self._model(one) for one in found[start:][: int(query["limit"])]])

    def _model(self, user: dict) -> dict:
        if not self.nameless:
            return user
        nameless = {"name": "", "ready": False, "pending": None, "stopped": True}
        return user | {"servers": {**user["servers"], "": nameless}}

    async def _add(self, request: Request) -> Response:
        assert self._service(request)
        for name in (await request.json())["usernames"]:
            self.add(name)
        return JSONResponse([], 201)

    async def _user(self, request: Request) -> Response:
        assert self._service(request)
        name = request.path_params["user"]
        if name not in self.users:
            return JSONResponse({"message": "Not Found"}, 404)
        if request.method == "DELETE":
            del self.users[name]
            return Response(status_code=204)
        return JSONResponse(self._model(self.users[name]))

    async def _mint(self, request: Request) -> Response:
        assert self._service(request)
        body = await request.json()
        self.minted.append(body | {"user": request.path_params["user"]})
        token = self.token_of(request.path_params["user"], *body["scopes"])
        return JSONResponse({"token": token}, 201)

    async def _stop(self, servers: dict[str, dict], name: str, request: Request) -> Response:
        if not name:
            return JSONResponse({"message": "Cannot delete the default server"}, 400)
        if name not in servers:
            return JSONResponse({"message": "no such server"}, 404)
        remove = json.loads(await request.body() or b"{}").get("remove")
        servers[name].update(ready=False, stopped=True)
        if remove:
            del servers[name]
        return Response(status_code=204)

    async def _change(self, request: Request) -> Response:
        assert self._service(request)
        owner, name = request.path_params["user"], request.path_params["server"]
        servers = self.users[owner]["servers"]
        if request.method == "DELETE":
            return await self._stop(servers, name, request)
        there = servers.get(name, {"pending": None, "ready": False})
        if there["pending"] == "spawn":
            return Response(status_code=202)
        if there["pending"] or there["ready"]:
            return JSONResponse({"message": "It runs, or something is pending."}, 400)
        if self.refuse:
            return JSONResponse({"status": 429, "message": self.refuse}, 429)
        options = (await request.json())["user_options"]
        self.started.append((owner, name, options))
        server = self._server(owner, name, options)
        server.update(pending="spawn", stopped=False)
        return Response(status_code=202)

    async def _progress(self, request: Request) -> Response:
        owner, name = request.path_params["user"], request.path_params["server"]
        server = self.users[owner]["servers"][name]

        async def tell():
            yield "\n\n"
            for message in self.line:
                yield f"data: {json.dumps({'message': message, 'waiting': True})}\n\n"
                await asyncio.sleep(self.step)
            if self.breaks:
                self.breaks -= 1
                server.update(pending=None, stopped=True)
                return
            yield 'data: {"progress": 50, "message": "Starting your server."}\n\n'
            await asyncio.sleep(self.pause)
            if why := self.failing.get(name):
                server.update(pending=None, stopped=True)
                failed = {"progress": 100, "failed": True, "message": f"Spawn failed: {why}"}
                yield f"data: {json.dumps(failed)}\n\n"
                return
            server.update(pending=None, ready=True)
            ready = {"progress": 100, "ready": True, "url": server["url"], "notes": [NOTE]}
            yield f"data: {json.dumps(ready)}\n\n"

        return StreamingResponse(tell(), media_type="text/event-stream")
