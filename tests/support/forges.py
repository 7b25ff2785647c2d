"""Forges: what GitHub and GitLab answer to whoever signs people in by them, on loopback.

Paths and fields are those of their documentation: GitHub's "Authorizing OAuth apps" and REST API
(users, organisations, teams), GitLab's OAuth 2.0 provider, users API and OpenID Connect claims.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import secrets
import threading
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit

from support.identity import CLIENT


class Forge:
    """One GitHub and one GitLab. ``who`` is signed in there, one of ``people``, a list by login."""

    def __init__(self, people: dict[str, dict]) -> None:
        self.people = people
        self.who = ""
        self.codes: dict[str, tuple[str, dict]] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.broken = False
        handler = type("Handler", (Handler,), {"forge": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Forge:  # noqa: PYI034
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        if path in {"/login/oauth/authorize", "/oauth/authorize"}:
            code = secrets.token_hex(8)
            self.forge.codes[code] = (self.forge.who, query)
            back = urlencode({"code": code, "state": query["state"]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        name, scope = self.forge.tokens.get(token, ("", ""))
        if not name:
            self.answer(HTTPStatus.UNAUTHORIZED, {"message": "Bad credentials"})
        elif self.forge.broken:
            self.answer(HTTPStatus.BAD_GATEWAY, {"message": "Unicorn!"})
        else:
            self.tell(path, query, self.forge.people[name] | {"login": name}, scope)

    def tell(self, path: str, query: dict, person: dict, scope: str) -> None:
        """Answer a question about *person*, as far as *scope* allows."""
        groups = person["groups"]
        if path == "/api/v3/user":
            self.answer(200, {"login": person["login"], "id": person["id"], "email": None})
        elif path == "/api/v3/user/orgs" and "read:org" in scope:
            self.page([{"login": one} for one in groups if ":" not in one], query)
        elif path == "/api/v3/user/teams" and "read:org" in scope:
            teams = [one.split(":") for one in groups if ":" in one]
            self.page(
                [{"slug": team, "organization": {"login": org}} for org, team in teams], query
            )
        elif path == "/api/v4/user" and "read_user" in scope:
            self.answer(200, {"username": person["login"], "id": person["id"]})
        elif path == "/oauth/userinfo" and "openid" in scope:
            self.answer(200, {"sub": str(person["id"]), "groups": groups})
        else:
            self.answer(HTTPStatus.FORBIDDEN, {"message": "insufficient_scope"})

    def page(self, found: list, query: dict) -> None:
        """Answer the page of *found* that was asked for; there is one entry on each."""
        at = int(query.get("page", 1))
        more = {}
        if at < len(found):
            path = urlsplit(self.path).path
            more["Link"] = f'<{self.forge.url}{path}?page={at + 1}>; rel="next"'
        self.answer(200, found[at - 1 : at], **more)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(parse_qsl(body))
        name, asked = self.forge.codes.pop(form.get("code", ""), ("", {}))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        right = (
            name
            and asked["code_challenge"] == challenge
            and form["redirect_uri"] == asked["redirect_uri"]
            and {key: form.get(key) for key in CLIENT} == CLIENT
        )
        if not right:  # with the status 200, as GitHub has it
            self.answer(200, {"error": "bad", "error_description": "The code is incorrect."})
            return
        token = secrets.token_hex(16)
        self.forge.tokens[token] = (name, asked["scope"])
        self.answer(200, {"access_token": token, "token_type": "bearer", "scope": asked["scope"]})

    def answer(self, status: int, told: object, **headers: str) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
