"""Environments: what a server runs in, made once for the same ingredients.

An environment is named by what goes into it: repositories asking for the same share one.
This module decides, without I/O of its own; engines build, a `Shelf` remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import NewType, Protocol

from atoll.errors import AtollError, BadSpecification, BuildFailed, Cancelled
from atoll.events import Event, Story, Tell
from atoll.queue import Bound, Place, Queue

EnvKey = NewType("EnvKey", str)
Say = Callable[[str], None]

# What a specification is to blame for, and would fail with again. What else goes wrong in a build
# (the network, a full disk, a missing interpreter, somebody who stops it) may have passed.
REMEMBERED = (BadSpecification, BuildFailed)

UNKNOWN = "Other builds are under way; we cannot say how long they take."


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """What the author asked for, and nothing else that could change the result.

    ``files`` are the specification files as (name, bytes), without their folder; ``python`` is
    the version asked for ("3.9"), or ""; ``as_of`` is the last day of the package index that may
    be seen, or ``None`` where everything is pinned already; ``platform`` is this machine's
    ("x86_64-linux-gnu"); ``tree`` names the whole content where that goes in, else "".
    ``folder`` is where the files stand: "", "binder" or ".binder". ``notes`` are sentences about
    the reading that a person should hear of; they are no ingredients.
    """

    kind: str
    platform: str
    files: tuple[tuple[str, bytes], ...] = ()
    python: str = ""
    as_of: date | None = None
    tree: str = ""
    folder: str = ""
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> EnvKey:
        """A short name for exactly these ingredients (80 bits of SHA-256)."""
        head: tuple[str, ...] = (self.kind, self.platform, self.python, str(self.as_of), self.tree)
        if self.tree:  # only then can a build see where its files stand
            head += (self.folder,)
        digest = hashlib.sha256("\0".join(head).encode() + b"\0")
        for name, body in sorted(self.files):
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        return EnvKey(digest.hexdigest()[:20])


@dataclass(frozen=True, slots=True)
class Environment:
    """Something a server can start in. Only its own engine understands ``handle``.

    ``python`` is the version that was really taken ("3.9.18"); ``notes`` are sentences about
    choices that a person should hear of ("No Python 3.5 here; 3.6 was taken instead.").
    ``own_lab`` says that the repository brought its own Jupyter server. ``made`` tells it from one
    of the same key that was made before.
    """

    key: EnvKey
    engine: str
    handle: str
    python: str = ""
    as_of: date | None = None
    notes: tuple[str, ...] = ()
    own_lab: bool = False
    made: str = ""


@dataclass(frozen=True, slots=True)
class ShelvedEnvironment:
    """An environment on a shelf, when it was made and when it was last asked for (UTC).

    A *pinned* one is never pruned, however long nobody asks for it.
    """

    environment: Environment
    made: datetime
    used: datetime
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class ShelvedFailure:
    """Why the last build of an environment failed, and when that was (UTC)."""

    error: AtollError
    at: datetime

    @property
    def when(self) -> str:
        """When it was, for a sentence."""
        return f"on {self.at.day} {self.at:%B %Y at %H:%M} UTC"

    def again(self) -> AtollError:
        """Return the error to raise instead of building: it says that nothing was tried."""
        hint = f"It failed {self.when}, and was not tried again; --retry or “Try again” does that."
        return type(self.error)(
            str(self.error), hint=f"{self.error.hint} {hint}".strip(), log=self.error.log
        )


class Builder(Protocol):
    """The part of an engine that makes environments, from a spec and nothing else."""

    engine: str

    async def build(self, spec: EnvSpec, tree: Path, say: Say) -> Environment:
        """Make it, narrating to *say*, or raise `BuildFailed`; leave nothing half made.

        One of the same key that is there already stays until the new one is whole, and then for
        as long as a server runs in it.

        *tree* is the checkout; it is looked at only when ``spec.tree`` is not empty.
        Cancelling the task stops the build and everything that it started.
        """
        ...

    async def healthy(self, handle: str) -> bool:
        """Whether a server could start in it now: disks get wiped, Pythons removed."""
        ...

    def lock(self, key: EnvKey) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold *key* against every other process that shares this engine's storage."""
        ...


class Shelf(Protocol):
    """Where finished environments, and the reasons of failed builds, are remembered."""

    async def get(self, key: EnvKey, engine: str) -> Environment | None:
        """Return what was put last, if anything, and note that it was used."""
        ...

    async def put(self, environment: Environment) -> None:
        """Remember *environment*, replacing; forget a failure of the same key."""
        ...

    async def failure(self, key: EnvKey, engine: str) -> ShelvedFailure | None:
        """Return why the last build of *key* failed, if the last one did."""
        ...

    async def put_failure(self, key: EnvKey, engine: str, error: AtollError) -> None:
        """Remember that the last build of *key* failed with *error*."""
        ...

    async def all(self) -> list[ShelvedEnvironment]:
        """Return every environment, the most lately used first."""
        ...

    async def pin(self, key: EnvKey, engine: str, *, pinned: bool) -> None:
        """Pin the environment, or not any more; that outlives its being made anew.

        Raises `NotFound` where there is none.
        """
        ...

    async def drop(self, key: EnvKey, engine: str) -> None:
        """Forget the environment and its failure; forgetting what is not there is fine."""
        ...


