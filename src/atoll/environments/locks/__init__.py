"""Locks: the lock files of other tools, as what uv knows: lines with exact versions and hashes.

Each format has a module; all of them make `entries`. Nothing is chosen here: markers stay, and uv
decides which of them hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from atoll.environments.locks.locked import LOCKED, Locked
from atoll.environments.locks.pdm import read_pdm
from atoll.environments.locks.pipenv import read_pipenv
from atoll.environments.locks.poetry import read_poetry
from atoll.environments.locks.pylock import read_pylock

__all__ = ["LOCKED", "NAMES", "Locked", "read_locks", "read_pipenv"]

# Those that Binder does not know, in the order in which the first is taken: the standard one first.
NAMES = ("pylock.toml", "poetry.lock", "pdm.lock")
_READERS = (read_pylock, read_poetry, read_pdm)


def read_locks(files: Mapping[str, bytes], folder: str) -> Locked | None:
    """Return what the first lock file in *folder* asks for, ``None`` if there is none.

    Raises `BadSpecification`. Pipenv's are not among them: as in Binder, those rule over more.
    """
    found = (read(files, folder) for read in _READERS)
    return next((one for one in found if one), None)
