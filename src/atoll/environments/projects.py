"""Projects: what a ``pyproject.toml`` and a ``uv.lock`` say about the environment.

Sources of the formats: the pyproject.toml specification (packaging.python.org) and uv's
documentation of projects and locking.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from atoll.environments.pythons import is_range
from atoll.environments.requirements import may_be_address
from atoll.environments.tables import read_toml
from atoll.errors import BadSpecification

# Of [project] and [tool.uv], only these can change what is installed.
_PROJECT = ("requires-python", "dependencies", "optional-dependencies")
_UV = (
    *("sources", "index", "index-url", "extra-index-url", "find-links", "no-index", "pip"),
    *("override-dependencies", "constraint-dependencies", "exclude-dependencies", "environments"),
    *("required-environments", "conflicts", "index-strategy", "prerelease", "resolution"),
    *("default-groups", "dependency-metadata", "no-build", "no-binary", "no-sources", "package"),
    *("fork-strategy", "no-build-package", "no-binary-package", "dependency-groups"),
)


@dataclass(frozen=True, slots=True)
class Project:
    """What matters of one ``pyproject.toml``.

    ``package`` is true when there is something to install (a build system is declared), ``bare``
    when only another file can say what, ``guessed`` when Poetry would look for a folder of the
    project's name; ``listed`` when it lists dependencies to install without it. ``python`` is its
    ``requires-python``. ``local`` is true when it takes packages from the repository, ``indexes``
    when it names other package indexes, ``remote`` when it may name other addresses. ``essence``
    is the file without what changes nothing.
    """

    package: bool
    bare: bool
    guessed: bool
    listed: bool
    python: str
    local: bool
    indexes: bool
    remote: bool
    essence: bytes


def read_project(name: str, body: bytes) -> Project:
    """Read a ``pyproject.toml``, or raise `BadSpecification`."""
    table = _toml(name, body)
    project, tool = _table(table, "project"), _table(table, "tool")
    uv = _table(tool, "uv")
    system = "build-system" in table and _is_installable(tool)
    python = str(project.get("requires-python", ""))
    if python and not is_range(python):
        raise BadSpecification(f"{name}: requires-python “{python}” is not a version range.")
    sources = _flat(_table(uv, "sources"))
    index_words = {"index", "index-url", "extra-index-url", "find-links", "no-index", "pip"}
    described = "project" in table or "poetry" in tool
    return Project(
        package=system and described,
        bare=system and not described,
        guessed="project" not in table
        and not {"packages", "include"} & _table(tool, "poetry").keys(),
        listed="project" in table,
        python=python,
        local=any({"path", "workspace"} & source.keys() for source in sources),
        indexes=bool(index_words & uv.keys()),
        remote=may_be_address((essence := _essence(table, project, uv)).decode()),
        essence=essence,
    )


def _is_installable(tool: dict[str, Any]) -> bool:
    """Say whether none of the tools is told that there is nothing to install."""
    switches = {"uv": "package", "poetry": "package-mode", "pdm": "distribution"}
    return all(_table(tool, name).get(key, True) is not False for name, key in switches.items())


def lock_needs_tree(body: bytes) -> bool:
    """Say whether a ``uv.lock`` takes anything but the bare root project from the repository."""
    packages = _toml("uv.lock", body).get("package", [])
    for package in packages if isinstance(packages, list) else []:
        source = package.get("source", {}) if isinstance(package, dict) else {}
        if {"editable", "directory", "path"} & source.keys():
            return True
        if source.get("virtual", ".") != ".":
            return True
    return False


def lock_leads_away(body: bytes) -> bool:
    """Say whether a ``uv.lock`` takes anything from elsewhere than a package index or the files."""
    packages = _toml("uv.lock", body).get("package", [])
    sources = [one.get("source") for one in packages if isinstance(one, dict)]
    return any(
        not isinstance(source, dict)
        or not source.keys() <= {"registry", "virtual", "editable", "directory", "path"}
        or any(may_be_address(str(where)) for kind, where in source.items() if kind != "registry")
        for source in sources
    )


def _toml(name: str, body: bytes) -> dict[str, Any]:
    return dict(read_toml(name, body).values)


def _table(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name, {})
    return found if isinstance(found, dict) else {}


def _flat(sources: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every source: uv takes one table or, for several platforms, a list of them."""
    lists = [one if isinstance(one, list) else [one] for one in sources.values()]
    return [source for some in lists for source in some if isinstance(source, dict)]


def _essence(table: dict[str, Any], project: dict[str, Any], uv: dict[str, Any]) -> bytes:
    kept: dict[str, Any] = {
        "project": {
            "name": project.get("name", "project"),
            "version": "0",
            **{key: project[key] for key in _PROJECT if key in project},
        }
    }
    if groups := _table(table, "dependency-groups"):
        kept["dependency-groups"] = groups
    if settings := {key: uv[key] for key in _UV if key in uv}:
        kept["tool"] = {"uv": settings}
    return "".join(f"{key} = {_value(value)}\n" for key, value in kept.items()).encode()


def _value(value: object) -> str:
    """Write *value* as TOML; its strings and lists look like JSON's."""
    if isinstance(value, dict):
        pairs = (f"{_value(str(key))} = {_value(value[key])}" for key in sorted(value))
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
