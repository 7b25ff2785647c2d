"""Installation: `atoll up` in a folder of its own, launches in it as Binder's clients make them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from support.asking import Failed, client, page
from support.processes import (
    Weight,
    begin,
    calm,
    end,
    everybody,
    free_port,
    parent,
    title,
    weight,
)

from atoll.engines.local.forking.client import answers, place
from atoll.engines.local.records import Record
from atoll.engines.local.runner import LocalRunner
from atoll.hub.places import Places, find_places, write_settings
from atoll.people import VISITOR
from atoll.settings import Settings, settings_from
from atoll.web.hub_api import HubApi, hub_client

GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org")
PATIENCE = 300.0  # seconds for a launch
MANY = 1000


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch that is over.

    ``ready`` and ``page`` are the seconds from the request until Binder's event and until the Lab's
    page.
    """

    url: str
    token: str
    ready: float
    page: float


@dataclass(slots=True)
class Installation:
    """An installation that runs, the process that runs it, and a repository to launch."""

    settings: Settings
    places: Places
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    repository: Path

    def begin(self) -> None:
        """Run it again, after it has ended."""
        self.process = begin(self.command, self.repository.parent)

    @property
    def runner(self) -> LocalRunner:
        """Return what knows its boxes."""
        return LocalRunner(self.settings)

    def hub(self) -> HubApi:
        """Return JupyterHub's interface, as Atoll's service sees it."""
        return HubApi(hub_client(self.places.hub_api, self.places.secret("service_token")))

    async def launch(self, *, token: str = "", see: bool = True) -> Launched:
        """Launch the repository and, unless told not to, *see* the Lab. Raises `Failed`.

        As a visitor, or as whoever's *token* it is.
        """
        try:
            async with asyncio.timeout(PATIENCE), client(seconds=PATIENCE) as http:
                begun = time.monotonic()
                url, key = await self._built(http, token)
                ready = time.monotonic() - begun
                if see:
                    await page(http, f"{url}lab?token={key}", seconds=PATIENCE)
                return Launched(url, key, ready, time.monotonic() - begun)
        except TimeoutError as error:
            raise Failed(f"The launch took more than {PATIENCE:.0f} s.") from error
        except httpx2.HTTPError as error:
            raise Failed(f"The launch broke off: {error!r}") from error

    async def _built(self, http: httpx2.AsyncClient, token: str) -> tuple[str, str]:
        spec = quote(f"file://{self.repository}", safe="")
        headers = {"Accept": "text/event-stream"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        address = f"{self.places.url}build/git/{spec}/HEAD"
        async with http.stream("GET", address, headers=headers) as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                event = json.loads(line[6:])
                if event["phase"] == "failed":
                    raise Failed(event["message"])
                if event["phase"] == "ready":
                    return event["url"], event["token"]
        raise Failed(f"The stream ended early, with status {answer.status_code}.")

    async def clear(self) -> None:
        """Have JupyterHub stop every visitor's server, and forget the visitors."""
        hub = self.hub()
        async with hub.http:
            names = [one.name for one in await hub.users(VISITOR)]
            for start in range(0, len(names), 10):
                some = names[start : start + 10]
                await asyncio.gather(*map(hub.remove_user, some), return_exceptions=True)
        for record, _ in list(self.runner.records.all()):
            if record.owner in names:
                await self.runner.stop(record.handle, now=True)

    def records(self) -> dict[str, Record]:
        """Return what is known of each server that runs, by the path of its address."""
        running = (record for record, alive in self.runner.records.all() if alive)
        return {f"/user/{one.owner}/{one.name}/": one for one in running}

    def weights(self, some: Iterable[Launched]) -> list[dict[str, Weight]]:
        """Return for each what its parts weigh: the server itself, its kernels, and its box."""
        records = self.records()
        spaces: dict[int, list[int]] = defaultdict(list)
        networks = {}
        for pid in everybody():  # once: of hundreds of servers there are thousands
            spaces[_space(pid)].append(pid)
            if "slirp4netns" in title(pid).partition(" ")[0]:
                networks[pid] = _pipes(pid)
        return [_parts(records[urlsplit(one.url).path], spaces, networks) for one in some]


def _parts(
    record: Record, spaces: Mapping[int, list[int]], networks: Mapping[int, set[str]]
) -> dict[str, Weight]:
    inside = spaces[_space(record.init)]
    pipes = _pipes(box := parent(record.init)) | _pipes(record.init)
    helpers = [pid for pid, theirs in networks.items() if theirs & pipes]
    kernels = [pid for pid in inside if "ipykernel" in title(pid)]
    lab = [pid for pid in inside if pid not in {record.init, *kernels}]
    return {
        "lab": weight(lab),
        "kernels": weight(kernels),
        "box": weight([record.init, box]),
        "network": weight(helpers),
    }


def _space(pid: int) -> int:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    return 0


def _pipes(pid: int) -> set[str]:
    """Return the pipes that *pid* has open."""
    found = set()
    with contextlib.suppress(OSError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(one.readlink()))
    return {one for one in found if one.startswith("pipe:")}


@contextlib.asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """Give a folder that is removed again."""
    name = Path(tempfile.mkdtemp(prefix="atoll-bench-"))
    try:
        yield name
    finally:
        shutil.rmtree(name, ignore_errors=True)


@contextlib.asynccontextmanager
async def installation(
    where: Path, *, warm: bool = True, rules: Mapping[str, Mapping[str, Any]] | None = None
) -> AsyncIterator[Installation]:
    """Serve an installation in *where* that lets many visitors in, and stops servers that idle.

    If *warm*, its fork server answers and the repository's environment is built. *rules* are
    sections of its settings file, and come before ours.
    """
    ours: dict[str, Mapping[str, Any]] = {
        "hub": {"bind": f"http://127.0.0.1:{free_port()}"},
        "access": {"anonymous": True, "per_address": MANY, "total": MANY},
        "sources": {"allow": [str(where)]},
        "servers": {"idle": "12h"},
    }
    given = rules or {}
    sections = {**given, **{name: {**ours[name], **given.get(name, {})} for name in ours}}
    settings = settings_from({"data": str(where / "data"), **sections})
    places = find_places(settings)
    write_settings(settings, file := where / "atoll.toml")
    command = [sys.executable, "-P", "-m", "atoll.cli", "--config", str(file), "up"]
    here = Installation(settings, places, command, begin(command, where), _repository(where))
    try:
        async with client() as http:
            await page(http, f"{places.url}health")
        until = time.monotonic() + PATIENCE
        while here.runner.companions() and not await answers(place(settings)):
            if time.monotonic() > until:
                raise Failed("The fork server does not answer.")
            await asyncio.sleep(0.2)
        if warm:
            for _ in range(2):  # the first one builds
                await here.launch()
            await here.clear()
        await calm()
        yield here
    finally:
        await end(here.process)
        for record, _ in list(here.runner.records.all()):
            await here.runner.stop(record.handle, now=True)
        shutil.rmtree(places.run, ignore_errors=True)


def _repository(where: Path) -> Path:
    """Make a repository that asks for nothing: it gets the default environment."""
    repository = where / "repository"
    repository.mkdir()
    (repository / "README.md").write_text("# A repository to launch\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "bench"]):
        subprocess.run([*GIT, *words], cwd=repository, check=True)
    return repository
