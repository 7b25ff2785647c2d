"""The runner: servers as boxes that outlive whoever started them.

What is known of them stands in their folders: see `records`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from atoll.disk import discard, remove
from atoll.engines.local import (
    cgroups,
    commands,
    generations,
    memory,
    mounting,
    neighbours,
    room,
    sandbox,
    seccomp,
    usage,
)
from atoll.engines.local.copying import fill_copy
from atoll.engines.local.forking import client as forking
from atoll.engines.local.forking.nursery import Nursery
from atoll.engines.local.owners import forget_person, give, person_owner
from atoll.engines.local.records import Record, Records
from atoll.engines.local.renewal import made_of, renew
from atoll.engines.local.sandbox import Box
from atoll.engines.local.volumes import claim, fill, kept_home, origin, size
from atoll.errors import StartFailed
from atoll.folders import run_folder
from atoll.names import new_id
from atoll.servers import Companion, Memory, Running, Server, ServerPlan, Usage, older_files
from atoll.settings import Settings
from atoll.volumes.renewal import Renewal, Tree

PATIENCE = 120.0  # seconds that a server may take to listen
GENTLE = 10.0  # seconds that a server may take to end by itself
MEASURING = 10.0  # seconds for which it is believed how much memory a server takes
SAMPLE = 30  # servers that are looked at for that
INNER = "box"  # the folder beside a server's socket that its box sees and writes to


@dataclass(slots=True)
class LocalRunner:
    """Runs servers on this machine."""

    settings: Settings
    engine: str = "local"
    records: Records = field(init=False)
    nursery: Nursery = field(init=False)
    _children: dict[str, sandbox.Running] = field(default_factory=dict)
    _callers: dict[str, socket.socket] = field(default_factory=dict)
    _spent: dict[str, float] = field(default_factory=dict)  # seconds, the most that were seen
    _each: tuple[float, int] = (-math.inf, 0)  # when it was measured, and what a server takes

    def __post_init__(self) -> None:
        """Look at the machine's servers; have a nursery, with nothing in it."""
        self.records = Records(self.settings)
        self.nursery = Nursery(self.settings)

    def companions(self) -> tuple[Companion, ...]:
        """Return the fork server, where there can be one."""
        if not (self.settings.servers.forks and seccomp.supported()):
            return ()
        path = forking.place(self.settings)
        command = (*cgroups.neighbour(), *forking.command(self.settings))
        return (Companion("fork server", command, forking.ENVIRON, path),)

    async def start(self, plan: ServerPlan, environ: Mapping[str, str]) -> Server:
        """Bring *plan* up (see `atoll.servers.Runner`)."""
        if plan.aside and room.beyond(self.settings.data) < 0:
            raise room.none_aside()
        await self.clear(plan.owner.name, plan.name)
        handle = new_id()
        record = await asyncio.to_thread(self._start, handle, plan, environ)
        try:
            await self._listening(record)
        except BaseException:
            await asyncio.shield(self.stop(handle, now=True))
            raise
        return Server(handle, record.socket, record.notes)

    async def status(self, handle: str) -> int | None:
        """Return ``None`` while it runs, else its exit status or 0."""
        self.records.cut_log(handle)
        child = self._children.get(handle)
        if child and (code := child.process.poll()) is not None:
            sandbox.end(child)  # whatever it has left behind
            return code
        record = self.records.find(handle)
        return None if record and record.alive else 0

    async def stop(self, handle: str, *, now: bool = False) -> None:
        """Ask the server to end, insist after some seconds, and clear up."""
        record = self.records.find(handle)
        if record is None:
            return
        if not now:
            for pid in _servers_of(record) if record.alive else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + GENTLE
            while record.alive and time.monotonic() < until:  # noqa: ASYNC110 - not our child
                await asyncio.sleep(0.05)
        await asyncio.to_thread(self._clear, record)

    async def clear(self, owner: str, name: str) -> None:
        """Stop and clear up what is left of a server, also of a hub that died in between."""
        for left, _ in list(self.records.all()):
            if (left.owner, left.name) == (owner, name):
                await self.stop(left.handle)

    def gpus(self) -> int:
        """Return 0: a box sees no device of the machine's, and no driver's libraries."""
        return 0

    def memory(self) -> Memory:
        """Return what the kernel believes can be had, and what a box has for itself on average."""
        at, each = self._each
        if time.monotonic() - at > MEASURING:  # a few of them: names are random, their order, too
            running = (record.handle for record, alive in self.records.all() if alive)
            each = memory.average(itertools.islice(running, SAMPLE))
            self._each = (time.monotonic(), each)
        return Memory(memory.available(), each)

    async def running(self) -> list[Running]:
        """Return every server that runs now."""
        return [_running(one) for one, alive in self.records.all() if alive]

    async def make_room(self) -> list[Running]:
        """Take servers down that make way (see `atoll.servers.Runner`)."""
        ended: list[Running] = []
        while room.beyond(self.settings.data) < 0:
            record = await asyncio.to_thread(self._largest_aside)
            if record is None:
                break
            await self.stop(record.handle, now=True)
            ended.append(_running(record))
        return ended

    def _largest_aside(self) -> Record | None:
        """Return the server that runs, makes way, and has taken most of the disk; if any."""
        found = [one for one, alive in self.records.all() if alive and one.aside]
        return max(found, key=lambda one: size(self.records.folder(one.handle)), default=None)

    async def usage(self, handle: str) -> Usage | None:
        """Return what a server has used."""
        record = self.records.find(handle)
        if record is None or not record.alive:
            self._spent.pop(handle, None)
            return None
        now = await asyncio.to_thread(usage.of_box, handle, record.init)
        if now:  # a process that ended and that nobody waited for takes its seconds along
            most = self._spent[handle] = max(now.cpu, self._spent.get(handle, 0.0))
            now = replace(now, cpu=most)
        return now

    async def remove(self, owner: str, name: str) -> None:
        """Delete what is kept for a stopped server."""
        with contextlib.suppress(FileNotFoundError):  # nothing is kept, or another was quicker
            await asyncio.to_thread(discard, [kept_home(self.settings, owner, name).parent])

    async def forget(self, owner: str) -> None:
        """Let go of a person's folder, once nothing is in it."""
        await asyncio.to_thread(forget_person, self.settings, owner)

    async def size(self, owner: str, name: str) -> int:
        """Return the bytes of disk that are kept for a server."""
        return await asyncio.to_thread(size, kept_home(self.settings, owner, name))

    async def origin(self, owner: str, name: str) -> str:
        """Return the version of which the kept files of a server are, or ""."""
        return origin(kept_home(self.settings, owner, name))

    async def renew(
        self, owner: str, name: str, old: Tree, new: Tree, *, look: bool = False
    ) -> Renewal:
        """Bring newer files into those that are kept for a server (see `atoll.servers.Runner`)."""
        return await renew(self.settings, (owner, name), old, new, look=look)

    def log(self, handle: str) -> str:
        """Return the end of what the server printed."""
        return self.records.log(handle)

    def last_log(self, owner: str, name: str) -> str:
        """Return the end of what *owner*'s server *name* had printed when it last stopped."""
        return self.records.last_log(owner, name)

    def _door(self, handle: str) -> Path:
        """Return the folder of the server's socket; in it, one that the box may write to."""
        return run_folder(self.settings) / "servers" / Path(handle).name

    def _take_socket(self, record: Record) -> bool:
        """Say whether the server listens, once its socket is where the box cannot change it.

        The box owns the folder of its socket and may replace that by a link to any other socket of
        this machine, to which hub and proxy would then connect for it, as root. So they use a
        second name of the very socket, in a folder of ours.
        """
        ours = Path(record.socket)
        ours.unlink(missing_ok=True)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)  # a server may let nobody in, and we are the hub
            os.link(ours.parent / INNER / commands.SOCKET, ours, follow_symlinks=False)
            if stat.S_ISSOCK(ours.lstat().st_mode):
                probe.connect(str(ours))
                return True
        ours.unlink(missing_ok=True)
        return False

    def _start(self, handle: str, plan: ServerPlan, environ: Mapping[str, str]) -> Record:
        owner = person_owner(self.settings, plan.owner.name)
        folder = self.records.folder(handle)
        folder.mkdir(parents=True, mode=0o700)
        door = self._door(handle)
        # At once, so that it is cleared up even if we die before it runs.
        begun = Record(handle, plan.id, plan.owner.name, plan.name, 0, "", "", False, time.time())  # noqa: FBT003
        self.records.write(begun)
        door.parent.mkdir(mode=0o711, exist_ok=True)
        door.mkdir(mode=0o700)
        sockets = door / INNER
        sockets.mkdir(mode=0o700)
        give(sockets, owner)
        try:
            home = self._home(handle, plan)
            if plan.content.copied:
                fill_copy(self.settings, plan, home, owner)
            else:
                fill(home, commands.content(plan), owner)
            box = commands.box(self.settings, plan, environ, home, sockets, owner)
            mounts = mounting.binds(self.settings, plan, home, owner, box.binds)
            notes, told = neighbours.introduce(self.settings, plan, handle, owner, mounts)
            binds = (*box.binds, *mounts.binds, *notes)
            box = replace(box, binds=binds, environ={**box.environ, **told})
            with (folder / "log.txt").open("ab") as log:  # so that it can be cut short
                fork = self._fork(box, plan, environ, log.fileno(), handle)
                running = fork.box if fork else sandbox.start(box, output=log.fileno(), name=handle)
        except BaseException:
            remove(folder)
            remove(door)
            neighbours.forget(self.settings, handle)
            raise
        self._children[handle] = running
        if fork:
            self._callers[handle] = fork.caller
        record = Record(
            handle=handle,
            plan=plan.id,
            owner=plan.owner.name,
            name=plan.name,
            init=running.init,
            born=running.born,
            fork=fork.pid if fork else 0,
            fork_born=sandbox.born(fork.pid) if fork else "",
            socket=str(door / commands.SOCKET),
            temporary=plan.content.temporary,
            started=time.time(),
            environment=plan.environment.key,
            reference=plan.reference,
            opening=plan.opening,
            notes=(*running.notes, *mounts.notes, *cgroups.lacking(), *self._older_files(plan)),
            volumes=mounts.ids,
            aside=plan.aside,
        )
        self.records.write(record)
        return record

    def _fork(
        self, box: Box, plan: ServerPlan, environ: Mapping[str, str], output: int, handle: str
    ) -> forking.Fork | None:
        """Start *plan*'s server in *box* as a fork, and its kernels, too, as far as that goes."""
        lab = commands.forked(plan, environ)
        if not lab:
            return None
        layer = commands.layer(self.settings, plan)
        return forking.start(
            self.settings, box, *lab, output, handle, layer and self.nursery.take(layer)
        )

    def _home(self, handle: str, plan: ServerPlan) -> Path:
        if plan.content.temporary:
            return self.records.folder(handle) / "home"
        home = kept_home(self.settings, plan.owner.name, plan.name)
        made = "" if plan.environment_ref else made_of(plan.environment.handle)
        claim(home, plan.ref.repo.locator, plan.ref.version, made)
        return home

    def _older_files(self, plan: ServerPlan) -> tuple[str, ...]:
        """Return a note where the files are not those of the version that was launched."""
        if plan.content.temporary:
            return ()
        said = older_files(plan, origin(kept_home(self.settings, plan.owner.name, plan.name)))
        return (said,) if said else ()

    async def _listening(self, record: Record) -> None:
        until = time.monotonic() + PATIENCE
        if caller := self._callers.pop(record.handle, None):
            with caller, contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(PATIENCE / 2):
                    await asyncio.get_running_loop().sock_recv(caller, 1)
        while time.monotonic() < until:
            if await self.status(record.handle) is not None:
                said = "\n".join(self.records.log(record.handle).strip().splitlines()[-3:])
                raise StartFailed("The server ended before it listened.", hint=said)
            if self._take_socket(record):
                return
            await asyncio.sleep(0.02)
        raise StartFailed(f"The server did not listen within {PATIENCE:.0f} seconds.")

    def _clear(self, record: Record) -> None:
        child = self._children.pop(record.handle, None)
        if child:
            sandbox.kill(child)
        elif record.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.init, signal.SIGKILL)
            until = time.monotonic() + GENTLE
            while record.alive and time.monotonic() < until:
                time.sleep(0.005)  # nothing in the box changes its home while we prepare it again
        cgroups.remove(cgroups.find(record.handle))
        remove(self._door(record.handle))
        neighbours.forget(self.settings, record.handle)
        folder = self.records.folder(record.handle)
        self.records.keep_log(record)
        remove(folder)
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            discard(self.unused())

    def unused(self) -> list[Path]:
        """Return the environments that were made anew since, and in which no server runs now."""

        def running() -> Iterator[tuple[str, float]]:
            return ((one.environment, one.started) for one, alive in self.records.all() if alive)

        return generations.unused(self.settings.data / "environments", running)


def _running(record: Record) -> Running:
    since = datetime.fromtimestamp(record.started, UTC)
    return Running(record.handle, record.owner, record.name, since, record.plan)


def _servers_of(record: Record) -> list[int]:
    """Return the processes to tell that the server is to end."""
    if record.fork:  # the number may be another's by now
        return [record.fork] if sandbox.born(record.fork) == record.fork_born != "" else []
    init = record.init
    try:
        return [int(one) for one in Path(f"/proc/{init}/task/{init}/children").read_text().split()]
    except OSError:
        return []


def open_gate(record: Record, host: str = "127.0.0.1", port: int = 0) -> int:
    """Forward a port of the loopback interface to a server, and return the port.

    It is closed by itself once the server is gone. *port* 0 takes any that is free.
    """
    with socket.create_server((host, port)) as listening:
        gate = [*commands.BRIDGE, f"fd:{listening.fileno()}", f"unix:{record.socket}"]
        subprocess.run(
            ["setsid", "--fork", *gate],  # nobody's child: it may outlive us
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return int(listening.getsockname()[1])
