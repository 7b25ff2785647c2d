"""Reading: from a repository's files to the specification of its environment, without I/O.

The rules are Binder's (repo2docker's configuration files and their order). What Binder does not
know (lock files other than Pipenv's, a ``pyproject.toml`` that only lists dependencies) is read
where no ``requirements.txt`` stands beside it. What is not in the result cannot change an
environment, and what cannot change an environment is not in the result.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from atoll.environments import EnvSpec, apt
from atoll.environments.conda import CONDA, FILES
from atoll.environments.conda_locks import CONDA_LOCK, PIXI_LOCK
from atoll.environments.conda_reading import (
    conda_file,
    take_bare_lock,
    take_conda_file,
    take_pixi,
)
from atoll.environments.devcontainer import DEVCONTAINER, read_devcontainer
from atoll.environments.found import Found, from_top, path_in
from atoll.environments.locks import LOCKED, Locked, read_locks, read_pipenv
from atoll.environments.locks import NAMES as LOCK_FILES
from atoll.environments.pixi import PIXI
from atoll.environments.projects import Project, lock_needs_tree, read_project
from atoll.environments.pythons import TWO, minor_of, show, wanted
from atoll.environments.r import DEBIAN, DESCRIPTION, LOCK, SCRIPT, RFiles, asks_for_r, read_r
from atoll.environments.r import ESSENCE as R
from atoll.environments.refusals import refused
from atoll.environments.requirements import decode, read_requirements
from atoll.errors import BadRequest, BadSpecification
from atoll.sources import Checkout

FOLDERS = (".binder", "binder")
PYTHON = "python"  # the kind of a specification that lists packages
PACKAGE = "python-package"  # the kind of one whose repository is itself installed, too
DEFAULT_DAY = date(2026, 11, 1)  # the package index that this release's default environment sees
DEFAULT_TAKEN = "The repository names no packages; the default environment was taken."

# These rule where they stand, whatever stands beside them (repo2docker's order).
_RULING = ("Dockerfile", "Project.toml", "JuliaProject.toml", "REQUIRE", "default.nix")
# These are passed over when something that can be built stands beside them.
_PASSED_OVER = ("flake.nix",)
_OURS = (
    *("requirements.txt", "pyproject.toml", "uv.lock", "setup.py", "setup.cfg", "runtime.txt"),
    *(".python-version", "postBuild", "start", "Pipfile", "Pipfile.lock", *LOCK_FILES),
    *(DEVCONTAINER, PIXI, PIXI_LOCK, CONDA_LOCK, apt.FILE, *FILES, SCRIPT, DESCRIPTION, LOCK),
)
WANTED = frozenset({*_RULING, *_PASSED_OVER, *_OURS})  # what a provider must put in Checkout.files


def read_spec(checkout: Checkout, *, platform: str, at: str = "") -> EnvSpec:
    """Return what *checkout* asks for on *platform*.

    *at* is "" for the day on which the specification last changed, "today", or an ISO date that is
    not to come. Raises `BadRequest` for any other *at*, `BadSpecification` for contradictory or
    unreadable files, and `CannotBuildYet` for clear ones that no builder here can follow.
    """
    asked = index_day(at)
    found = Found(_folder(checkout.files))
    _refuse_ruling(checkout.files, found.folder)
    r = _read_r(checkout.files, found)
    if r or not take_conda_file(checkout.files, found):
        _read_python_files(checkout.files, found)
        if not r and not found.package:
            take_pixi(checkout.files, found, platform)
        if not r and not found.files and not found.package:
            take_bare_lock(checkout.files, found)
    _read_post_build(checkout.files, found)
    if not r and not found.files and not found.package:
        _refuse_passed_over(checkout.files, found.folder)
    debian = _debian_packages(checkout.files, found.folder, DEBIAN if r else ())
    if not found.used:
        _read_devcontainer(checkout.files, found)
    if not found.used:
        return EnvSpec(
            kind=PYTHON,
            platform=platform,
            files=debian,
            as_of=asked or DEFAULT_DAY,
            notes=(DEFAULT_TAKEN, *found.notes),
        )
    day = asked or _last_change(checkout, found)
    if r:
        found.files[R] = r.spec.essence(day, asked=asked)
    return EnvSpec(
        kind=CONDA if found.conda else PACKAGE if found.package else PYTHON,
        platform=platform,
        files=tuple(sorted((*found.files.items(), *debian))),
        python=_of_that_day(found.python, day) if found.pinned else found.python,
        as_of=None if found.pinned else day,
        tree=checkout.ref.tree if found.tree else "",
        folder=found.folder,
        notes=found.notes,
    )


def start_script(files: Mapping[str, bytes]) -> str:
    """Return the path of the author's ``start`` script in the content, or ""."""
    path = path_in(_folder(files), "start")
    return path if path in files else ""


