"""Strangers: another account of this machine, which tries the commands on somebody's data folder.

Run as a program it reads from standard input a JSON list of ``[words, environment]``, and prints
for each ``[exit code, output]``. As root each runs as ``nobody``; a bug of ours exits with 99.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path

NOBODY = 65534
BUG = 99
LEFT_OUT = ("__main__", ".inside", "atoll.hub.", "atoll.web.", "atoll.testing.", ".migrations")


def try_all(asked: list[tuple[list[str], dict[str, str]]]) -> list[tuple[int, str]]:
    """Return what each of *asked* came to, tried by a stranger."""
    done = subprocess.run(
        [sys.executable, "-P", __file__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout)]


def _try(words: list[str], environ: dict[str, str]) -> tuple[int, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os._exit(_be_somebody_else(words, environ))
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as told:
        output = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output


def _be_somebody_else(words: list[str], environ: dict[str, str]) -> int:
    signal.alarm(30)  # what serves, or waits, has been let in
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.environ.update(environ)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), write_through=True)
    from atoll.cli import main

    try:
        main(words, prog_name="atoll")
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        traceback.print_exc()
    return BUG


def _import_everything() -> None:
    """Import what commands import late: root's Python may be where nobody else can read it."""
    import atoll

    for module in pkgutil.walk_packages(atoll.__path__, "atoll."):
        if not any(part in module.name for part in LEFT_OUT):
            importlib.import_module(module.name)
    importlib.import_module("atoll.hub.supervisor")


if __name__ == "__main__":
    _import_everything()
    os.chdir(Path(os.sep))
    print(json.dumps([_try(words, environ) for words, environ in json.load(sys.stdin)]))
