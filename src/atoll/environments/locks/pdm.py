"""PDM: what a ``pdm.lock`` asks for.

Source of the format: PDM's documentation and source, lock versions 3 to 4.5. A lock that says of
each package for which group it is (PDM's strategy “inherit_metadata”) says all; of any other,
``pyproject.toml`` says what is asked for, and the lock which versions. Groups other than the
default one are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.requirements import InvalidRequirement, Requirement

from atoll.environments.locks.entries import (
    Entry,
    address,
    exact,
    file_hashes,
    make,
    place,
    revision,
)
from atoll.environments.locks.locked import Locked, locked
from atoll.environments.tables import Table, read_toml
from atoll.errors import BadSpecification

DEFAULT = "default"


def read_pdm(files: Mapping[str, bytes], folder: str) -> Locked | None:
    """Return what the pdm.lock in *folder* asks for, ``None`` if there is none.

    Raises `BadSpecification`, also where the lock needs a ``pyproject.toml`` that is not there.
    """
    at = f"{folder}/" if folder else ""
    path, project = f"{at}pdm.lock", f"{at}pyproject.toml"
    if path not in files:
        return None
    lock = read_toml(path, files[path])
    packages = lock.tables("package")
    python = _python(lock.table("metadata"))
    if any("groups" in one for one in packages):
        wanted = [one for one in packages if DEFAULT in one.texts("groups")]
        return locked(path, [_entry(lock, one) for one in wanted], python=python)
    entries = [_entry(lock, one) for one in packages if not one.texts("extras")]
    read = read_toml(project, files.get(project, b""))
    if packages and "project" not in read:
        raise BadSpecification(
            f"{path} does not say what is for what, and no pyproject.toml beside it does.",
            hint="Put its pyproject.toml beside it, or run `pdm lock -S inherit_metadata`.",
        )
    asked = _asked(read.table("project"), {one.name: one for one in entries})
    return locked(path, entries, asked=asked, used=(project,), python=python)


def _python(metadata: Table) -> str:
    targets = metadata.tables("targets") if "targets" in metadata else []
    return next((found for one in targets if (found := one.text("requires_python"))), "")


def _entry(lock: Table, package: Table) -> Entry:
    path, name, version = lock.path, package.text("name"), package.text("version")
    url = _url(path, name, package)
    return make(
        path,
        name,
        "" if url else exact(path, name, version),
        extras=package.texts("extras"),
        marker=package.text("marker"),
        hashes=() if url else _hashes(lock, package),
        url=url,
        editable=url.startswith("./") and package.flag("editable"),
    )


def _url(path: str, name: str, package: Table) -> str:
    if where := package.text("git"):
        at = package.text("revision") or package.text("ref")
        return revision(path, name, "git", where, at=at, within=package.text("subdirectory"))
    if where := package.text("url"):
        return address(path, name, where)
    if where := package.text("path"):
        return place(path, where)
    if kind := next((kind for kind in ("hg", "svn", "bzr") if kind in package), ""):
        return revision(path, name, kind, package.text(kind))
    return ""


def _hashes(lock: Table, package: Table) -> list[str]:
    """Return the hashes of *package*: in it, or, before lock version 4, in a table for all."""
    if "files" in package:
        return file_hashes(package.tables("files"))
    every = lock.table("metadata").table("files")
    return file_hashes(every.tables(f"{package.text('name')} {package.text('version')}"))


def _asked(project: Table, known: Mapping[str, Entry]) -> Iterator[Entry]:
    """Yield what ``[project] dependencies`` asks for; which versions, *known* says."""
    for text in project.texts("dependencies"):
        try:
            one = Requirement(text)
        except (InvalidRequirement, RecursionError):
            message = f"{project.path}: “{text[:60]}” is not a requirement."
            raise BadSpecification(message, hint="It looks like “numpy>=1.20,<2”.") from None
        marker = str(one.marker or "")
        entry = make(project.path, one.name, extras=one.extras, marker=marker)
        found = known.get(entry.name, entry)
        yield Entry(entry.name, "", entry.extras, entry.marker, (), found.url, found.editable)
