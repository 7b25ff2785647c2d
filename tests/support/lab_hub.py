"""As much of JupyterHub as a server asks for: who somebody is, and who is let in."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

BASE = "/user/ada/one/"
ACCESS = "access:servers!server=ada/one"
RUN = "custom:atoll:run!server=ada/one"
PEOPLE = {  # by token
    "ada": {"name": "ada"},
    "grace": {"name": "grace"},
    "rosa": {"name": "rosa"},
    "mate": {"name": "mate", "groups": ["maths"]},
    "op": {"name": "op", "admin": True},
    "culler": {"name": "culler", "kind": "service"},
    "stranger": {"name": "stranger", "scopes": []},
}


class Hub(BaseHTTPRequestHandler):
    """As much of JupyterHub's API as a server asks for."""

    def do_GET(self):
        token = self.headers.get("Authorization", "").removeprefix("token ")
        if "/shares/" in self.path:
            assert token == "the-server's"
            told = self.server.shares
        elif self.path.endswith("/user"):
            known = PEOPLE.get(token)
            model = {"kind": "user", "admin": False, "groups": [], "scopes": [ACCESS]}
            told = known and {**model, **known}
            if token in self.server.gone:
                told = {**told, "scopes": []}
        else:
            told = {}
        body = json.dumps(told).encode()
        self.send_response(200 if told is not None else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *said):
        pass


class Listening(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def share(name, *scopes, kind="user"):
    other = "group" if kind == "user" else "user"
    return {kind: {"name": name}, other: None, "scopes": [ACCESS, *scopes]}


@contextlib.contextmanager
def lab_hub(folder: Path) -> Iterator[Listening]:
    """Run it; `environ` is what it tells a server of ada's."""
    hub = Listening(str(folder / "hub.sock"), Hub)
    hub.shares = [share("grace"), share("rosa", RUN), share("maths", RUN, kind="group")]
    hub.gone = set()
    hub.environ = {
        "JUPYTERHUB_API_TOKEN": "the-server's",
        "JUPYTERHUB_API_URL": f"http+unix://{quote(str(folder / 'hub.sock'), safe='')}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada-one",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([ACCESS]),
        "JUPYTERHUB_SERVICE_PREFIX": BASE,
        "JUPYTERHUB_SERVICE_URL": f"http+unix://{BASE}",
        "JUPYTERHUB_SERVER_NAME": "one",
        "JUPYTERHUB_USER": "ada",
    }
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


def upgraded(raw: socket.socket, who: str, path: str) -> int:
    """Ask *raw*, a server's, for a WebSocket; return the status."""
    raw.settimeout(15)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {BASE}{path} HTTP/1.1",
        "Host: lab",
        *([f"Authorization: token {who}"] if who else []),
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    raw.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = raw.recv(1)
        assert part, "no answer"
        answer += part
    return int(answer.split()[1])