def listed(files: Mapping[str, bytes]) -> str:
    """Return the path at which a ``requirements.txt`` would be read."""
    return path_in(_folder(files), "requirements.txt")


def _folder(files: Mapping[str, bytes]) -> str:
    present = [name for name in FOLDERS if any(path.startswith(f"{name}/") for path in files)]
    if len(present) > 1:
        raise BadSpecification(
            "The repository has both a .binder and a binder folder.",
            hint="Keep one of them, as Binder asks.",
        )
    return present[0] if present else ""


def _refuse_ruling(files: Mapping[str, bytes], folder: str) -> None:
    for name in _RULING:
        if (path := path_in(folder, name)) in files:
            raise refused(path)


def _refuse_passed_over(files: Mapping[str, bytes], folder: str) -> None:
    for name in _PASSED_OVER:
        if (path := path_in(folder, name)) in files:
            raise refused(path)


def _read_r(files: Mapping[str, bytes], found: Found) -> RFiles | None:
    """Read what asks for R, which comes to whatever Python is asked for."""
    r = read_r(files, found.folder, conda=conda_file(files, found.folder))
    if r:
        found.used |= r.used
        found.tree, found.notes = r.tree, r.notes
    return r


def _read_pipenv(files: Mapping[str, bytes], found: Found) -> bool:
    """Read a ``Pipfile.lock``, else a ``Pipfile``; then nothing else says what to install.

    As in Binder, the Python that it names rules over ``runtime.txt``.
    """
    locked = read_pipenv(files, found.folder)
    if locked is None:
        return False
    if not locked.python:
        _read_python(files, found)
    _take(files, found, locked)
    return True


def _read_locks(files: Mapping[str, bytes], found: Found) -> None:
    if locked := read_locks(files, found.folder):
        _take(files, found, locked)


def _take(files: Mapping[str, bytes], found: Found, locked: Locked) -> None:
    """Take over what a lock file asks for."""
    found.files.update(locked.files)
    found.used |= locked.used & files.keys()
    found.tree |= locked.local
    exact = minor_of(locked.python) or locked.python.isdecimal()
    ours = _version(locked.path, locked.python) if exact else locked.python
    found.python = found.python or ours


def _read_python_files(files: Mapping[str, bytes], found: Found) -> None:
    if not _read_pipenv(files, found):
        _read_python(files, found)
        _read_packages(files, found)


def _read_python(files: Mapping[str, bytes], found: Found) -> None:
    """Take the version from runtime.txt, else from .python-version."""
    runtime = path_in(found.folder, "runtime.txt")
    if runtime in files:
        text = decode(runtime, files[runtime]).strip()
        found.used.add(runtime)
        found.python = _runtime(runtime, text)
        return
    chosen = path_in(found.folder, ".python-version")
    if chosen in files:
        for line in decode(chosen, files[chosen]).splitlines():
            version = re.fullmatch(r"(?:cpython-?|python-?)?(\d+(?:\.\d+){0,2})", line.strip())
            if version:  # anything else is a pyenv environment's own name
                found.used.add(chosen)
                found.python = _version(chosen, version[1])
                return


def _runtime(path: str, text: str) -> str:
    if asks_for_r(text):
        return ""
    version = re.fullmatch(r"python-(\d+(?:\.\d+)?)(?:\.\w+)?", text)  # some write “3.7.O”
    if not version:
        raise BadSpecification(
            f"{path} says “{text[:40]}”, which is not a version of Python.",
            hint="Write one line such as python-3.11, or r-4.2-2023-01-31.",
        )
    return _version(path, version[1])


def _version(path: str, text: str) -> str:
    """Return *text* as the minor version that it means: patch releases do not change results."""
    parts = text.split(".")
    if parts[0] == "2":
        return show(TWO)
    if parts[0] != "3":
        raise BadSpecification(f"{path} asks for Python {text}, which does not exist.")
    return ".".join(parts[:2]) if len(parts) > 1 else ""


