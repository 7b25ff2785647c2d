"""Pipenv: what a ``Pipfile.lock``, or a ``Pipfile`` alone, asks for.

Sources of the formats: the Pipfile project's description and Pipenv's documentation. As in Binder,
packages for development are installed, too, and a lock file rules over its Pipfile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from packaging.version import Version

from atoll.environments.locks.entries import (
    Entry,
    address,
    every,
    index_lines,
    is_public,
    make,
    place,
    revision,
)
from atoll.environments.locks.locked import Locked, locked
from atoll.environments.tables import Table, read_json, read_toml

_REPOSITORIES = ("git", "hg", "svn", "bzr")
_VARIABLES = (
    *("os_name", "sys_platform", "platform_machine", "platform_python_implementation"),
    *("platform_release", "platform_system", "platform_version", "python_version"),
    *("python_full_version", "implementation_name", "implementation_version"),
)


def read_pipenv(files: Mapping[str, bytes], folder: str) -> Locked | None:
    """Return what the Pipfile.lock or Pipfile in *folder* asks for, ``None`` if there is none.

    The Python comes from the lock, else from the Pipfile. Raises `BadSpecification`.
    """
    at = f"{folder}/" if folder else ""
    lock, pipfile = f"{at}Pipfile.lock", f"{at}Pipfile"
    project = read_toml(pipfile, files[pipfile]) if pipfile in files else Table(pipfile)
    python = _python(project.table("requires"))
    if lock in files:
        told = read_json(lock, files[lock])
        meta = told.table("_meta")
        ours = _python(meta.table("requires"))
        used = () if ours or not python else (pipfile,)
        sections, sources, python = ("default", "develop"), meta.tables("sources"), ours or python
    elif pipfile in files:
        told, used = project, ()
        sections, sources = ("packages", "dev-packages"), project.tables("source")
    else:
        return None
    return locked(
        told.path,
        dict.fromkeys(entry for one in sections for entry in _entries(told.table(one))),
        indexes=_indexes(told.path, sources),
        used=used,
        python=python,
    )


def _python(requires: Table) -> str:
    """Return the version that *requires* names, as Binder reads it: the digits at its beginning."""
    for key in ("python_full_version", "python_version"):
        if found := re.match(r"\d+(\.\d+){0,2}", requires.text(key)):
            return found[0]
    return ""


def _indexes(path: str, sources: list[Table]) -> tuple[str, ...]:
    """Return the lines for *sources*; one that is called “pypi” is a mirror of the public index."""
    others = [one.text("url") for one in sources if one.text("name") != "pypi"]
    lines = index_lines(path, others)
    if lines and not any(one.text("name") == "pypi" for one in sources):
        if any(map(is_public, others)):
            return lines
        return (lines[0].replace("--extra-index-url", "--index-url", 1), *lines[1:])
    return lines


def _entries(section: Table) -> Iterator[Entry]:
    for name, value in section.values.items():
        if isinstance(value, str):
            yield make(section.path, name, _version(section.text(name)))
        else:
            yield _entry(section.path, name, section.table(name))


def _entry(path: str, name: str, one: Table) -> Entry:
    kind = next((kind for kind in _REPOSITORIES if kind in one), "")
    url = ""
    if kind:
        at, within = one.text("ref"), one.text("subdirectory")
        url = revision(path, name, kind, one.text(kind), at=at, within=within)
    elif where := one.text("path") or one.text("file"):
        url = address(path, name, where) if "://" in where else place(path, where)
    markers = [one.text("markers")]
    markers += [f"{key} {one.text(key)}" for key in _VARIABLES if key in one]
    return make(
        path,
        name,
        "" if url else _version(one.text("version")),
        extras=one.texts("extras"),
        marker=every(markers),
        hashes=() if url else one.texts("hashes"),
        url=url,
        editable=one.flag("editable") and url.startswith("./"),
    )


def _version(text: str) -> str:
    """Return *text* as a specifier: “*” is any version, and “1.2” is just that one."""
    text = text.strip()
    try:
        return f"=={Version(text)}"
    except ValueError:
        return "" if text == "*" else text
