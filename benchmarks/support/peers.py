"""Peers: a plain `jupyter lab`, and a plain JupyterHub with its own spawner and proxy."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from support.asking import Failed, client, page
from support.processes import begin, end, free_port

from atoll.hub.proxy import LIBRARY, node, proxy_command

PATIENCE = 300.0  # seconds; that a crowd may take, and JupyterHub is told to wait
CREATED, ACCEPTED = 201, 202
CONFIG = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = {proxy}
c.JupyterHub.db_url = "sqlite:///{folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/people/{{username}}"
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = c.Spawner.http_timeout = {patience:.0f}
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.services = [{{"name": "crowd", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{
    "name": "crowd",
    "services": ["crowd"],
    "scopes": ["admin:users", "servers", "access:servers", "list:users"],
}}]
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """A plain `jupyter lab` whose page has answered, ``seconds`` after it was run."""

    base: str
    token: str
    process: subprocess.Popen[bytes]
    begun: float
    seconds: float


@contextlib.asynccontextmanager
async def plain_lab(where: Path) -> AsyncIterator[Lab]:
    """Run `jupyter lab` in *where* until its page answers, and end it again."""
    port, token = free_port(), secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}"]
    command += [f"--IdentityProvider.token={token}", "--allow-root"]
    begun = time.monotonic()
    process = begin(command, where, HOME=str(where))
    try:
        base = f"http://127.0.0.1:{port}/"
        async with client() as http:
            await page(http, f"{base}lab?token={token}")
        yield Lab(base, token, process, begun, time.monotonic() - begun)
    finally:
        await end(process)


@dataclass(frozen=True, slots=True)
class JupyterHub:
    """A plain JupyterHub that runs."""

    url: str
    token: str
    process: subprocess.Popen[bytes]

    async def add(self, names: list[str]) -> None:
        """Make users."""
        async with client(self.token) as http:
            answer = await http.post(f"{self.url}hub/api/users", json={"usernames": names})
            answer.raise_for_status()

    async def launch(self, name: str, *, seconds: float = PATIENCE) -> float:
        """Start *name*'s server and see its Lab; return the seconds. Raises `Failed`."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds), client(self.token) as http:
                answer = await http.post(f"{self.url}hub/api/users/{name}/server")
                if answer.status_code not in {CREATED, ACCEPTED}:
                    raise Failed(f"JupyterHub answered {answer.status_code}: {answer.text[:200]}")
                if answer.status_code == ACCEPTED:
                    await self._started(http, name, seconds)
                await page(http, f"{self.url}user/{name}/lab", seconds=seconds)
        except (TimeoutError, httpx2.HTTPError) as error:
            raise Failed(f"JupyterHub: {error!r}") from error
        return time.monotonic() - begun

    async def _started(self, http: httpx2.AsyncClient, name: str, seconds: float) -> None:
        address = f"{self.url}hub/api/users/{name}/server/progress"
        async with http.stream("GET", address, timeout=seconds) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:") and '"ready": true' in line:
                    return
                if line.startswith("data:") and '"failed": true' in line:
                    raise Failed(f"JupyterHub: {line}")
        raise Failed("JupyterHub's stream ended early.")


@contextlib.asynccontextmanager
async def jupyterhub(where: Path) -> AsyncIterator[JupyterHub]:
    """Serve a JupyterHub with its own spawner in *where*; end it and all servers after."""
    (where / "people").mkdir(parents=True)
    port, token = free_port(), secrets.token_hex(16)
    proxy = Path(proxy_command()[-1]).parent / "node_modules" / LIBRARY / "bin" / LIBRARY
    text = CONFIG.format(
        port=port,
        hub_port=free_port(),
        proxy_port=free_port(),
        proxy=[str(node()), str(proxy)],
        folder=where,
        python=sys.executable,
        patience=PATIENCE,
        token=token,
    )
    (where / "jupyterhub_config.py").write_text(text)
    process = begin([sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"], where)
    try:
        url = f"http://127.0.0.1:{port}/"
        async with client() as http:
            await page(http, f"{url}hub/health")
        yield JupyterHub(url, token, process)
    finally:
        await end(process, 60)