@dataclass(slots=True)
class _Build:
    """One build that is under way, and how many wait for it."""

    task: asyncio.Task[Environment]
    story: Story
    waiting: int = 0


@dataclass(slots=True)
class Environments:
    """Hands out one engine's environments, building only what is missing.

    ``grace`` is how long, in seconds, a build for which nobody waits any more goes on.
    ``width`` is how many builds may run at once.
    """

    builder: Builder
    shelf: Shelf
    grace: float = 60.0
    width: int = 2
    _running: dict[EnvKey, _Build] = field(default_factory=dict)
    _queue: Queue = field(init=False)

    def __post_init__(self) -> None:
        self._queue = Queue(self.width, lambda building: [Bound(self.width - building, UNKNOWN)])

    async def find(self, spec: EnvSpec) -> Environment | None:
        """Return the environment if it is there and healthy; never build."""
        known = await self.shelf.get(spec.key, self.builder.engine)
        return known if known and await self.builder.healthy(known.handle) else None

    async def ensure(
        self,
        spec: EnvSpec,
        tree: Path,
        tell: Tell,
        *,
        retry: bool = False,
        rebuild: bool = False,
        whose: str = "",
    ) -> Environment:
        """Return a working environment; callers wanting one at once share the build and its log.

        If other builds come first it waits in line, where *whose* builds share their turns.

        A build that failed for its specification is not tried again unless *retry* is true: its
        error is raised anew and says so (see `REMEMBERED`). With *rebuild* it is made anew even if
        it is there; should that fail, it stays. Cancelling the last waiter cancels the build after
        ``grace`` seconds.
        """
        build = self._running.get(spec.key)
        if build is None:
            if not rebuild and (known := await self.find(spec)):
                return known
            failed = await self.shelf.failure(spec.key, self.builder.engine)
            if failed and not (retry or rebuild):
                tell(Event("build", f"This build failed {failed.when}; it is not tried again"))
                raise failed.again()
            tell(Event("build", f"Building environment {spec.key}"))
            build = self._running.get(spec.key) or self._begin(spec, tree, whose, rebuild)
        return await self._wait(spec.key, build, tell)

    def _begin(self, spec: EnvSpec, tree: Path, whose: str, rebuild: bool) -> _Build:
        story = Story()
        build = _Build(asyncio.create_task(self._build(spec, tree, story, whose, rebuild)), story)
        self._running[spec.key] = build

        def done(_: object) -> None:
            self._running.pop(spec.key, None)
            story.end()

        build.task.add_done_callback(done)
        return build

    async def _build(
        self, spec: EnvSpec, tree: Path, story: Story, whose: str, rebuild: bool
    ) -> Environment:
        def say(line: str) -> None:
            story.tell(Event("build", line, detail=True))

        waited = False

        def tell(place: Place) -> None:
            nonlocal waited
            waited = True
            story.tell(Event("build", str(place)))

        async with self._queue.turn(whose or spec.key, tell), self.builder.lock(spec.key):
            if waited:
                story.tell(Event("build", f"Building environment {spec.key}"))
            if not rebuild and (known := await self.find(spec)):  # another process has built it
                return known
            try:
                environment = await self.builder.build(spec, tree, say)
            except AtollError as error:
                if rebuild and await self.find(spec):
                    error.hint = f"{error.hint} The environment of before is still there.".strip()
                elif isinstance(error, REMEMBERED):
                    await self.shelf.put_failure(spec.key, self.builder.engine, error)
                raise
            await self.shelf.put(environment)  # only once whole: a crash is a miss, not a lie
            return environment

    async def _wait(self, key: EnvKey, build: _Build, tell: Tell) -> Environment:
        build.waiting += 1
        try:
            async for _, event in build.story.follow():
                tell(event)
            return await asyncio.shield(build.task)
        except asyncio.CancelledError:
            if build.task.cancelled():
                raise Cancelled("The build was stopped: nobody waited for it any more.") from None
            raise
        finally:
            build.waiting -= 1
            if not build.waiting and not build.task.done():
                asyncio.get_running_loop().call_later(self.grace, self._abandon, key, build)

    def _abandon(self, key: EnvKey, build: _Build) -> None:
        if not build.waiting and not build.task.done() and self._running.get(key) is build:
            build.task.cancel()

    @contextlib.asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """Cancel whatever is still being built on the way out."""
        try:
            yield
        finally:
            tasks = [build.task for build in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
