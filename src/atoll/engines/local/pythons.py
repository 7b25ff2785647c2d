"""Pythons: those that this machine has, wherever they were put, and bringing one more.

Looked through: what uv has brought, pyenv's versions (its shims are scripts, not Pythons), the
PATH, Atoll's own Python, /usr/local and /usr. uv's own search is not used: it stops at pyenv's
shims and takes most of a second.

What is found may be a link or belong to a virtual environment. Boxes see only the folder in which
a Python was installed, so that each is known by its program in there, and tried in a box.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from atoll.engines.local import sandbox
from atoll.engines.local.sandbox import Bind, Box
from atoll.engines.local.uv import uv
from atoll.environments import Say
from atoll.environments.pythons import TWO, Minor, choose, older, show, wanted
from atoll.errors import BuildFailed, Lacking

OLDEST: Minor = (3, 6)  # the oldest that uv can make environments for; pip makes those of 2.7
TRIED = ".tried"  # in the folder of those that uv brings: a mark for each that runs in a box
RETRY = 3600.0  # seconds after which a download that failed may be tried again
_ASK = (
    "import json, sys; print(json.dumps({'version': '.'.join(map(str, sys.version_info[:3])),"
    " 'prefix': getattr(sys, 'base_prefix', sys.prefix), 'final': sys.version_info[3] == 'final',"
    " 'name': sys.version_info[0] > 2 and sys.implementation.name or sys.subversion[0].lower()}))"
)
# json comes from the standard library, which, if it is missing, is sought in other folders, too.
_TRY = (
    "import json, sys; there = getattr(sys, 'base_prefix', sys.prefix); "
    "sys.exit(there != sys.argv[1] and 'Its library is elsewhere.')"
)


@dataclass(frozen=True, slots=True)
class Python:
    """One Python: its program, its version ("3.9.18") and the folder that it needs to run.

    The program is in that folder, whatever links lead to it.
    """

    program: Path
    version: str
    prefix: Path

    @property
    def minor(self) -> Minor:
        """Return (3, 9) for 3.9.18."""
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)

    @property
    def order(self) -> list[int]:
        """What to sort by, the oldest first."""
        return [int(part) for part in self.version.split(".")]


@dataclass(slots=True)
class Pythons:
    """The machine's Pythons. ``folder`` is where those that uv brings are kept.

    ``owner`` is the user id that boxes run as, see `owners`.
    """

    folder: Path
    owner: int | None
    _failed: dict[Minor, float]
    _tried: set[Python]  # those that run in a box

    def __init__(self, folder: Path, owner: int | None = None) -> None:
        self.folder = folder
        self.owner = owner
        self._failed = {}
        self._tried = set()

    def available(self) -> dict[Minor, list[Path]]:
        """Return the programs that look like a Python that can be used, by version."""
        found: dict[Minor, list[Path]] = {}
        for place in self._places():
            try:
                names = sorted(os.listdir(place))  # noqa: PTH208 - names are all we need
            except OSError:
                continue
            for name in names:
                if fits := re.fullmatch(r"python([23])\.(\d+)", name):
                    minor = (int(fits[1]), int(fits[2]))
                    if minor >= OLDEST or minor == TWO:
                        found.setdefault(minor, []).append(place / name)
        return found

    def all(self) -> list[tuple[Python, str]]:
        """Return the Pythons that answer, one of each version, the oldest first. Blocks.

        With each comes why it cannot be used, or "": of a version's, one that can be is taken.
        Raises what `sandbox.start` raises where there can be no box at all.
        """
        found: dict[str, tuple[Python, str]] = {}
        for minor, programs in self.available().items():
            for python in _answering(minor, programs):
                if python.version not in found or found[python.version][1]:
                    found[python.version] = python, self._why_not(python, again=True)
        return sorted(found.values(), key=lambda one: one[0].order)

    def take(self, asked: str, day: date | None, say: Say) -> tuple[Python, str]:
        """Choose a Python for *asked* and *day* (see `atoll.environments.pythons.choose`).

        One that is not here is brought by uv if that may be. Returns the Python and a note, or
        "". Blocks; raises `Lacking` when no Python here can serve, `BuildFailed` when none ever
        will.
        """
        python, note = self._pick(asked, day, say)
        want = wanted(asked, day)
        possible = want is not None and want >= OLDEST
        if (python is None or note) and want and possible and self._bring(want, say):
            python, note = self._pick(asked, day, say)
        if python is None:
            message = f"No Python on this machine fits “{asked or 'any'}”."
            there = ", ".join(map(show, sorted(self.available()))) or "none"
            hint = f"Those here: {there}. `atoll doctor` says which of them can be used."
            raise (Lacking if possible or want == TWO else BuildFailed)(message, hint=hint)
        return python, note

    def older(self, asked: str, than: Minor) -> list[Python]:
        """Return the Pythons here that fit *asked* and come before *than*, the newest first.

        None where *asked* names one version. Blocks.
        """
        there = older(asked, than, self.available())
        picked = (self._pick(show(minor), None, lambda _: None)[0] for minor in there)
        return [python for python in picked if python]

    def like(self, minor: Minor) -> Python | None:
        """Return the Python of *minor* that is here, if one can serve. Blocks."""
        python, _ = self._pick(show(minor), None, lambda _: None)
        return python if python and python.minor == minor else None

    def _pick(self, asked: str, day: date | None, say: Say) -> tuple[Python | None, str]:
        """Choose among those here and ask only the chosen; of these, the newest that can serve."""
        there = self.available()
        while choice := choose(asked, day, there):
            for python in _answering(choice.version, there.pop(choice.version)):
                if not (why := self._why_not(python)):
                    return python, choice.note
                say(f"Passed over {python.program}, which does not run in a box: {why}")
        return None, ""

    def _why_not(self, python: Python, *, again: bool = False) -> str:
        """Return why *python* cannot be used in a box as builds have it, or "".

        Unless *again*, one that another process has tried is not tried again while it is the same,
        and the machine has not been started anew. Raises what `sandbox.start` raises where there
        can be no box at all.
        """
        if python in self._tried:
            return ""
        mark = self._mark(python)
        if again or mark is None or not mark.exists():
            if why := _try(python, self.owner):
                return why
            with contextlib.suppress(OSError):
                if mark:
                    mark.parent.mkdir(parents=True, exist_ok=True)
                    mark.touch()
        self._tried.add(python)
        return ""

    def _mark(self, python: Python) -> Path | None:
        """Return the file that is there when *python* runs in a box; ``None`` if we cannot know.

        Its name is made of all that a trial depends on: whose box it is, this run of Linux, and
        when content, owner or permissions last changed of what is needed.
        """
        library = python.prefix / "lib" / f"python{show(python.minor)}"
        places = (python.program, python.prefix, library, sandbox.bwrap())
        try:
            changes = [str(place.stat().st_ctime_ns) for place in places]
        except OSError:
            return None
        said = [str(python.program), python.version, str(self.owner), sandbox.boot(), *changes]
        return self.folder / TRIED / hashlib.sha256("\0".join(said).encode()).hexdigest()[:20]

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


def prefix_binds(prefix: str) -> tuple[Bind, ...]:
    """Return the bind of a Python's folder at its own path, unless every box has it anyway.

    So it is with the system's, and with one that is a package of the environment itself.
    """
    if prefix in {"/usr", "/srv/env"} or prefix.startswith("/usr/"):
        return ()
    return (Bind(Path(prefix), prefix),)


def _alone(minor: Minor) -> tuple[str, ...]:
    """Return the options for a Python that looks into no folder but its own."""
    return ("-I", "-S") if minor > TWO else ("-E", "-s", "-S")


def _try(python: Python, owner: int | None) -> str:
    """Run *python* in a box; return why it does not, or ""."""
    command = (str(python.program), *_alone(python.minor), "-c", _TRY, str(python.prefix))
    box = Box(command, prefix_binds(str(python.prefix)), workdir="/", owner=owner)
    with tempfile.TemporaryFile() as output:
        running = sandbox.start(box, output=output.fileno(), bound=True)
        try:
            code = running.process.wait(20)
        except subprocess.TimeoutExpired:
            return "it does not answer."
        finally:
            sandbox.kill(running)
        output.seek(0)
        said = output.read().decode(errors="replace").strip().splitlines()
    return "" if code == 0 else (said[-1] if said else f"it ended with status {code}.")


def _answering(minor: Minor, programs: list[Path]) -> list[Python]:
    """Return the Pythons behind *programs* that are of *minor*, each once, the newest first."""
    answers = (_ask_file(program, _alone(minor)) for program in programs)
    found = dict.fromkeys(one for one in answers if one and one.minor == minor)
    return sorted(found, key=lambda one: one.order, reverse=True)


def _below(folder: Path) -> list[Path]:
    """Return the ``bin`` of each folder in *folder*; none where we may not look."""
    try:
        return [folder / name / "bin" for name in sorted(os.listdir(folder))]  # noqa: PTH208
    except OSError:
        return []


def _share(home: Path) -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")


def _ask_file(program: Path, options: tuple[str, ...]) -> Python | None:
    try:
        real = program.resolve(strict=True)
        return _ask(program, options, real, real.stat().st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=256)
def _ask(
    program: Path,
    options: tuple[str, ...],
    real: Path,
    stamp: int,  # noqa: ARG001 - a new file asks anew
) -> Python | None:
    """Run *program* to hear its version; ``None`` for scripts, pre-releases and other makes."""
    with real.open("rb") as file:
        if file.read(2) == b"#!":
            return None
    try:
        command = [str(program), *options, "-c", _ASK]
        ran = subprocess.run(
            command, capture_output=True, check=True, timeout=20, env={}, cwd=program.anchor
        )
        told = json.loads(ran.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if told["name"] != "cpython" or not told["final"]:
        return None
    return _based(told["version"], Path(told["prefix"]))


def _based(version: str, prefix: Path) -> Python | None:
    """Return the Python that is installed in *prefix*, if its program is there.

    A virtual environment's ``python3.11``, and a link to a Python, lead out of every folder that
    a box sees.
    """
    prefix = prefix.resolve()
    minor = ".".join(version.split(".")[:2])
    names = (f"python{minor}", "python3", "python")
    program = next((one for name in names if (one := prefix / "bin" / name).exists()), None)
    return Python(program, version, prefix) if program else None
