"""The rehearsal: a whole start of a server, once, to learn what it loads, and its routes.

So no list of these is kept that the next JupyterLab makes wrong. It runs in a process of its own,
in an empty folder, with a stand-in for the hub that says yes to everything.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import importlib
import json
import os
import select
import shutil
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from atoll.engines.local.forking import ALONE, OF_HUB

PATIENCE = 90  # seconds
PR_SET_PDEATHSIG = 1
BASE = "/user/rehearsal/"
# What a browser asks for first: a handler may load something only when it is used.
VISITS = (
    *("lab", "api/kernelspecs", "api/contents?content=1", "api/sessions", "api/terminals"),
    *("api/kernels", "lab/api/settings", "lab/api/workspaces/default", "lab/api/translations"),
)
INSIDE = Path(__file__).parents[1] / "inside"


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a rehearsal teaches: nothing if it did not end in time.

    ``modules`` are the names of those that a server has loaded once its pages answer, in order;
    ``routes`` the patterns of its addresses, from the slash after its own path on.
    """

    modules: Sequence[str] = ()
    routes: Sequence[str] = ()


def rehearsed(folder: Path) -> Learnt:
    """Start a server and learn from it.

    *folder* is removed afterwards; what one that was killed has left in it, before.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(0o700, exist_ok=True)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            _perform(folder, write)
        finally:
            os._exit(1)
    os.close(write)
    parts = []
    while select.select([read], [], [], PATIENCE)[0] and (part := os.read(read, 65536)):
        parts.append(part)
    os.close(read)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    told = b"".join(parts)
    return Learnt(**json.loads(told)) if told else Learnt()


def _perform(folder: Path, report: int) -> None:
    """Be a server, and end with whoever began the rehearsal."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    quiet = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    hub, lab = folder / "hub.sock", folder / "lab.sock"
    os.chdir(folder)
    os.environ.update(
        HOME=str(folder),
        PATH="/nonexistent",  # or npm, which extensions run, outlives this and writes there again
        JUPYTER_RUNTIME_DIR=str(folder),
        JUPYTER_CONFIG_PATH=f"{INSIDE / 'alone'}:{INSIDE}",
        JUPYTERHUB_API_TOKEN="rehearsal",  # noqa: S106 - nobody else listens there
        JUPYTERHUB_API_URL="http+unix://" + str(hub).replace("/", "%2F") + "/hub/api",
        JUPYTERHUB_CLIENT_ID="rehearsal",
        JUPYTERHUB_SERVICE_PREFIX=BASE,
        JUPYTERHUB_BASE_URL="/",
        JUPYTERHUB_USER="rehearsal",
        JUPYTERHUB_SERVICE_URL=f"http+unix://{BASE}",
    )
    threading.Thread(target=_Hub(str(hub), _Yes).serve_forever, daemon=True).start()
    routes: list[str] = []
    _note(routes)
    threading.Thread(target=_visit, args=(lab, report, routes), daemon=True).start()
    application(ALONE[1])  # loads what servers without a hub need
    options = [f"--ServerApp.sock={lab}", f"--ServerApp.root_dir={folder}"]
    options += [f"--ServerApp.base_url={BASE}", "--ServerApp.allow_root=True"]
    application(OF_HUB[1]).initialize_server(argv=options).start()


def application(name: str) -> Any:
    """Return the Jupyter Server extension application *name*, ``module:class``."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _note(routes: list[str]) -> None:
    """Have the patterns noted in *routes* of which tornado makes routes from now on."""
    matches = importlib.import_module("tornado.routing").PathMatches
    init = matches.__init__

    def noting(self: Any, pattern: Any) -> None:
        init(self, pattern)
        if self.regex.pattern.startswith(BASE):
            routes.append(self.regex.pattern.removeprefix(BASE[:-1]))

    matches.__init__ = noting


def _visit(lab: Path, report: int, routes: list[str]) -> None:
    """Ask for pages until they answer, then report and end the process."""
    while not lab.exists():
        threading.Event().wait(0.05)
    for path in VISITS:
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.sock.connect(str(lab))
            connection.request("GET", BASE + path, headers={"Authorization": "token rehearsal"})
            connection.getresponse().read()
    modules = [name for name in sys.modules if name != "__main__"]
    os.write(report, json.dumps({"modules": modules, "routes": routes}).encode())
    os._exit(0)


class _Hub(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Yes(BaseHTTPRequestHandler):
    """A hub that knows everybody, and lets everybody in."""

    def _say(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        scopes = ["access:servers"]
        user: dict[str, Any] = {"kind": "user", "name": "rehearsal", "admin": False}
        body = json.dumps({**user, "groups": [], "scopes": scopes, "version": "6"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _say  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""
