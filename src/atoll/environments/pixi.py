"""Pixi: what the default environment of a ``pixi.toml`` asks for, as an ``environment.yml`` would.

The same may stand in a ``pyproject.toml``. Source of the formats: Pixi's documentation, "Pixi
manifest" and "pyproject.toml". Its tasks, and environments but the default one, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from atoll.environments.conda import NO_DEFAULTS, CondaFile, read_table
from atoll.environments.locks.entries import address, index_lines, make, place, revision
from atoll.environments.tables import Table, read_toml
from atoll.errors import BadSpecification, CannotBuildYet

PIXI, PROJECT = "pixi.toml", "pyproject.toml"

_SUBDIRS = {"x86_64": "linux-64", "aarch64": "linux-aarch64", "ppc64le": "linux-ppc64le"}
_NAME = re.compile(r"\w[\w.-]*")
_VERSION = re.compile(r"[\w.*,<>=!~|+ -]*")
_BUILD = re.compile(r"[\w.*^$]+")
_SOURCES = ("path", "git", "url")


def is_pixi(path: str, body: bytes) -> bool:
    """Say whether the ``pyproject.toml`` at *path* is a manifest of Pixi's."""
    return "pixi" in read_toml(path, body).table("tool")


def read_pixi(path: str, body: bytes, platform: str) -> CondaFile:
    """Read the ``pixi.toml`` or ``pyproject.toml`` at *path* for *platform* ("x86_64-linux-gnu").

    Raises `BadSpecification`, and `CannotBuildYet` for conda packages that are to be built.
    """
    whole = read_toml(path, body)
    in_project = path.rpartition("/")[2] == PROJECT
    told = whole.table("tool").table("pixi") if in_project else whole
    head = told.table("workspace" if "workspace" in told else "project")
    parts = list(_parts(told, platform))
    conda = [one for part in parts for one in _conda(part.table("dependencies"))]
    pip = [one for part in parts for one in _pip(path, part)]
    if in_project:  # that of the whole project; what it needs is of the Python index
        project = whole.table("project")
        conda = [*_own_python(project, conda), *conda]
        pip = [*pip, *project.texts("dependencies")]
    variables: dict[str, str] = {}
    for part in parts:
        env = part.table("activation").table("env")
        variables |= {name: env.text(name) for name in env.values}
    # As Pixi does, only from the channels that it names.
    table = {"channels": [*_channels(head), NO_DEFAULTS], "variables": variables}
    return read_table(path, {**table, "dependencies": [*conda, *([{"pip": pip}] if pip else [])]})


def _parts(told: Table, platform: str) -> Iterator[Table]:
    """Yield the tables that make up the default environment on *platform*."""
    found = told.table("environments").values.get("default", [])
    if isinstance(found, dict):
        names = told.table("environments").table("default").texts("features")
    else:
        names = told.table("environments").texts("default")
    subdir = _SUBDIRS.get(platform.partition("-")[0], "")
    for one in (told, *(told.table("feature").table(name) for name in names)):
        yield one
        targets = one.table("target")
        yield from (targets.table(name) for name in ("unix", "linux", subdir) if name in targets)


def _own_python(project: Table, conda: list[str]) -> Iterator[str]:
    """Yield the Python that *project* requires, unless *conda* has one."""
    version = project.text("requires-python")
    if version and not any(one.partition(" ")[0] == "python" for one in conda):
        yield _matched(project.path, "python", version)


def _channels(head: Table) -> Iterator[object]:
    listed = head.values.get("channels", [])
    for one in listed if isinstance(listed, list) else [listed]:
        yield Table(head.path, one).text("channel") if isinstance(one, dict) else one


def _conda(section: Table) -> Iterator[str]:
    for name, value in section.values.items():
        if isinstance(value, str):
            yield _matched(section.path, name, section.text(name))
            continue
        one = section.table(name)
        if any(source in one for source in _SOURCES):
            message = f"{section.path} has {name[:40]} built from source, as a conda package."
            raise CannotBuildYet(message, hint="Name a package that a channel has.")
        channel, build = one.text("channel"), one.text("build")
        matched = _matched(section.path, name, one.text("version"), build)
        yield f"{channel}::{matched}" if channel else matched


def _matched(path: str, name: str, version: str, build: str = "") -> str:
    """Return the match specification; a star is any version."""
    if not _NAME.fullmatch(name):
        message = f"{path}: “{name[:40]}” cannot be the name of a package."
        raise BadSpecification(message, hint="Use letters, digits, “.”, “_” and “-”.")
    if not _VERSION.fullmatch(version) or (build and not _BUILD.fullmatch(build)):
        message = f"{path}: “{(version or build)[:40]}” of {name[:40]} is not a version."
        raise BadSpecification(message, hint="It looks like “>=1.26,<2” or “3.12.*”.")
    if build:
        return f"{name}[version='{version or '*'}',build='{build}']"
    return f"{name} {version}" if version not in {"", "*"} else name


def _pip(path: str, part: Table) -> Iterator[str]:
    """Yield lines for pip: package indexes, and packages."""
    options = part.table("pypi-options")
    yield from index_lines(path, (options.text("index-url"), *options.texts("extra-index-urls")))
    section = part.table("pypi-dependencies")
    for name, value in section.values.items():
        if isinstance(value, str):
            yield make(path, name, _any(section.text(name))).line
            continue
        one = section.table(name)
        url = _url(path, name, one)
        version = "" if url else _any(one.text("version"))
        editable = one.flag("editable") and url.startswith("./")
        yield make(path, name, version, extras=one.texts("extras"), url=url, editable=editable).line


def _url(path: str, name: str, one: Table) -> str:
    if where := one.text("git"):
        at = one.text("rev") or one.text("tag") or one.text("branch")
        return revision(path, name, "git", where, at=at, within=one.text("subdirectory"))
    if where := one.text("url"):
        return address(path, name, where)
    return place(path.rpartition("/")[2], where) if (where := one.text("path")) else ""


def _any(version: str) -> str:
    """Return *version* as Python's specifiers have it: a star is any, a bare version is that."""
    if re.fullmatch(r"\d[\w.+!*]*", version):
        return f"=={version}"
    return "" if version == "*" else version
