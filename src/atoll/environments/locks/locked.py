"""Locked: what a lock file asks for, as files that a builder knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atoll.environments.locks.entries import Entry, counted
from atoll.environments.requirements import read_requirements

LOCKED = "locked.txt"  # in a specification: the lines that a lock file came down to
CONSTRAINTS = "locked-constraints.txt"  # beside it: which versions, for whatever is asked for


@dataclass(frozen=True, slots=True)
class Locked:
    """What the lock file *path* asks for.

    ``files`` are requirements files, paths in which begin at the top of the repository; ``used``
    are the files that decide. ``python`` is a version, a range or "". ``local`` is true when
    something is taken from the repository.

    Although all is pinned, such a specification keeps its date: the kernel and what packages are
    built with are in no lock, and which Python has wheels of all that is pinned is to be found.
    """

    path: str
    files: Mapping[str, bytes]
    used: frozenset[str]
    python: str = ""
    local: bool = False


def locked(
    path: str,
    entries: Iterable[Entry],
    *,
    indexes: Iterable[str] = (),
    asked: Iterable[Entry] | None = None,
    used: Iterable[str] = (),
    python: str = "",
) -> Locked:
    """Return what the *entries* of the file *path* come down to.

    *asked* are the packages to install if not all of them are; *entries* then say which version.
    *used* are further files that decide, *indexes* lines that name package indexes.
    """
    known = list(entries)
    counted(path, len(known))
    lines, files = list(indexes), {}
    if asked is None:
        lines += [one.line for one in known]
    else:
        lines += [f"-c {CONSTRAINTS}", *(one.line for one in asked)]
        files[CONSTRAINTS] = _text(one.constraint for one in known)
    files[LOCKED] = _text(lines)
    folder = path.rpartition("/")[0]
    at = f"{folder}/" if folder else ""
    # Under the lock file's own name, so that complaints name that.
    named = {at + CONSTRAINTS: files.get(CONSTRAINTS, b""), path: files[LOCKED]}
    read = read_requirements(named, path)
    return Locked(
        path=path,
        files=files,
        used=frozenset({path, *used}),
        python=python,
        local=read.local,
    )


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in dict.fromkeys(lines)).encode()
