"""Pylock: what a ``pylock.toml`` asks for.

Source of the format: the pylock.toml specification (PEP 751), as `packaging` reads it. Extras are
left out, and of the groups those are taken that the lock says are the default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from packaging.pylock import (
    Package,
    PackageSdist,
    PackageWheel,
    Pylock,
    PylockValidationError,
)
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from atoll.environments.locks.entries import (
    ANEW,
    Entry,
    address,
    index_lines,
    make,
    place,
    revision,
)
from atoll.environments.locks.locked import Locked, locked
from atoll.environments.tables import read_toml
from atoll.errors import BadSpecification

ALWAYS, NEVER = 'python_version >= "0"', 'python_version < "0"'
_MEMBER = re.compile(
    r"""(["'])(?P<name>[^"']*)\1\s+(?P<no>not\s+)?in\s+(?P<of>extras|dependency_groups)\b"""
)


def read_pylock(files: Mapping[str, bytes], folder: str) -> Locked | None:
    """Return what the pylock.toml in *folder* asks for, ``None`` if there is none.

    Raises `BadSpecification`.
    """
    path = f"{folder}/pylock.toml" if folder else "pylock.toml"
    if path not in files:
        return None
    try:
        lock = Pylock.from_dict(read_toml(path, files[path]).values)
    except (PylockValidationError, ValueError, RecursionError) as error:
        message = f"{path} is not as its specification wants it: {str(error)[:200]}."
        raise BadSpecification(message, hint=ANEW) from error
    groups = lock.default_groups or ()
    return locked(
        path,
        [_entry(path, one, groups) for one in lock.packages],
        indexes=index_lines(path, (one.index or "" for one in lock.packages)),
        python=str(lock.requires_python or _python(lock.packages)),
    )


def _entry(path: str, package: Package, groups: Iterable[str]) -> Entry:
    url, editable = _url(path, package)
    if not url and package.version is None:
        message = f"{path} does not say which version of {package.name} it means."
        raise BadSpecification(message, hint=ANEW)
    return make(
        path,
        package.name,
        "" if url else f"=={package.version}",
        marker=_marker(str(package.marker or ""), groups),
        hashes=() if url else _hashes(path, package),
        url=url,
        editable=editable,
    )


def _marker(text: str, groups: Iterable[str]) -> str:
    """Return the marker *text* with what it asks of extras and groups answered."""

    def answer(found: re.Match[str]) -> str:
        member = found["of"] == "dependency_groups" and found["name"] in groups
        return ALWAYS if member != bool(found["no"]) else NEVER

    return _MEMBER.sub(answer, text)


def _url(path: str, package: Package) -> tuple[str, bool]:
    """Return where *package* is if in no index, and whether it stays editable there."""
    name = package.name
    if vcs := package.vcs:
        where, within = vcs.url or vcs.path or "", vcs.subdirectory or ""
        return revision(path, name, vcs.type, where, at=vcs.commit_id, within=within), False
    if archive := package.archive:
        if archive.subdirectory:
            message = f"{path} takes {name} from a folder of an archive."
            raise BadSpecification(message, hint="Name an archive of the package alone.")
        if archive.url:
            return address(path, name, archive.url), False
        return place(path, archive.path or ""), False
    if directory := package.directory:
        where = "/".join(filter(None, (directory.path, directory.subdirectory)))
        return place(path, where), bool(directory.editable)
    return "", False


def _hashes(path: str, package: Package) -> Iterator[str]:
    files: list[PackageWheel | PackageSdist] = [*(package.wheels or ())]
    files += [package.sdist] if package.sdist else []
    if files and not any(one.url for one in files) and any(one.path for one in files):
        message = f"{path} takes {package.name} from a file on somebody's own disk."
        raise BadSpecification(message, hint="Lock it from a package index.")
    for one in files:
        yield from (f"{kind}:{value}" for kind, value in one.hashes.items())


def _python(packages: Iterable[Package]) -> str:
    """Return the Pythons that the files in a lock are for, as a range; "" for any.

    A lock that is made for one machine does not say which Python it had, but what it took.
    """
    fit: set[int] | None = None
    for package in packages:
        if package.sdist or not package.wheels:
            continue
        minors = set().union(*(_minors(one.filename) for one in package.wheels))
        fit = minors if fit is None else fit & minors
    if not fit or len(fit) >= _MINORS:
        return ""
    return f">=3.{min(fit)},<3.{max(fit) + 1}"


_MINORS = 40  # as many as Python 3 will not have


def _minors(filename: str) -> set[int]:
    """Return the minor versions of Python 3 that a wheel is for, as its name says."""
    found: set[int] = set()
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return set(range(_MINORS))
    for tag in tags:
        minor = re.fullmatch(r"cp3(\d+)", tag.interpreter)
        if not minor:
            return set(range(_MINORS))
        first = int(minor[1])
        found |= set(range(first, _MINORS)) if tag.abi in {"abi3", "none"} else {first}
    return found
