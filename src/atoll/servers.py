"""Servers: a plan for a running JupyterLab, and the thing itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from atoll.environments import Environment
from atoll.errors import Busy
from atoll.people import Person
from atoll.sources import ResolvedRef, written
from atoll.volumes import Content, Mount
from atoll.volumes.renewal import Renewal, Tree


class Network(StrEnum):
    """What a server may reach: nothing; outside hosts but no private address; or all we can."""

    NONE = "none"
    INTERNET = "internet"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a server may use: processors, bytes of memory, processes, and whole GPUs."""

    cpus: float = 2.0
    memory: int = 2 * 1024**3
    processes: int = 512
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Ends:
    """When a server is stopped: after seconds of life, and after seconds without use.

    0 is never; ``None`` is whatever the operator has set by then.
    """

    lifetime: float | None = None
    idle: float | None = None


DEFAULT_LIMITS = Limits()
NO_ENDS = Ends()
SHORT = 7  # characters that tell a version from others, as git shows them


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """Everything an engine needs to start a server; a value, so it can be stored and shown.

    ``name`` is the server's, a JupyterHub slug. ``opening`` is the URL path inside the server
    at which a person lands ("lab/tree/index.ipynb"). ``start`` is the path, inside the content,
    of the author's start script, or "". Where the environment is another repository's than the
    content, ``environment_ref`` is that one's version, and ``script`` the text of its start
    script, for bash, or "". ``mounts`` are what its owner could have when the plan was made.
    ``title`` is what people call it by, or ""; ``ends`` is when its person wants it stopped. These
    two are the server's whatever it runs, and those of its newest plan. ``shared`` says that
    others are let in as it starts. A plan never holds a secret.
    """

    id: str
    owner: Person
    name: str
    ref: ResolvedRef
    environment: Environment
    content: Content
    opening: str = "lab"
    start: str = ""
    limits: Limits = DEFAULT_LIMITS
    network: Network = Network.INTERNET
    environment_ref: ResolvedRef | None = None
    script: str = ""
    mounts: tuple[Mount, ...] = ()
    shared: bool = False
    title: str = ""
    ends: Ends = NO_ENDS

    @property
    def called(self) -> str:
        """What people know it by."""
        return self.title or self.name

    @property
    def aside(self) -> bool:
        """Whether it makes way for others' servers: it is a visitor's, or a copy."""
        return self.owner.visitor or self.content.copied is not None

    @property
    def reference(self) -> str:
        """What was launched, as a person would write it."""
        theirs = self.environment_ref
        return written(self.ref.repo, theirs.repo if theirs else None)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was asked for.

    ``handle`` is a string that survives a hub restart; ``socket`` is the unix socket at which
    the server answers; ``notes`` are sentences about what could not be had as planned
    ("No network helper here: this server has no network.").
    """

    handle: str
    socket: str
    notes: tuple[str, ...] = ()


def older_files(plan: ServerPlan, version: str) -> str:
    """Return what a person is told whose kept files are of *version*, not *plan*'s; or "".

    Files that a person may have changed are never replaced. *version* may be "": not known.
    """
    wanted = plan.ref
    if not version or version == wanted.version:
        return ""
    new = wanted.version[:SHORT]
    asked = wanted.repo.version
    now = f"{asked} is now {new}"
    if asked == "HEAD":
        now = f"the newest version is now {new}"
    elif wanted.version.startswith(asked):
        now = f"you asked for {new}"
    return (
        f"Your files are of version {version[:SHORT]}, as you left them; {now}, and so is the "
        f"environment. "
        f"Updating {plan.called} brings the newer ones in, and loses nothing of yours."
    )


def too_many(most: int, names: Collection[str]) -> Busy:
    """Return what somebody is told who may have *most* servers, and has those called *names*."""
    some = ", ".join(sorted(names)[:10])
    return Busy(
        f"You have no room for another server: one person may have {most} running or starting.",
        hint=f"Stop one that you do not need{f': {some}' if some else ''}.",
    )


class Why(StrEnum):
    """Why a server was stopped although its person has not asked for it."""

    IDLE = "idle"
    AGE = "age"
    TAKEN_BACK = "taken back"  # it was a copy, and the original's owner has ended the copies
    ROOM = "room"  # the disk was nearly full, and it was one that makes way


@dataclass(frozen=True, slots=True)
class Stop:
    """That *owner*'s server was stopped at a moment (UTC) although they had not asked for it."""

    owner: str
    name: str
    at: datetime
    why: Why


class Stops(Protocol):
    """Where it is remembered why servers were stopped that their people had not asked to stop."""

    async def put(self, stop: Stop) -> None:
        """Remember *stop*, instead of the one before of the same server."""
        ...

    async def latest(self, owner: str) -> Mapping[str, Stop]:
        """Return the last one of each of *owner*'s servers; it may have run again since."""
        ...


