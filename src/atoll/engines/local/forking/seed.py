"""The seed: a process in a box that has imported a kernel, and becomes kernels when it is asked.

Who asks is the box's own Jupyter server (`inside/seed_provisioner.py`), over an abstract socket
that only the box can see. For each kernel there is a connection: a request comes in, the process id
of the kernel goes back, and, once it has ended, its exit status, as `subprocess.Popen` gives it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import runpy
import select
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from .keeping import entitle, refresh

PLACE = "\0atoll/kernels"  # in the box's own network namespace
MESSAGE = 1024**2  # bytes
TITLE = ["atoll: kernels come from here"]
PATIENCE = 2.0  # seconds that whoever connects may take to ask
PR_SET_PDEATHSIG = 1
# Variables that are read as an interpreter starts, which a fork does not do again.
EARLY = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_")


def early(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of *environ* that a fork would not notice."""
    return {name: value for name, value in environ.items() if name.startswith(EARLY)}


def listen() -> socket.socket:
    """Take the place where the box's server looks for us."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(PLACE)
    listening.listen(64)
    return listening


def serve(
    listening: socket.socket, dice: list[random.Random], added: Mapping[str, str]
) -> NoReturn:
    """Make a kernel for each who asks, for ever, with the variables *added* to what it asks for."""
    entitle(TITLE)
    hear, told = socket.socketpair()
    for one in (hear, told):
        one.setblocking(False)  # noqa: FBT003
    usual = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    kernels: dict[int, socket.socket] = {}
    while True:
        ready = select.select([listening, hear], [], [])[0]
        if hear in ready:
            hear.recv(4096)
            _tell_ends(kernels)
        if listening not in ready:
            continue
        caller, _ = listening.accept()
        asked = _read(caller)
        if not asked:
            caller.close()
        elif pid := os.fork():
            kernels[pid] = caller
            with contextlib.suppress(OSError):
                caller.send(json.dumps({"pid": pid}).encode())
        else:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, usual)
            for one in (listening, hear, told, caller, *kernels.values()):
                one.close()
            _become(asked | {"environ": {**asked["environ"], **added}}, dice)


def _tell_ends(kernels: dict[int, socket.socket]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if caller := kernels.pop(pid, None):
            with caller, contextlib.suppress(OSError):
                code = os.waitstatus_to_exitcode(status)
                caller.send(json.dumps({"status": code}).encode())


def _read(caller: socket.socket) -> dict[str, Any]:
    """Return what *caller* asks for; nothing if that is not to be understood, or not for a fork."""
    caller.settimeout(PATIENCE)
    try:
        asked = json.loads(caller.recv(MESSAGE))
        known = bool(asked["module"] and asked["arguments"] is not None and asked["cwd"])
        return asked if known and early(asked["environ"]) == early(os.environ) else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _become(asked: dict[str, Any], dice: list[random.Random]) -> NoReturn:
    """Be the kernel."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # nobody else could end it
    refresh(asked["environ"], asked["cwd"], os.dup(1), dice)
    module, arguments = asked["module"], asked["arguments"]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    entitle(sys.orig_argv)
    sys.argv = [module, *arguments]
    sys.path.insert(0, str(Path.cwd()))  # as with -m
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()
