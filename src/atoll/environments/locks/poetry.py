"""Poetry: what a ``poetry.lock`` asks for.

Source of the format: Poetry's documentation and source, lock versions 1.0 to 2.1. From Poetry 2 on,
a lock says of each package for which group it is, and where. Before, only ``pyproject.toml`` says
what is asked for: that is taken, and the lock says which versions. Groups other than the main one
and extras are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from atoll.environments.locks.entries import (
    Entry,
    address,
    checked_marker,
    either,
    every,
    exact,
    file_hashes,
    index_lines,
    make,
    place,
    revision,
)
from atoll.environments.locks.locked import Locked, locked
from atoll.environments.tables import Table, read_toml
from atoll.errors import BadSpecification

MAIN = "main"
LONGEST = 200  # letters of a range


def read_poetry(files: Mapping[str, bytes], folder: str) -> Locked | None:
    """Return what the poetry.lock in *folder* asks for, ``None`` if there is none.

    Raises `BadSpecification`, also where an old lock stands without its ``pyproject.toml``.
    """
    at = f"{folder}/" if folder else ""
    path, project = f"{at}poetry.lock", f"{at}pyproject.toml"
    if path not in files:
        return None
    lock = read_toml(path, files[path])
    packages = lock.tables("package")
    indexes = index_lines(path, map(_index, packages))
    python = python_range(lock.table("metadata").text("python-versions"))
    if any("groups" in one for one in packages):
        wanted = [one for one in packages if _is_wanted(one)]
        entries = [_entry(lock, one, _marker(one)) for one in wanted]
        return locked(path, entries, indexes=indexes, python=python)
    entries = _one_of_each([_entry(lock, one) for one in packages])
    poetry = read_toml(project, files.get(project, b"")).table("tool").table("poetry")
    if packages and "dependencies" not in poetry:
        raise BadSpecification(
            f"{path} was written by a Poetry before 2, and does not say what is for what.",
            hint="Put its pyproject.toml beside it, or have Poetry 2 write it anew.",
        )
    asked = _asked(poetry.table("dependencies"), entries)
    return locked(path, entries, asked=asked, indexes=indexes, used=(project,), python=python)


def python_range(text: str) -> str:
    """Return Poetry's “^3.8”, “~3.9”, “3.9.*” or “>=3.8 <4” as a version range, "" for any.

    Of alternatives (“||”) the last is taken that has a Python 3. What means nothing is "".
    """
    found = ""
    for one in re.split(r"\|\|?", text[:LONGEST]):
        words = re.findall(r"[<>=!~^]*\s*[\w.*+-]+", one)
        try:
            allowed = SpecifierSet(",".join(filter(None, map(_bound, words))))
        except ValueError:
            continue
        if any(f"3.{minor}.99" in allowed for minor in range(30)) or not found:
            found = str(allowed)
    return found


def _bound(word: str) -> str:
    """Return one of Poetry's conditions as one or two of Python's."""
    parts = re.fullmatch(r"([<>=!~^]*)\s*([\w.*+-]+)", word)
    operator, version = (parts[1], parts[2]) if parts else ("", word)
    if version == "*":
        return ""
    numbers = [int(one) for one in re.findall(r"\d+", version)][:3]
    if not numbers:
        return word  # which nobody understands
    if operator == "^":
        first = next((i for i, one in enumerate(numbers) if one), len(numbers) - 1)
        return f">={version},<{_after(numbers[: first + 1])}"
    if operator == "~":
        return f">={version},<{_after(numbers[:2])}"
    if operator in {"", "=", "=="}:  # of a Python, the minor version is what is meant
        return f"=={'.'.join(map(str, numbers[:2]))}.*"
    return f"{operator}{version}"


def _after(numbers: list[int]) -> str:
    return ".".join(map(str, [*numbers[:-1], numbers[-1] + 1]))


def _is_wanted(package: Table) -> bool:
    return MAIN in package.texts("groups") and not package.flag("optional")


def _marker(package: Table) -> str:
    """Return where *package* is for: one text, or one for each group."""
    if isinstance(package.values.get("markers"), dict):
        return package.table("markers").text(MAIN)
    return package.text("markers")


def _index(package: Table) -> str:
    source = package.table("source")
    return source.text("url") if source.text("type") == "legacy" else ""


def _entry(lock: Table, package: Table, marker: str = "") -> Entry:
    path, name, version = lock.path, package.text("name"), package.text("version")
    source = package.table("source")
    url = _url(path, name, source)
    return make(
        path,
        name,
        "" if url else exact(path, name, version),
        marker=marker,
        hashes=() if url else _hashes(lock, package),
        url=url,
        editable=url.startswith("./") and package.flag("develop"),
    )


def _url(path: str, name: str, source: Table) -> str:
    where = source.text("url")
    match source.text("type"):
        case "" | "legacy":
            return ""
        case "url":
            return address(path, name, where)
        case "directory" | "file":
            return place(path, where)
        case kind:
            at = source.text("resolved_reference") or source.text("reference")
            return revision(path, name, kind, where, at=at, within=source.text("subdirectory"))


def _hashes(lock: Table, package: Table) -> list[str]:
    """Return the hashes of *package*: in it, or, before Poetry 1.3, in a table for all."""
    if "files" in package:
        return file_hashes(package.tables("files"))
    metadata, name = lock.table("metadata"), package.text("name")
    if "files" in metadata:
        return file_hashes(metadata.table("files").tables(name))
    return [f"sha256:{one}" for one in metadata.table("hashes").texts(name)]


def _one_of_each(entries: list[Entry]) -> list[Entry]:
    """Return one entry for each name; of several versions, uv takes the newest that fits.

    An old lock does not say which of them is for which Python.
    """
    found: dict[str, list[Entry]] = {}
    for one in entries:
        found.setdefault(one.name, []).append(one)
    return [_spanning(several) for several in found.values()]


def _spanning(several: list[Entry]) -> Entry:
    if len(several) == 1 or any(one.url for one in several):
        return several[-1]
    versions = sorted(Version(one.version.removeprefix("==")) for one in several)
    hashes = tuple(dict.fromkeys(each for one in several for each in one.hashes))
    return Entry(several[0].name, f">={versions[0]},<={versions[-1]}", hashes=hashes)


def _asked(dependencies: Table, entries: list[Entry]) -> Iterator[Entry]:
    """Yield what ``[tool.poetry.dependencies]`` asks for; which versions, *entries* say."""
    known = {one.name: one for one in entries}
    for name, value in dependencies.values.items():
        if name.lower() == "python":
            continue
        if isinstance(value, str):
            wanted = [Table(dependencies.path)]
        else:
            several = isinstance(value, list)
            tables = dependencies.tables(name) if several else [dependencies.table(name)]
            wanted = [one for one in tables if not one.flag("optional")]
        if wanted:
            marker = either(_where(one) for one in wanted)
            extras = {extra for one in wanted for extra in one.texts("extras")}
            entry = make(dependencies.path, name, extras=extras, marker=marker)
            found = known.get(entry.name, entry)
            yield replace(entry, url=found.url, editable=found.editable)


def _where(dependency: Table) -> str:
    """Return the marker of one of several ways in which something may be asked for."""
    python, platform = python_range(dependency.text("python")), dependency.text("platform")
    bounds = (f'python_full_version {one.operator} "{one.version}"' for one in SpecifierSet(python))
    markers = [dependency.text("markers"), *sorted(bounds)]
    if platform:
        markers.append(f"sys_platform == {platform!r}")
    return every(checked_marker(dependency.path, one) for one in markers)
