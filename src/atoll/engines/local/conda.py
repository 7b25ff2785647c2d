"""Conda: makes environments of an ``environment.yml``, with rattler and, for its pip part, uv.

    solve, fetch, link (rattler) -> (pip part) -> (post-link scripts) -> (postBuild) -> activate

What rattler does runs no package's code, so that it may use the shared cache and link files from
it. Everything after that does: the interpreter itself is a package, and any channel's. So an
environment in which something is still to be run has files of its own. Channels that the author
names by an address are fetched as a server would fetch them, and what comes from there goes into
no shared cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from atoll.disk import entries, remove
from atoll.engines.local import room
from atoll.engines.local.adding import add, our_binds, our_python, settle
from atoll.engines.local.commands import ENVIRONMENT, INSIDE
from atoll.engines.local.conda_channels import channels_of, leads_away, specs_of
from atoll.engines.local.conda_locks import follow
from atoll.engines.local.corrections import cutoff
from atoll.engines.local.explanations import Explanation, Kind
from atoll.engines.local.locks import LABS, Lock, Pin, has_lab
from atoll.engines.local.owners import give
from atoll.engines.local.pythons import Python
from atoll.engines.local.sandbox import Bind, Box, run
from atoll.engines.local.solving import WIDGETS_8, check, failed
from atoll.engines.local.steps import CACHE, OUT, SPEC, Steps, compiling
from atoll.engines.local.workshop import own_files, read_written
from atoll.environments.conda import PIP, CondaFile, essence_of, parts
from atoll.environments.requirements import hashes_of, names_of
from atoll.errors import AtollError, BadSpecification, BuildFailed, ChannelsUnreachable, Unreachable
from atoll.names import new_id
from atoll.servers import Network
from atoll.settings.sections import BuildSettings

PROGRAM = "/srv/bin/conda_environment.py"  # in a box
TASK, ANSWER = "conda-task.json", "conda.json"
PROVIDED = "provided"  # the folder of what conda has installed, as uv can read it
RESULT = "/srv/result"  # in a box that has a cache of its own: where the environment is made
COMPILE = "compile_"  # before an environment's key: the lock for compiling its modules
MOST_VARIABLES, LONGEST_VARIABLE = 200, 8192
_OURS = frozenset({"_", "PWD", "OLDPWD", "SHLVL", "PATH", "HOME", "LANG", "PYTHONHOME"})

POST_LINK = """
for script in "$@"; do
  name=${script#.}; export PKG_NAME=${name%-post-link.sh}
  bash "/srv/env/bin/$script" || echo "$script ended with status $?"
done
[ ! -s /srv/env/.messages.txt ] || cat /srv/env/.messages.txt
"""
ACTIVATE = """
for script in /srv/env/etc/conda/activate.d/*.sh; do
  . "$script" > /dev/null 2>&1
done
env -0 > /srv/out/activated
"""


@dataclass(frozen=True, slots=True)
class Made:
    """An environment of conda packages that is finished.

    ``lock`` is conda's explicit list of packages, with what uv added as comments. ``environ`` are
    the variables that activating it would set.
    """

    python: Python
    lock: str
    packages: int
    has_lab: bool
    environ: Mapping[str, str]
    editable: bool


@dataclass(frozen=True, slots=True)
class _Solved:
    """What rattler has installed, as its program tells."""

    packages: tuple[Mapping[str, str], ...]
    scripts: tuple[str, ...]
    activates: bool
    provided: tuple[Pin, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.versions)

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        return tuple((canonicalize_name(one["name"]), one["version"]) for one in self.packages)

    @property
    def python(self) -> Python:
        version = dict(self.versions).get("python", "")
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?\w*", version):
            raise BuildFailed("The environment has no Python, which notebooks need.")
        return own_python(version)


def own_python(version: str) -> Python:
    """Return the Python that an environment has of its own, as boxes see it."""
    return Python(Path(ENVIRONMENT, "bin", "python"), version, Path(ENVIRONMENT))


async def install(steps: Steps, builds: BuildSettings, notes: list[str]) -> tuple[Steps, Made]:
    """Make the environment of *steps*' specification but for its postBuild.

    *steps* run Atoll's own Python. Returns the steps to go on with, on the environment's, and
    what was made. Raises `ChannelsUnreachable` where no channel answers.
    """
    lock = await follow(steps, builds, notes)
    steps = lock.steps if lock else steps
    spec, files = steps.spec, dict(steps.spec.files)
    asked = essence_of(files)
    attempts = [list(some) for some in _extras(asked, spec.as_of)]
    needed = ("ipykernel", "pip") if lock else ("ipykernel",)  # a solver has tried for the rest
    later = PIP in files or "postBuild" in files
    away = lock.away if lock else leads_away(asked, builds)
    task = {
        "channels": lock.channels if lock else channels_of(asked, builds),
        "alias": builds.conda_alias,
        "records": lock.records if lock else (),
        "specs": specs_of(asked, builds),
        "attempts": attempts,
        "labs": sorted({*LABS, "jupyter_server"}),
        "cutoff": cutoff(spec.as_of).removesuffix("Z") if spec.as_of else "",
        "seen_at": ENVIRONMENT,
        "shared": not later and not away,
        "needed": needed,
        "adds": PIP in files,
    }
    solved = await _solve(steps, task, away=away)
    inside = replace(steps, python=solved.python, binds=())
    steps.say(f"Python {solved.python.version}")
    lacking = tuple(one for one in needed if one not in solved.names)
    if task["shared"] and (solved.scripts or lacking):
        await asyncio.to_thread(own_files, steps.workshop)
    added = Lock(())
    if PIP in files or lacking:
        added = await _add(inside, solved, lacking, notes)
    await _finish(inside, solved, notes)
    environ = await _activate(inside, asked.variables, solved)
    return inside, Made(
        python=solved.python,
        lock=_lock_text(solved, added),
        packages=len(solved.packages) + len(added.pins),
        has_lab=has_lab((*solved.versions, *added.versions)),
        environ=environ,
        editable=any(pin.editable for pin in added.pins),
    )


def _extras(asked: CondaFile, day: date | None) -> list[tuple[str, ...]]:
    """Return what a notebook needs beside what is asked for: all of it, then less and less."""
    names = {parts(one)[1] for one in asked.dependencies}
    python = () if "python" in names else ("python",)
    r = ("r-irkernel",) if any(name.startswith("r-") for name in names) else ()
    widgets = ("ipywidgets >=8",) if day is None or day > WIDGETS_8 else ()
    full = (*python, "ipykernel", "pip", *r, *widgets)
    return list(
        dict.fromkeys((full, (*python, "ipykernel", "pip", *r), (*python, "ipykernel"), python))
    )


async def _solve(steps: Steps, task: dict[str, Any], *, away: bool) -> _Solved:
    """Have rattler solve and install, in a box; raise what its answer says."""
    workshop = steps.workshop
    kept = steps.cache / "conda"
    if not kept.exists():
        kept.mkdir(parents=True)
        give(kept, steps.owner)
    always = (
        *our_binds(),
        Bind(INSIDE / "conda_environment.py", PROGRAM),
        Bind(workshop.spec, SPEC),
        Bind(workshop.out, OUT, writable=True),
    )
    if away:
        scratch = workshop.root / "conda"
        for folder in (scratch, scratch / "upper", scratch / "work"):
            folder.mkdir()
            give(folder, steps.owner)
        index = steps.index.open()
        binds: tuple[Bind, ...] = (Bind(kept, f"{CACHE}/conda", scratch=scratch),
                 Bind(workshop.result, RESULT, writable=True))  # fmt: skip
        prefix = f"{RESULT}/env"
        apart = f"{CACHE}/conda"
    else:
        index = steps.index
        binds = (Bind(steps.cache, CACHE, writable=True),)
        place = f"{CACHE}/making/{workshop.root.name}"
        prefix, apart = f"{place}/result/env", f"{place}/scratch"
    task |= {"cache": f"{CACHE}/conda", "apart": apart, "prefix": prefix}
    task["provided"] = f"{OUT}/{PROVIDED}"
    (workshop.spec / TASK).write_text(json.dumps(task))
    box = Box(
        (),
        binds=(*always, *binds, *index.binds),
        environ={**steps.environ(index), "SSL_CERT_DIR": "/etc/ssl/certs"},
        workdir="/tmp",  # noqa: S108 - the box's own
        network=steps.network if away else Network.NONE,
        host_network=not away,
        owner=steps.owner,
        limits=steps.limits(),
    )
    told: list[str] = []
    words = (sys.executable, "-I", PROGRAM, f"{SPEC}/{TASK}", f"{OUT}/{ANSWER}")
    status = await steps.run(words, box, told)
    (workshop.spec / TASK).unlink()  # it may have passwords of the operator's
    if status:
        raise failed(steps.explained(told, status))
    solved = _read_answer(read_written(workshop.out, ANSWER))
    if (workshop.out / PROVIDED).exists():
        (workshop.out / PROVIDED).rename(workshop.spec / PROVIDED)  # where no box can change it
    return solved


def _read_answer(body: bytes) -> _Solved:
    try:
        told = json.loads(body)
        if kind := told.get("error"):
            errors: dict[str, type[AtollError]] = {
                "unreachable": ChannelsUnreachable,
                "gateway": Unreachable,
                "specification": BadSpecification,
            }
            if room.told(told["message"]):
                raise room.lacking()
            raise errors.get(kind, BuildFailed)(told["message"], hint=told["hint"])
        keys = ("name", "version", "build", "url", "hash")
        return _Solved(
            tuple({key: str(one[key]) for key in keys} for one in told["packages"]),
            tuple(map(str, told["scripts"])),
            bool(told["activates"]),
            tuple(Pin(canonicalize_name(a), str(b), wheel=True) for a, b in told["provided"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BuildFailed("The build did not say what it had resolved.") from error


async def _add(steps: Steps, solved: _Solved, extras: tuple[str, ...], notes: list[str]) -> Lock:
    """Have uv add the pip part and *extras*; return what it added.

    What conda has installed stays, but for what the lines for pip name themselves.
    """
    files = dict(steps.spec.files)
    asked = names_of(files) | set(extras)
    kept = [pin for pin in solved.provided if pin.name not in asked]
    constraints = steps.workshop.spec / "conda-has.txt"
    constraints.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in kept))
    known: tuple[str, ...] = ("--find-links", f"{SPEC}/{PROVIDED}")
    resolver = steps
    if steps.sealed:  # with the host's network, in which no package's code may run
        minor = ".".join(map(str, solved.python.minor))
        resolver = replace(steps, python=our_python(), binds=our_binds())
        known = (*known, "--python-version", minor)
    held = ("--constraint", f"{SPEC}/conda-has.txt")
    found = await resolver.resolve(extras, more=(*known, *held))
    if isinstance(found, Explanation) and found.kind is Kind.UNSOLVABLE and kept:
        steps.say("That does not fit what conda has chosen; trying to replace some of it")
        loose = await resolver.resolve(extras, more=known)
        found = loose if isinstance(loose, Lock) else found
    if isinstance(found, Explanation):
        raise failed(found)
    there = {pin.name: pin.version for pin in solved.provided}
    pins = tuple(pin for pin in found.pins if there.get(pin.name) != pin.version or pin.direct)
    lock = Lock(pins)
    if replaced := [pin.name for pin in pins if pin.name in there]:
        notes.append(
            f"The lines for pip have replaced what conda installed: {', '.join(replaced)}."
        )
    if pins:
        check(await add(steps, lock, extras, hashes_of(files)))
    return lock


async def _finish(steps: Steps, solved: _Solved, notes: list[str]) -> None:
    """Run the packages' post-link scripts, and give the environment what every one has."""
    told: list[str] = []
    if solved.scripts:
        steps.say(f"Running post-link scripts: {', '.join(solved.scripts)}")
        environ = {"PREFIX": ENVIRONMENT, "CONDA_PREFIX": ENVIRONMENT, "PATH": _path()}
        words = ("/bin/bash", "-c", POST_LINK, "post-link", *solved.scripts)
        await steps.run(words, steps.open_box(environ, env=True), told)
        if broken := [line.split()[0] for line in told if " ended with status " in line]:
            notes.append(f"A script of a conda package failed: {', '.join(broken)}.")
    check(await settle(steps))


async def _activate(steps: Steps, variables: Mapping[str, str], solved: _Solved) -> dict[str, str]:
    """Return what activating the environment sets: found out once, in a box without a network."""
    ours = {**variables, "CONDA_PREFIX": ENVIRONMENT, "CONDA_DEFAULT_ENV": ENVIRONMENT}
    if not solved.activates:
        return {name: value for name, value in ours.items() if name not in _OURS}
    box = Box(
        (),
        binds=(Bind(steps.workshop.env, ENVIRONMENT), Bind(steps.workshop.out, OUT, writable=True)),
        environ={**ours, "PATH": _path(), "HOME": "/tmp", "LANG": "C.UTF-8"},  # noqa: S108 - the box's
        workdir="/tmp",  # noqa: S108 - the box's own
        network=Network.NONE,
        owner=steps.owner,
        limits=steps.limits(),
    )
    if await steps.run(("/bin/bash", "-c", ACTIVATE), box, []):
        return ours
    body = read_written(steps.workshop.out, "activated").decode(errors="replace")
    pairs = (line.partition("=") for line in body.split("\0") if line)
    return {
        name: value
        for name, _, value in list(pairs)[:MOST_VARIABLES]
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        and name not in _OURS
        and len(value) <= LONGEST_VARIABLE
    }


async def compile_modules(target: Path, python: Python, making: Path, owner: int | None) -> None:
    """Compile the modules of the environment in *target*, as its own Python wants them.

    That Python is a package's, and the files may be links into the cache: what it writes goes
    into a folder of its own, and only compiled modules are taken from there. The caller holds the
    lock `COMPILE`.
    """
    aside = making / f"{COMPILE}{target.name}-{new_id()}"
    for folder in (aside, aside / "upper", aside / "work"):
        folder.mkdir(mode=0o711)
        give(folder, owner)
    try:
        box = compiling(target / "env", python, (), owner)
        bind = Bind(target / "env", ENVIRONMENT, scratch=aside)
        await run(replace(box, binds=(bind,)), lambda _: None, timeout=600)
        await asyncio.to_thread(_take_compiled, aside / "upper", target / "env")
    finally:
        await asyncio.to_thread(remove, aside)


def _take_compiled(made: Path, env: Path) -> None:
    """Move the compiled modules in *made* to where they belong, following no link."""
    for entry in entries(made):
        place = Path(entry.path)
        short = place.relative_to(made)
        if short.parent.name != "__pycache__" or short.suffix != ".pyc":
            continue
        folders = [env.joinpath(*short.parts[:n]) for n in range(1, len(short.parts) - 1)]
        if not entry.is_file(follow_symlinks=False) or any(one.is_symlink() for one in folders):
            continue
        kept = env / short.parent
        with contextlib.suppress(FileNotFoundError, FileExistsError, NotADirectoryError):
            if not kept.is_symlink() and not kept.exists():
                kept.mkdir()
            if kept.is_dir() and not kept.is_symlink():
                place.rename(kept / short.name)


def _path() -> str:
    return f"{ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin"


def _lock_text(solved: _Solved, added: Lock) -> str:
    """Return conda's explicit list of packages (“conda create --file” reads it), and uv's pins."""
    lines = ["@EXPLICIT", *(f"{one['url']}#{one['hash']}".rstrip("#") for one in solved.packages)]
    if added.pins:
        lines += ["# added by the lines for pip:"]
        lines += [f"# {line.lstrip('# ')}" for line in added.text().splitlines()]
    return "\n".join(lines) + "\n"
