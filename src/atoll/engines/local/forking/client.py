"""The fork servers as the runner sees them: where they are, how they are run and asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import socket
import struct
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from atoll.engines.local import cgroups, sandbox, seccomp
from atoll.engines.local.commands import ENVIRONMENT
from atoll.engines.local.sandbox import Box, Running
from atoll.folders import run_folder
from atoll.settings import Settings

PATIENCE = 10.0  # seconds until a server must be in its box
# What a box does at first: it says that it is there on its standard input, a socket, and waits for
# the server's exit status, or its end. Then it ends what the server left behind.
WAIT = (
    "/bin/sh",
    "-c",
    'echo >&0; read -r status; kill -KILL -1 2> /dev/null; exit "${status:-1}"',
)
NOTHING = {"PATH": "/usr/bin:/bin"}
# Of the fork server itself, which is outside of all boxes: nothing of a home, nothing of an
# environment. What servers need they are told.
ENVIRON = {
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONUNBUFFERED": "1",
}
CREDENTIALS = struct.Struct("=iII")  # unix(7): struct ucred


class NotForked(Exception):
    """The fork server is not there, or could not do it."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A server that is a fork, in its box. *caller* gets a message when it listens."""

    box: Running
    pid: int
    caller: socket.socket


def place(settings: Settings) -> Path:
    """Return where the fork server of exactly this Atoll, with the packages of now, listens."""
    # Not by the folder's date, which also changes when Python first compiles a module in it.
    installed = sorted(one.name for one in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    text = " ".join([version("atoll"), sys.executable, *installed])
    return run_folder(settings) / f"fork-{hashlib.sha256(text.encode()).hexdigest()[:12]}.sock"


def command(settings: Settings) -> list[str]:
    """Return the words that run it, to be run with `ENVIRON`."""
    return [
        sys.executable,
        "-P",
        "-s",
        "-m",
        "atoll.engines.local.forking.server",
        str(place(settings)),
    ]


def call(path: Path) -> socket.socket:
    """Connect to the fork server at *path*. Raises `NotForked`.

    At once it makes a process for the caller, which waits to be asked.
    """
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        caller.settimeout(PATIENCE)
        caller.connect(str(path))
        _, uid, _ = CREDENTIALS.unpack(
            caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        )
    except OSError as error:
        caller.close()
        raise NotForked(f"There is no fork server: {error}") from error
    if uid != os.getuid():
        caller.close()
        raise NotForked("The fork server is somebody else's.")
    return caller


async def answers(path: Path) -> bool:
    """Say whether the fork server at *path* makes processes: one comes, hears nothing, and goes."""
    try:
        with await asyncio.to_thread(call, path) as caller:
            caller.shutdown(socket.SHUT_WR)
            return await asyncio.to_thread(caller.recv, 1) == b""
    except (NotForked, OSError):
        return False


def start(
    settings: Settings,
    box: Box,
    app: str,
    arguments: Sequence[str],
    output: int,
    name: str,
    kernels: Path | None = None,
) -> Fork | None:
    """Start *app* in *box*, as `sandbox.start` would start the box's own command.

    *app* is a Jupyter Server extension application, as ``module:class``. The fork server is called
    first, so that it forks while bubblewrap builds; the network comes last, while *app* gets
    ready. At *kernels*, the fork server of kernels for the box's environment listens, if there is
    one. Returns ``None`` when there is no fork server or it could not. Raises `StartFailed` or
    `Lacking` as `sandbox.start` does.
    """
    asked = {
        "environ": dict(box.environ),
        "workdir": box.workdir,
        "owner": box.owner,
        "rlimits": sandbox.rlimits(box.limits),
        "seccomp": base64.b64encode(seccomp.program()).decode(),
    }
    server = {"app": app, "arguments": list(arguments)}
    pid = 0
    with contextlib.ExitStack() as undo:

        def join(running: Running) -> None:
            nonlocal pid
            theirs.close()
            ours.settimeout(PATIENCE)
            if not ours.recv(1):
                raise NotForked("The box ended.")
            group = {"entrances": cgroups.find(name).entrances}
            if cgroups.control().controllers and not group["entrances"]:
                raise NotForked("The box's limits were not found.")
            pid = _ask(caller, asked | group | server, running.init, output, ours.fileno())
            if sower:  # without it kernels start plainly
                with contextlib.suppress(NotForked):
                    _ask(sower, asked | group | {"environment": ENVIRONMENT}, running.init, output)

        try:
            caller = undo.enter_context(call(place(settings)))
            sower = undo.enter_context(call(kernels)) if kernels else None
            ours, theirs = (undo.enter_context(one) for one in socket.socketpair())
            waiting = replace(box, command=WAIT, environ=NOTHING)
            stdin = theirs.fileno()
            running = sandbox.start(waiting, output=output, stdin=stdin, name=name, meanwhile=join)
        except NotForked:
            return None
        caller.send(b"g")  # now that it has its network
        undo.pop_all()
        if sower:
            sower.close()
        ours.close()  # from now on the server alone holds it
        caller.settimeout(0)
        return Fork(running, pid, caller)


def _ask(caller: socket.socket, asked: Mapping[str, Any], init: int, *handed: int) -> int:
    """Have a process become what is *asked* in the box of *init*; return its id.

    *handed* are descriptors that it gets: where it prints, and what else it needs.
    """
    try:
        box = os.pidfd_open(init)
        try:
            socket.send_fds(caller, [json.dumps(asked).encode()], [box, *handed])
        finally:
            os.close(box)
        answer = json.loads(caller.recv(4096) or b"{}")
    except OSError as error:
        raise NotForked(f"The fork server did not answer: {error}") from error
    if "pid" not in answer:
        raise NotForked(f"The fork server could not: {answer.get('error', 'it ended')}")
    return int(answer["pid"])
