"""Mortal: Atoll's web service in a process of its own, to be killed at any step and begun again.

``python -m support.mortal`` imports everything once and forks a service for each line of JSON, so
that a new one is there within moments. Database, sources, volumes' files and pages are real; the
builder and the hub are stand-ins, of which the hub outlives the service as JupyterHub does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
import uvicorn
from sqlalchemy import event

from atoll.engines.local.named_volumes import LocalFiles
from atoll.engines.local.runner import LocalRunner
from atoll.settings import settings_from
from atoll.stores.sql import open_store
from atoll.testing.engines import FakeBuilder
from atoll.testing.sources import FakeSource
from atoll.web.__main__ import private_socket
from atoll.web.app import make_app, make_site
from atoll.web.hub_api import HubApi
from support.hub_stand_in import SERVICE_TOKEN, HubStandIn
from support.web_service import PLACE, wired

TESTS = Path(__file__).parents[1]
PATIENCE = 30  # seconds; the machine may be busy
USED = (  # what a service imports only when it uses it
    "httpcore2",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)


class Mortals:
    """The process that forks services, for the length of a with block."""

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "support.mortal"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, cwd=TESTS, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def born(self, **told: Any) -> int:
        """Fork a service that is *told* what `serve` takes; return its process id."""
        self.process.stdin.write(f"{json.dumps(told)}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@dataclass
class Life:
    """One service after another in *folder*, with *tables* of ``atoll.toml`` and a *hub*'s address.

    ``fuse`` says after how many steps the next one dies: a step is a commit that is about to be
    made, a question to the hub, its answer, and a folder that was made or deleted.
    """

    mortals: Mortals
    folder: Path
    repositories: dict[str, dict[str, str]]
    hub: str
    tables: dict[str, Any] = field(default_factory=dict)
    pid: int = 0

    @property
    def socket(self) -> Path:
        return self.folder / "web.sock"

    def begin(self) -> None:
        """Have a service, and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        told = {"folder": str(self.folder), "repositories": self.repositories}
        self.pid = self.mortals.born(**told, hub=self.hub, tables=self.tables)
        self._watch = os.pidfd_open(self.pid)
        late = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.alive(), "the service did not start"
            assert time.monotonic() < late
            time.sleep(0.005)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.connect(str(self.socket))
            return True
        return False

    def alive(self, seconds: float = 0) -> bool:
        """Say whether it lives, or still does after *seconds*."""
        return not select.select([self._watch], [], [], seconds)[0]

    def burn(self, steps: int) -> None:
        """Have it die at the step of that number from now."""
        (self.folder / "fuse").write_text(str(steps))

    def end(self, number: int = signal.SIGKILL) -> None:
        """Kill -9 it, or tell it to end; it may be dead already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        assert not self.alive(PATIENCE)
        os.close(self._watch)
        (self.folder / "fuse").unlink(missing_ok=True)


class Ways(httpx2.AsyncBaseTransport):
    """The way of a browser through the proxy: to the hub's pages, else to the service."""

    def __init__(self, socket: Path, hub: HubStandIn) -> None:
        self.hub = httpx2.ASGITransport(app=hub.app())
        self.web = httpx2.AsyncHTTPTransport(uds=str(socket), verify=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        to_hub = request.url.path.startswith(("/hub/", "/user/"))
        return await (self.hub if to_hub else self.web).handle_async_request(request)

    async def aclose(self) -> None:
        await self.web.aclose()


class Fuse:
    """Counts the steps of this process, and kills it -9 at the one that a file says."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def step(self, *_: object) -> None:
        try:
            left = int(self.file.read_text())
        except FileNotFoundError:
            return
        if left <= 1:
            os.kill(os.getpid(), signal.SIGKILL)
        self.file.write_text(str(left - 1))


class Asking(httpx2.AsyncHTTPTransport):
    """Asks the hub, which is a step, and its answer another."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(verify=False)  # there is no TLS, and certificates take long to load
        self.fuse = fuse

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.fuse.step()
        answer = await super().handle_async_request(request)
        self.fuse.step()
        return answer


class Files(LocalFiles):
    """Real folders, each of which is a step."""

    def __init__(self, *parts: Any, fuse: Fuse) -> None:
        super().__init__(*parts)
        self.fuse = fuse

    async def make(self, volume_id: str) -> None:
        await super().make(volume_id)
        self.fuse.step()

    async def remove(self, volume_id: str) -> None:
        await super().remove(volume_id)
        self.fuse.step()


@dataclass
class Engine:
    builder: FakeBuilder
    runner: LocalRunner
    files: Files


def serve(folder: str, repositories: dict[str, dict[str, str]], hub: str, tables: dict) -> None:
    """Be the service in *folder*, at the socket ``web.sock`` there, until told to end."""
    place = Path(folder)
    fuse = Fuse(place / "fuse")
    settings = settings_from({"data": folder, **tables})
    runner = LocalRunner(settings)
    engine = Engine(FakeBuilder(), runner, Files(settings, runner.records, fuse=fuse))
    served = {
        where: {name: text.encode() for name, text in one.items()}
        for where, one in repositories.items()
    }
    store = open_store(settings)
    event.listen(store.database.engine.sync_engine, "commit", fuse.step)
    atoll = wired(settings, store, engine, FakeSource(place / "checkouts", served))
    headers = {"Authorization": f"token {SERVICE_TOKEN}"}
    http = httpx2.AsyncClient(
        transport=Asking(fuse), base_url=f"{hub}/hub/api", headers=headers, timeout=PATIENCE
    )
    app = make_app(make_site(atoll, HubApi(http), PLACE))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    with private_socket(place / "web.sock") as listening:
        uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    for name in USED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how one ended
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        try:
            serve(**json.loads(line))
        finally:
            os._exit(1)  # how it ends by itself is for nobody; a signal has ended it before


if __name__ == "__main__":
    main()