def _read_packages(files: Mapping[str, bytes], found: Found) -> None:
    listed = path_in(found.folder, "requirements.txt")
    project = None
    if "pyproject.toml" in files and not found.folder:
        project = read_project("pyproject.toml", files["pyproject.toml"])
    if listed in files:
        requirements = read_requirements(files, listed)
        found.files.update(requirements.files)
        found.used |= {from_top(found.folder, name) for name in requirements.files}
        found.tree |= requirements.local
        found.pinned = requirements.pinned
    elif not (project and project.listed and "uv.lock" in files):
        _read_locks(files, found)
    if found.folder:  # as in Binder: then the top is content, not specification
        return
    if project:
        found.python = found.python or project.python
    if "setup.py" in files or (project and _is_package(files, found, project)):
        found.package = found.tree = True
        found.used |= {"setup.py", "setup.cfg", "pyproject.toml"} & files.keys()
    if project and listed not in files and LOCKED not in found.files:
        _read_project_files(files, found, project)
    if found.package and "uv.lock" not in found.files:
        found.pinned = False


def _is_package(files: Mapping[str, bytes], found: Found, project: Project) -> bool:
    """Say whether *project* is to be installed itself.

    A ``setup.cfg`` may describe what ``pyproject.toml`` only says how to build. Poetry writes a
    build system for folders of notebooks, too: where nothing but the name says that there is a
    package, and Binder sees none, what the lock lists is enough.
    """
    if project.package and project.guessed and LOCKED in found.files:
        note = "The project itself was not installed: [tool.poetry] names no packages of its own."
        found.notes = (*found.notes, note)
        return False
    described = re.search(rb"(?m)^\[metadata\]", files.get("setup.cfg", b""))
    return project.package or (project.bare and bool(described))


def _read_project_files(files: Mapping[str, bytes], found: Found, project: Project) -> None:
    if "uv.lock" in files and project.listed:
        found.tree |= lock_needs_tree(files["uv.lock"])
        found.pinned = True
        found.files["uv.lock"] = files["uv.lock"]
        found.used.add("uv.lock")
    elif found.package:
        return  # its own metadata, which comes with the tree, lists what it needs
    if project.listed:
        found.files["pyproject.toml"] = project.essence
        found.used.add("pyproject.toml")
        found.tree |= project.local


def _read_devcontainer(files: Mapping[str, bytes], found: Found) -> None:
    """Take the Python of a ``devcontainer.json`` at the top, which Binder does not know."""
    if DEVCONTAINER in files and not found.folder:
        told = read_devcontainer(DEVCONTAINER, files[DEVCONTAINER])
        found.python, found.notes = told.python, told.notes
        found.used |= {DEVCONTAINER} if told.python else set()


def _read_post_build(files: Mapping[str, bytes], found: Found) -> None:
    path = path_in(found.folder, "postBuild")
    if path in files:
        found.files["postBuild"] = files[path]
        found.used.add(path)
        found.tree = True


def _debian_packages(
    files: Mapping[str, bytes], folder: str, more: tuple[str, ...]
) -> tuple[tuple[str, bytes], ...]:
    """Return what ``apt.txt`` and *more* add to the specification files.

    It comes to whatever else is asked for. Its date says nothing about the Python index, and apt
    knows no earlier day.
    """
    path = path_in(folder, apt.FILE)
    essence = apt.read_apt(path, files.get(path, b""), more)
    return ((apt.ESSENCE, essence),) if essence else ()


def index_day(at: str) -> date | None:
    """Return the day that *at* means ("" is ``None``), or raise `BadRequest`."""
    today = datetime.now(UTC).date()
    if at in {"", "today"}:
        return today if at else None
    hint = "Write “today” or a date such as 2021-06-30."
    with contextlib.suppress(ValueError):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", at):
            if (day := date.fromisoformat(at)) > today:
                message = f"{at} is still to come: nobody knows the package index of that day."
                raise BadRequest(message, hint=hint)
            return day
    raise BadRequest(f"“{at[:40]}” is not a date.", hint=hint)


def _last_change(checkout: Checkout, found: Found) -> date:
    """Return the day on which what decides last changed: the tree's date, or the files'."""
    commit = checkout.ref.date
    if found.tree:
        return commit.astimezone(UTC).date()
    return max(checkout.changed.get(path, commit) for path in found.used).astimezone(UTC).date()


def _of_that_day(python: str, day: date) -> str:
    """Name the Python of *day*: a builder does not see the date of what is pinned."""
    best = wanted(python, day)
    return show(best) if best else python