@dataclass(frozen=True, slots=True)
class Companion:
    """A program that a runner wants kept running beside the hub, and can do without.

    Its environment is exactly ``environ``; ``socket`` is where it takes connections for packets
    (SOCK_SEQPACKET) once it does its work.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    socket: Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory where servers run, in bytes.

    ``free`` is what can be had without harm; ``each`` is what a server that runs takes for itself
    on average, 0 if that is not known.
    """

    free: int
    each: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, by its handle, since when (UTC), and the id of the plan it runs."""

    handle: str
    owner: str
    name: str
    started: datetime
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server has used: seconds of processors since it started, and bytes of memory now."""

    cpu: float
    memory: int


class Plans(Protocol):
    """Where plans wait until somebody starts them."""

    async def put(self, plan: ServerPlan) -> None:
        """Remember *plan* under its id."""
        ...

    async def get(self, plan_id: str, owner: str) -> ServerPlan:
        """Return *owner*'s plan, or raise `NotFound`: somebody else's plan is not there."""
        ...

    async def latest(self, owner: str) -> Mapping[str, tuple[ServerPlan, datetime]]:
        """Return *owner*'s newest plan for each server name, and when it was made (UTC)."""
        ...

    async def newest(self, owner: str, name: str) -> ServerPlan | None:
        """Return the newest plan of *owner*'s server *name*, if there is one."""
        ...

    async def any_ends(self) -> bool:
        """Say whether anybody's plan says when its server is stopped."""
        ...

    async def retitle(self, owner: str, name: str, title: str) -> None:
        """Have the newest plan of *owner*'s server *name* say *title*, or raise `NotFound`."""
        ...

    async def kept(self) -> list[ServerPlan]:
        """Return the newest plan of every server of everybody's that is not temporary."""
        ...

    async def copies(self, owner: str, name: str) -> set[tuple[str, str]]:
        """Return the owners and names of the copies of *owner*'s server *name*, running or not."""
        ...

    async def forget(self, owner: str, name: str) -> None:
        """Forget every plan of *owner*'s server *name*."""
        ...


class Runner(Protocol):
    """The part of an engine that runs servers."""

    engine: str

    def companions(self) -> tuple[Companion, ...]:
        """Return the programs that make its starts quicker while they run."""
        ...

    async def start(self, plan: ServerPlan, environ: Mapping[str, str]) -> Server:
        """Bring *plan* up and return once it listens, or raise `StartFailed`.

        *environ* is what the server's process needs to know: JupyterHub's variables (then it
        becomes a JupyterHub single-user server) or ``JUPYTER_TOKEN`` and ``ATOLL_BASE_URL``.
        It may hold secrets and goes neither to a command line nor to a log.
        """
        ...

    async def status(self, handle: str) -> int | None:
        """Return ``None`` while it runs, else its exit status (0 if that is not known)."""
        ...

    async def stop(self, handle: str, *, now: bool = False) -> None:
        """Take it down, gently unless *now*; stopping what is already gone is fine."""
        ...

    async def clear(self, owner: str, name: str) -> None:
        """Stop and clear up whatever is left of *owner*'s server *name*, be it half started."""
        ...

    def gpus(self) -> int:
        """Return how many GPUs one of its servers can have; at once."""
        ...

    def memory(self) -> Memory:
        """Return how much memory there is, and what a server takes; at once, as it is asked often.

        Where that is not known, there is any amount.
        """
        ...

    async def running(self) -> list[Running]:
        """Return every server that runs now, whoever has started it."""
        ...

    async def usage(self, handle: str) -> Usage | None:
        """Return what a server that runs has used, or ``None`` if it is gone or that is unknown.

        As long as it runs, its seconds never become fewer.
        """
        ...

    async def make_room(self) -> list[Running]:
        """Take servers down that make way (`ServerPlan.aside`) where the disk is nearly full.

        Return them, those first that had taken most. It is called every second.
        """
        ...

    async def remove(self, owner: str, name: str) -> None:
        """Delete the kept files of *owner*'s stopped server *name*; there may be none."""
        ...

    async def size(self, owner: str, name: str) -> int:
        """Return how many bytes the kept files of *owner*'s server *name* take."""
        ...

    async def origin(self, owner: str, name: str) -> str:
        """Return the version of which the kept files of *owner*'s server *name* are, or ""."""
        ...

    async def renew(
        self, owner: str, name: str, old: Tree, new: Tree, *, look: bool = False
    ) -> Renewal:
        """Bring what differs between *old* and *new* into the kept files, which were of *old*.

        So is what the build of *new*'s environment has made of them, and was by whose they were.

        The server may run meanwhile. With *look*, nothing is done, and said what would be. Nothing
        that its person has made or changed is lost. Raises `StartFailed`.
        """
        ...

    async def forget(self, owner: str) -> None:
        """Let go of what is kept for *owner*, who is no more, and has no server or file left."""
        ...

    def log(self, handle: str) -> str:
        """Return what the server has printed, the last 256 KiB of it."""
        ...
