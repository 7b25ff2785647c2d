"""Runners that need no sandbox: a real, tiny HTTP server on a unix socket in a process of its own.

For trying everything above an engine (hub, proxy, restarts) with real processes and requests.
``python -m atoll.testing.runners SOCKET`` is the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socketserver
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from subprocess import DEVNULL, Popen

from atoll.errors import StartFailed
from atoll.servers import Companion, Memory, Running, Server, ServerPlan, Usage
from atoll.volumes.renewal import NOTHING, Renewal, Tree


class TinyRunner:
    """Starts tiny servers, which outlive whoever started them.

    A plan whose ``opening`` is "broken" cannot be started; one with "stuck" never comes up.
    """

    engine = "tiny"

    def __init__(self, folder: Path, notes: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.notes = notes

    def companions(self) -> tuple[Companion, ...]:
        """Return none."""
        return ()

    async def start(self, plan: ServerPlan, environ: Mapping[str, str]) -> Server:
        """Start a process that answers at a socket, and wait until it does."""
        if plan.opening == "broken":
            raise StartFailed("It is broken.", hint="Mend it.", log="tiny")
        if plan.opening == "stuck":
            await asyncio.Event().wait()
        socket = self.folder / f"{plan.id}.sock"
        socket.unlink(missing_ok=True)
        process = Popen(  # noqa: ASYNC220 - it is to outlive this event loop
            [sys.executable, "-P", "-m", "atoll.testing.runners", str(socket)],
            env={**environ, "PATH": os.environ["PATH"]},
            start_new_session=True,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        handle = f"{process.pid} {socket}"
        (self.folder / f"{plan.id}.whose").write_text(
            json.dumps([handle, plan.owner.name, plan.name])
        )
        for _ in range(200):
            if await self.status(handle) is None:
                return Server(handle, str(socket), self.notes)
            await asyncio.sleep(0.05)
        raise StartFailed("The tiny server does not answer.")

    async def status(self, handle: str) -> int | None:
        """Return ``None`` while something accepts connections there."""
        try:
            _, writer = await asyncio.open_unix_connection(handle.partition(" ")[2])
        except OSError:
            return 0
        writer.close()
        return None

    async def stop(self, handle: str, *, now: bool = False) -> None:
        """End it."""
        if await self.status(handle) is None:
            os.kill(int(handle.partition(" ")[0]), signal.SIGKILL if now else signal.SIGTERM)

    async def clear(self, owner: str, name: str) -> None:
        """Note in a file what was to be cleared up."""
        with (self.folder / "cleared").open("a") as out:
            out.write(f"{owner}/{name}\n")

    async def forget(self, owner: str) -> None:
        """Nothing is kept."""

    def gpus(self) -> int:
        """There are none."""
        return 0

    def memory(self) -> Memory:
        """Return what a file says; without it, there is a lot."""
        file = self.folder / "free-memory"
        return Memory(int(file.read_text()) if file.exists() else 2**50)

    async def make_room(self) -> list[Running]:
        """Nothing takes room."""
        return []

    async def running(self) -> list[Running]:
        """Return those that answer."""
        found = []
        for file in self.folder.glob("*.whose"):
            handle, owner, name = json.loads(file.read_text())
            if await self.status(handle) is None:
                since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                found.append(Running(handle, owner, name, since, file.stem))
        return found

    async def usage(self, handle: str) -> Usage | None:
        """Return what the process has used, as the kernel says; see proc(5)."""
        try:
            folder = Path("/proc") / handle.partition(" ")[0]
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pages = int((folder / "statm").read_text().split()[1])
        except OSError:
            return None
        ticks = int(fields[11]) + int(fields[12])
        return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))

    async def remove(self, owner: str, name: str) -> None:
        """Note in a file whose files were to go."""
        with (self.folder / "removed").open("a") as out:
            out.write(f"{owner}/{name}\n")

    async def origin(self, owner: str, name: str) -> str:  # noqa: ARG002
        """Nothing is kept."""
        return ""

    async def renew(
        self,
        owner: str,  # noqa: ARG002
        name: str,  # noqa: ARG002
        old: Tree,  # noqa: ARG002
        new: Tree,  # noqa: ARG002
        *,
        look: bool = False,  # noqa: ARG002
    ) -> Renewal:
        """Nothing is kept."""
        return NOTHING

    async def size(self, owner: str, name: str) -> int:  # noqa: ARG002
        """Nothing is kept."""
        return 0

    def log(self, handle: str) -> str:  # noqa: ARG002
        """Nothing is logged."""
        return ""


class Answer(BaseHTTPRequestHandler):
    """Answers every GET with its path and the process's JupyterHub variables but the secret."""

    def do_GET(self) -> None:
        """Answer."""
        told = {key: value for key, value in os.environ.items() if not key.endswith("_TOKEN")}
        body = json.dumps({"path": self.path, "pid": os.getpid(), "environ": told}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return something: a unix socket's client has no address."""
        return "socket"


class TinyServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers, each visitor in a thread."""

    daemon_threads = True


if __name__ == "__main__":
    os.umask(0o177)  # the socket is for whoever runs the hub
    TinyServer(sys.argv[1], Answer).serve_forever()
