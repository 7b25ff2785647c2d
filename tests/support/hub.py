"""A whole installation for tests: the real supervisor, JupyterHub and proxy on a free port."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from atoll.allowances import Ruling
from atoll.environments import Environment, EnvKey
from atoll.hub.places import find_places, write_settings
from atoll.launching.copies import CopyLink
from atoll.names import new_id
from atoll.people import Person
from atoll.servers import ServerPlan
from atoll.settings import settings_from
from atoll.sources import RepoRef, ResolvedRef
from atoll.stores.sql import open_store
from atoll.volumes import Content, Volume

SUPPORT = Path(__file__).parent
PATIENCE = 90  # seconds; the machine may be busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(ask, seconds: float = PATIENCE):
    """Return the first true answer of *ask*, asked again and again."""
    late = time.monotonic() + seconds
    while True:
        with suppress(httpx2.HTTPError, OSError):
            if answer := ask():
                return answer
        assert time.monotonic() < late, f"not within {seconds} s: {ask}"
        time.sleep(0.1)


def a_plan(owner: str, name: str, opening: str = "lab") -> ServerPlan:
    ref = ResolvedRef(
        RepoRef("git", "https://example.org/x"),
        "c" * 40,
        "t" * 40,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    environment = Environment(EnvKey("e" * 20), "tiny", "handle")
    return ServerPlan(
        new_id(), Person(owner), name, ref, environment, Content("/nowhere"), opening=opening
    )


class Installation:
    """`atoll up` in a process of its own, on *data*, with a stand-in for the service, or *service*.

    *tables* are ``atoll.toml``'s.
    """

    def __init__(
        self, data: Path, *, base: str = "", port: int = 0, service: str = "", **tables
    ) -> None:
        self.service = [service] if service else []
        self.port = port or free_port()
        self.settings = settings_from(
            {
                "data": str(data),
                "hub": {
                    "bind": f"http://127.0.0.1:{self.port}/{base}",
                    "config": str(SUPPORT / "tiny_hub_config.py"),
                },
                **tables,
            }
        )
        self.places = find_places(self.settings)
        self.process: subprocess.Popen | None = None
        self.file = data / "given.toml"
        self.output = data / "output.txt"
        self.tiny = data / "tiny"

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        write_settings(self.settings, self.file)
        command = [sys.executable, str(SUPPORT / "run_up.py"), str(self.file), *self.service]
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def start(self) -> None:
        """Start it, and wait until it says that it is there."""
        self.launch()

        def there() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return "Atoll is at" in self.output.read_text()

        eventually(there)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to stop and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def log(self) -> list[dict]:
        return [json.loads(line) for line in self.places.log.read_text().splitlines()]

    def pid(self, name: str) -> int:
        """Return the pid of the newest process *name*."""
        return [one["pid"] for one in self.log() if one["process"] == name and "pid" in one][-1]

    def kill(self, name: str) -> None:
        """Kill -9 the process *name*, and wait until it is gone."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}/exe").exists())

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{self.places.base}{path}"

    def api(self, method: str, path: str, token: str = "", **more) -> httpx2.Response:
        """Ask JupyterHub's API, as Atoll's service unless *token* is somebody else's."""
        token = token or self.places.secret("service_token")
        headers = {"Authorization": f"token {token}"}
        url = self.url(f"hub/api/{path}")
        return httpx2.request(method, url, headers=headers, timeout=60, trust_env=False, **more)

    def person(self, name: str) -> str:
        """Make an ordinary user and return a token with all that they may do."""
        assert self.api("POST", f"users/{name}").status_code in {201, 409}
        answer = self.api("POST", f"users/{name}/tokens", json={})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def put(self, *plans: ServerPlan) -> None:
        """Put *plans* where the spawner looks them up."""

        async def put() -> None:
            store = open_store(self.settings)
            await store.open()
            for plan in plans:
                await store.plans.put(plan)
            await store.close()

        asyncio.run(put())

    def volumes(self, *made: Volume) -> list[Volume]:
        """Record the volumes *made*, and return all that there are."""

        async def put() -> list[Volume]:
            store = open_store(self.settings)
            await store.open()
            for one in made:
                await store.volumes.add(one)
            found = await store.volumes.all()
            await store.close()
            return found

        return asyncio.run(put())

    def copies(self, link: CopyLink | None, *gone: str) -> None:
        """Record *link*, or drop the one of the owner and server *gone*."""

        async def put() -> None:
            store = open_store(self.settings)
            await store.open()
            await (store.copies.put(link) if link else store.copies.drop(*gone))
            await store.close()

        asyncio.run(put())

    def rulings(self, *new: Ruling) -> list[Ruling]:
        """Set what *new* say, and return all that is set."""

        async def put() -> list[Ruling]:
            store = open_store(self.settings)
            await store.open()
            await store.rulings.put(new)
            found = await store.rulings.all()
            await store.close()
            return [*found]

        return asyncio.run(put())

    def run(self, plan: ServerPlan, token: str = "") -> None:
        """Have *plan* started and wait until its server is ready."""
        owner, name = plan.owner.name, plan.name
        path = f"users/{owner}/servers/{name}"
        answer = self.api("POST", path, token, json={"user_options": {"plan": plan.id}})
        assert answer.status_code in {201, 202}, answer.text
        eventually(lambda: self.server(owner, name).get("ready"))

    def server(self, owner: str, name: str) -> dict:
        """Return JupyterHub's model of a server, {} if there is none."""
        answer = self.api("GET", f"users/{owner}?include_stopped_servers=1")
        model = answer.raise_for_status().json()
        return model["servers"].get(name, {})

    def visit(self, path: str, **more) -> httpx2.Response:
        return httpx2.get(self.url(path), timeout=60, trust_env=False, **more)

    def end(self) -> None:
        """Take all down, people's servers as well."""
        if self.process is not None:
            self.stop(signal.SIGTERM)
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes()
                if b"atoll.testing.runners" in words and os.fsencode(self.tiny) in words:
                    os.kill(int(folder.name), signal.SIGKILL)
        shutil.rmtree(self.places.run, ignore_errors=True)
