"""Shares and share codes of the stand-in for JupyterHub, with the paths and fields of 6.1."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MADE = "2026-01-01T00:00:00.000000Z"


class SharesStandIn:
    """Who is let into the servers of *hub*."""

    def __init__(self, hub) -> None:
        self.hub = hub
        self.shares: dict[tuple[str, str, str, str], set[str]] = {}
        self.codes: dict[str, dict] = {}

    def routes(self) -> list[Route]:
        every = ["GET", "POST", "PATCH", "DELETE"]
        return [
            Route("/hub/api/groups/{group}", self._group),
            Route("/hub/api/users/{user}/shared", self._with),
            Route("/hub/api/users/{user}/shared/{owner}/{server}", self._leave, methods=every),
            Route("/hub/api/shares/{owner}/{server}", self._share, methods=every),
            Route("/hub/api/share-codes/{owner}/{server}", self._code, methods=every),
        ]

    def _server(self, owner: str, name: str) -> dict:
        server = self.hub.users[owner]["servers"][name]
        return {"user": {"name": owner}} | {key: server[key] for key in ("name", "url", "ready")}

    def _model(self, key: tuple[str, str, str, str]) -> dict:
        owner, server, kind, whom = key
        return {
            "server": self._server(owner, server),
            "scopes": sorted(self.shares[key]),
            "user": {"name": whom} if kind == "user" else None,
            "group": {"name": whom} if kind == "group" else None,
            "kind": kind,
            "created_at": MADE,
        }

    def _groups(self) -> set[str]:
        return {group for user in self.hub.users.values() for group in user["groups"]}

    async def _group(self, request: Request) -> Response:
        name = request.path_params["group"]
        status = 200 if name in self._groups() else 404
        return JSONResponse({"name": name}, status)

    async def _with(self, request: Request) -> Response:
        name = request.path_params["user"]
        if name not in self.hub.users:
            return JSONResponse({"message": "No such user"}, 404)
        groups = self.hub.users[name]["groups"]
        keys = [
            key
            for key in self.shares
            if key[2:] == ("user", name) or (key[2] == "group" and key[3] in groups)
        ]
        return JSONResponse([self._model(key) for key in keys])

    async def _leave(self, request: Request) -> Response:
        path = request.path_params
        gone = self.shares.pop((path["owner"], path["server"], "user", path["user"]), None)
        return Response(status_code=204 if gone else 404)

    def _there(self, request: Request) -> bool:
        owner, server = request.path_params["owner"], request.path_params["server"]
        return server in self.hub.users.get(owner, {"servers": {}})["servers"]

    async def _share(self, request: Request) -> Response:
        assert self.hub._service(request)
        if not self._there(request):
            return JSONResponse({"message": "No such server"}, 404)
        owner, server = request.path_params["owner"], request.path_params["server"]
        if request.method == "GET":
            found = [self._model(key) for key in self.shares if key[:2] == (owner, server)]
            return JSONResponse(found)
        sent = await request.json()
        [(kind, whom)] = [(kind, sent[kind]) for kind in ("user", "group") if kind in sent]
        key = (owner, server, kind, whom)
        scopes = set(sent.get("scopes") or ())
        assert all(one.endswith(f"!server={owner}/{server}") for one in scopes)
        if request.method == "POST":
            self.shares[key] = self.shares.get(key, set()) | scopes
            return JSONResponse(self._model(key))
        left = self.shares.pop(key, set()) - scopes if scopes else self.shares.pop(key, None)
        if scopes and left:
            self.shares[key] = left
        return JSONResponse({})

    async def _code(self, request: Request) -> Response:
        assert self.hub._service(request)
        if not self._there(request):
            return JSONResponse({"message": "No such server"}, 404)
        owner, server = request.path_params["owner"], request.path_params["server"]
        if request.method == "GET":
            found = [one for one in self.codes.values() if one["of"] == (owner, server)]
            return JSONResponse(found)
        if request.method == "DELETE":
            gone = self.codes.pop(request.query_params["id"], None)
            return Response(status_code=204 if gone else 404)
        sent = await request.json()
        made = {
            "of": (owner, server),
            "server": self._server(owner, server),
            "scopes": sent["scopes"],
            "id": f"sc_{len(self.codes) + 1}",
            "created_at": MADE,
            "expires_at": f"2027-01-01T00:00:{sent['expires_in'] // 86400:02}.000000Z",
            "exchange_count": 0,
        }
        self.codes[made["id"]] = made
        return JSONResponse(made | {"accept_url": f"/hub/accept-share?code={secrets.token_hex(8)}"})
