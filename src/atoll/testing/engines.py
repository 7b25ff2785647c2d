"""Engines: one that pretends to build and to run, and fails when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from atoll.environments import Environment, EnvKey, EnvSpec, Say
from atoll.errors import AtollError
from atoll.servers import Memory, Running, Server, ServerPlan, Usage
from atoll.volumes import Volume
from atoll.volumes.renewal import NOTHING, Renewal, Tree


@dataclass(slots=True)
class FakeBuilder:
    """Says ``lines``, one every ``pause`` seconds, and then has an environment, or ``error``.

    ``ill`` are handles that are not healthy any more; ``own_lab`` says that repositories bring
    theirs; ``built`` counts.
    """

    lines: Sequence[str] = ("Resolved 3 packages", "Installed 3 packages")
    pause: float = 0.0
    error: AtollError | None = None
    ill: set[str] = field(default_factory=set)
    built: int = 0
    engine: str = "fake"
    own_lab: bool = False

    async def build(self, spec: EnvSpec, tree: Path, say: Say) -> Environment:  # noqa: ARG002
        """Pretend."""
        for line in self.lines:
            await asyncio.sleep(self.pause)
            say(line)
        if self.error:
            raise self.error
        self.built += 1
        self.ill.discard(f"fake:{spec.key}")
        python, made = spec.python or "3.12.4", str(self.built)
        handle, own_lab = f"fake:{spec.key}", self.own_lab
        return Environment(spec.key, self.engine, handle, python, made=made, own_lab=own_lab)

    async def healthy(self, handle: str) -> bool:
        """Whether *handle* is not in ``ill``."""
        return handle not in self.ill

    @contextlib.asynccontextmanager
    async def _nothing(self) -> AsyncIterator[None]:
        yield

    def lock(self, key: EnvKey) -> contextlib.AbstractAsyncContextManager[None]:  # noqa: ARG002
        """There is no other process."""
        return self._nothing()


@dataclass(slots=True)
class FakeRunner:
    """Remembers what was started and removed.

    ``sizes`` says how many bytes a server keeps, ``origins`` of which version its files are, and
    ``renewals`` what newer ones change; ``uses`` what a server has used, by its handle; it has run
    since 1970.
    """

    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    origins: dict[tuple[str, str], str] = field(default_factory=dict)
    renewals: dict[tuple[str, str], Renewal] = field(default_factory=dict)
    started: list[ServerPlan] = field(default_factory=list)
    uses: dict[str, Usage] = field(default_factory=dict)
    removed: list[tuple[str, str]] = field(default_factory=list)
    gpus_there: int = 0
    engine: str = "fake"

    async def start(self, plan: ServerPlan, environ: Mapping[str, str]) -> Server:  # noqa: ARG002
        """Pretend."""
        self.started.append(plan)
        return Server(handle=plan.id, socket=f"/nowhere/{plan.id}.sock")

    async def status(self, handle: str) -> int | None:
        """Whatever was started runs for ever."""
        return None if any(plan.id == handle for plan in self.started) else 0

    async def stop(self, handle: str, *, now: bool = False) -> None:  # noqa: ARG002
        """Forget it."""
        self.started = [plan for plan in self.started if plan.id != handle]

    async def clear(self, owner: str, name: str) -> None:
        """Nothing is ever left."""

    async def forget(self, owner: str) -> None:
        """Nothing is kept."""

    async def make_room(self) -> list[Running]:
        """Nothing takes room."""
        return []

    def gpus(self) -> int:
        """Return what ``gpus_there`` says."""
        return self.gpus_there

    def memory(self) -> Memory:
        """There is a lot."""
        return Memory(2**50)

    async def running(self) -> list[Running]:
        """Return whatever was started."""
        first = datetime.fromtimestamp(0, UTC)
        return [Running(one.id, one.owner.name, one.name, first, one.id) for one in self.started]

    async def usage(self, handle: str) -> Usage | None:
        """Return what ``uses`` says."""
        return self.uses.get(handle)

    async def remove(self, owner: str, name: str) -> None:
        """Note it."""
        self.removed.append((owner, name))
        self.sizes.pop((owner, name), None)

    async def origin(self, owner: str, name: str) -> str:
        """Return what ``origins`` says."""
        return self.origins.get((owner, name), "")

    async def renew(
        self,
        owner: str,
        name: str,
        old: Tree,  # noqa: ARG002
        new: Tree,
        *,
        look: bool = False,
    ) -> Renewal:
        """Return what ``renewals`` says, and note of which version the files are then."""
        if not look:
            self.origins[owner, name] = new.version
        return self.renewals.get((owner, name), NOTHING)

    async def size(self, owner: str, name: str) -> int:
        """Return what ``sizes`` says."""
        return self.sizes.get((owner, name), 0)

    def log(self, handle: str) -> str:
        """Nothing was printed."""
        return f"nothing was printed by {handle}"


@dataclass(slots=True)
class FakeFiles:
    """Remembers which volumes have files; ``sizes`` says how many bytes, ``used`` by whom."""

    kept: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    used: list[tuple[str, str]] = field(default_factory=list)

    async def make(self, volume_id: str) -> None:
        """Note it."""
        self.kept.append(volume_id)

    async def has(self, volume: Volume) -> bool:
        """Whether it was noted."""
        return volume.id in self.kept

    async def size(self, volume: Volume) -> int:
        """Return what ``sizes`` says."""
        return self.sizes.get(volume.id, 0)

    async def copy(self, volume_id: str, new_id: str) -> bool:
        """Note it; a note shares nothing."""
        self.kept.append(new_id)
        self.sizes[new_id] = self.sizes.get(volume_id, 0)
        return False

    async def remove(self, volume_id: str) -> None:
        """Forget it."""
        self.kept = [one for one in self.kept if one != volume_id]

    async def sweep(self, before: datetime) -> None:
        """Nothing is ever half there."""

    def users(self) -> list[tuple[str, str]]:
        """Return what ``used`` says."""
        return self.used


@dataclass(slots=True)
class FakeEngine:
    """Both halves."""

    builder: FakeBuilder = field(default_factory=FakeBuilder)
    runner: FakeRunner = field(default_factory=FakeRunner)
    files: FakeFiles = field(default_factory=FakeFiles)
