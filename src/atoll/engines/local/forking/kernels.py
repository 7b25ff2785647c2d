"""The fork server of kernels: has imported ipykernel, once, and puts seeds of it into boxes.

It runs under the Python of a kernel layer (`atoll.engines.local.layers`), whose files are the same
as those of the environments that it serves, and nothing of any repository's. What it forks joins
a box, moves in there, as if it had been started from the box's own environment, and becomes a
`seed`, of which the box's Jupyter server makes kernels.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import random
import signal
import site
import socket
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from typing import NoReturn

from . import seed
from .keeping import enter, freeze, keep, refresh, seal

# What people do first; each loads something.
CELLS = ("1 + 1", "%pwd", "1 / 0", "from IPython.display import HTML; HTML('')")


def main(path: str, life: int) -> NoReturn:
    """Be the keeper of the fork server at *path*, until the other end of *life* is closed."""
    seal()
    before = dict(os.environ)
    for module in rehearsed():
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    added = dict(os.environ.items() - before.items())  # as they are wherever ipykernel is imported
    ours = {sys.prefix, *(entry for entry in sys.path if entry.startswith(sys.prefix))}
    sys.path[:] = [entry for entry in sys.path if entry not in ours]
    keep(path, partial(become, dice=freeze(), added=added), life=life)


def rehearsed() -> list[str]:
    """Return the modules that a kernel has loaded once it has answered some cells, in order."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(read)
            _perform(write)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as report:
        told = report.read()
    os.waitpid(child, 0)
    return json.loads(told) if told else []


def _perform(report: int) -> None:
    signal.alarm(60)
    quiet = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    with tempfile.TemporaryDirectory(prefix="atoll-rehearsal-") as folder:
        os.environ.update(HOME=folder, IPYTHONDIR=folder)
        os.chdir(folder)
        app = importlib.import_module("ipykernel.kernelapp").IPKernelApp.instance()
        app.initialize(["-f", f"{folder}/kernel.json"])
        for cell in CELLS:
            app.shell.run_cell(cell)
        app.shell.complete("imp")
        app.shell.object_inspect("print")
        names = [name for name in sys.modules if name != "__main__"]
        os.write(report, json.dumps(names).encode())
    os._exit(0)


def become(caller: socket.socket, dice: list[random.Random], added: Mapping[str, str]) -> NoReturn:
    """Read what *caller* asks for, go behind the box's walls, and be a seed there."""
    asked, (output,) = enter(caller)
    if seed.early(asked["environ"]) != seed.early(os.environ):
        sys.exit()
    refresh(asked["environ"], asked["workdir"], output, dice)
    listening = seed.listen()
    caller.close()
    move(asked["environment"])
    seed.serve(listening, dice, added)


def move(environment: str) -> None:
    """Have the interpreter find what it would find if it had started in *environment*."""
    sys.executable = f"{environment}/bin/python"
    sys.prefix = sys.exec_prefix = environment
    if loaded := sys.modules.get("sysconfig"):
        importlib.reload(loaded)  # it knows the places as they were
    multiprocessing.set_executable(sys.executable)
    sys.modules.pop("sitecustomize", None)
    importlib.invalidate_caches()
    site.main()
