"""Pythons: those that this machine has, wherever they were put, and bringing one more.

Looked through: what uv has brought, pyenv's versions (its shims are scripts, not Pythons), the
PATH, Atoll's own Python, /usr/local and /usr. uv's own search is not used: it stops at pyenv's
shims and takes most of a second.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from atoll.engines.local.uv import uv
from atoll.environments import Say
from atoll.environments.pythons import Minor, choose, older, show, wanted
from atoll.errors import BuildFailed

OLDEST: Minor = (3, 6)  # the oldest that uv can make environments for
RETRY = 3600.0  # seconds after which a download that failed may be tried again
_ASK = (
    "import json, sys; print(json.dumps({'version': '.'.join(map(str, sys.version_info[:3])),"
    " 'prefix': sys.base_prefix, 'final': sys.version_info[3] == 'final',"
    " 'name': sys.implementation.name}))"
)


@dataclass(frozen=True, slots=True)
class Python:
    """One Python: its program, its version ("3.9.18") and the folder that it needs to run."""

    program: Path
    version: str
    prefix: Path

    @property
    def minor(self) -> Minor:
        """Return (3, 9) for 3.9.18."""
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)


@dataclass(slots=True)
class Pythons:
    """The machine's Pythons. ``folder`` is where those that uv brings are kept."""

    folder: Path
    _failed: dict[Minor, float]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._failed = {}

    def available(self) -> dict[Minor, list[Path]]:
        """Return the programs that look like a Python that can be used, by version."""
        found: dict[Minor, list[Path]] = {}
        for place in self._places():
            try:
                names = sorted(os.listdir(place))  # noqa: PTH208 - names are all we need
            except OSError:
                continue
            for name in names:
                if fits := re.fullmatch(r"python(3)\.(\d+)", name):
                    minor = (int(fits[1]), int(fits[2]))
                    if minor >= OLDEST:
                        found.setdefault(minor, []).append(place / name)
        return found

    def all(self) -> list[Python]:
        """Return the Pythons that answer, one of each version, the oldest first. Blocks."""
        programs = [program for found in self.available().values() for program in found]
        answers = [one for program in programs if (one := _ask_file(program))]
        by_version = {one.version: one for one in answers}
        return sorted(by_version.values(), key=lambda one: [int(n) for n in one.version.split(".")])

    def take(self, asked: str, day: date | None, say: Say) -> tuple[Python, str]:
        """Choose a Python for *asked* and *day* (see `atoll.environments.pythons.choose`).

        One that is not here is brought by uv if that may be. Returns the Python and a note, or
        "". Blocks; raises `BuildFailed` when no Python can serve.
        """
        there = self.available()
        python, note = _pick(asked, day, there)
        want = wanted(asked, day)
        lacking = python is None or bool(note)
        if lacking and want and want >= OLDEST and self._bring(want, say):
            there = self.available()
            python, note = _pick(asked, day, there)
        if python is None:
            message = f"No Python on this machine fits “{asked or 'any'}”."
            raise BuildFailed(message, hint=f"Those here: {', '.join(map(show, sorted(there)))}.")
        return python, note

    def older(self, asked: str, than: Minor) -> list[Python]:
        """Return the Pythons here that fit *asked* and come before *than*, the newest first.

        None where *asked* names one version. Blocks.
        """
        there = self.available()
        picked = (_pick(show(minor), None, there)[0] for minor in older(asked, than, there))
        return [python for python in picked if python]

    def _places(self) -> list[Path]:
        home = Path.home()
        pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
        kept = os.environ.get("UV_PYTHON_INSTALL_DIR") or _share(home) / "uv" / "python"
        places = [
            *_below(self.folder),
            *_below(Path(kept)),
            *_below(pyenv / "versions"),
            *(Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part),
            Path(sys.base_prefix, "bin"),
            *(Path(part) for part in ("/usr/local/bin", "/usr/bin")),
        ]
        return list(dict.fromkeys(places))

    def _bring(self, minor: Minor, say: Say) -> bool:
        """Have uv download *minor*, unless the operator forbids it or it failed lately."""
        if os.environ.get("UV_PYTHON_DOWNLOADS") in {"never", "manual"} or os.environ.get(
            "UV_OFFLINE"
        ):
            return False
        if time.monotonic() - self._failed.get(minor, -RETRY) < RETRY:
            return False
        say(f"Looking for Python {show(minor)} to download")
        command = [uv(), "python", "install", "--no-bin", "--no-progress", show(minor)]
        places = {"UV_PYTHON_INSTALL_DIR": str(self.folder), "UV_HTTP_RETRIES": "1"}
        try:
            ran = subprocess.run(
                command, env={**os.environ, **places}, capture_output=True, check=False, timeout=300
            )
        except (OSError, subprocess.TimeoutExpired):
            ran = None
        if ran is None or ran.returncode:
            self._failed[minor] = time.monotonic()
            say(f"Python {show(minor)} could not be downloaded")
            return False
        return True


def _pick(
    asked: str, day: date | None, there: dict[Minor, list[Path]]
) -> tuple[Python | None, str]:
    """Choose among *there* and ask only the chosen; of its programs, the newest that answers."""
    there = dict(there)
    while choice := choose(asked, day, there):
        answers = [one for program in there.pop(choice.version) if (one := _ask_file(program))]
        if answers:
            return max(answers, key=lambda p: [int(n) for n in p.version.split(".")]), choice.note
    return None, ""


def _below(folder: Path) -> list[Path]:
    """Return the ``bin`` of each folder in *folder*; none where we may not look."""
    try:
        return [folder / name / "bin" for name in sorted(os.listdir(folder))]  # noqa: PTH208
    except OSError:
        return []


def _share(home: Path) -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")


def _ask_file(program: Path) -> Python | None:
    try:
        real = program.resolve(strict=True)
        return _ask(program, real, real.stat().st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=256)
def _ask(program: Path, real: Path, stamp: int) -> Python | None:  # noqa: ARG001 - a new file asks anew
    """Run *program* to hear its version; ``None`` for scripts, pre-releases and other makes."""
    with real.open("rb") as file:
        if file.read(2) == b"#!":
            return None
    try:
        ran = subprocess.run(
            [program, "-I", "-S", "-c", _ASK], capture_output=True, check=True, timeout=20, env={}
        )
        told = json.loads(ran.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if told["name"] != "cpython" or not told["final"]:
        return None
    return Python(program, told["version"], Path(told["prefix"]))
