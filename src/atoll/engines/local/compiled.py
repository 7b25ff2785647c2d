"""Compiled modules, kept so that environments with the same files need not compile them again.

A module is known by its file: environments link the wheels' files out of the package cache, so that
the same inode is the same text, and it is at the same place in every box. Beside what was compiled,
the store keeps a link to the module itself: as long as that is there, no other file gets its inode.

What a wheel brings as compiled may be of another package's module, and say anything. So nothing is
kept but what our own compiling has written; that runs the machine's Python, and no package's code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atoll.disk import entries
from atoll.engines.local import layers
from atoll.engines.local.owners import give
from atoll.engines.local.pythons import Python

FOLDER = "__pycache__"


@dataclass(frozen=True, slots=True)
class Compiled:
    """The store for one Python. ``owner`` is who may write into environments while compiling."""

    folder: Path
    tag: str
    owner: int | None

    def lend(self, env: Path) -> frozenset[Path]:
        """Link what is kept for modules of *env* into it; return all that is compiled there now."""
        there = frozenset(_compiled(env))
        for module, inode in _modules(env):
            place = module.parent / FOLDER / f"{module.stem}.{self.tag}.pyc"
            if place in there:
                continue
            with contextlib.suppress(FileNotFoundError, FileExistsError, NotADirectoryError):
                kept = self.folder / f"{inode}.pyc"
                kept.lstat()
                if place.parent.is_symlink():  # of a package's, to anywhere
                    continue
                if not place.parent.exists():
                    place.parent.mkdir(mode=0o755)
                    give(place.parent, self.owner)
                os.link(kept, place, follow_symlinks=False)
        return frozenset(_compiled(env))

    def keep(self, env: Path, before: frozenset[Path]) -> None:
        """Keep what has been compiled in *env* and is not of *before*."""
        new = {place for place in _compiled(env) if place not in before}
        self.folder.mkdir(parents=True, exist_ok=True)
        for module, inode in _modules(env):
            place = module.parent / FOLDER / f"{module.stem}.{self.tag}.pyc"
            if place in new:
                with contextlib.suppress(FileExistsError):
                    os.link(module, self.folder / f"{inode}.py", follow_symlinks=False)
                    os.link(place, self.folder / f"{inode}.pyc", follow_symlinks=False)


def compiled(cache: Path, python: Python, owner: int | None) -> Compiled:
    """Return the store for *python* in the package *cache*."""
    tag = "cpython-{}{}".format(*python.minor)
    return Compiled(cache / "compiled" / layers.key(python, ()), tag, owner)


def _modules(env: Path) -> Iterator[tuple[Path, int]]:
    """Yield the modules of *env* that are links into the cache, and their inodes."""
    for entry in entries(env / "lib"):
        if entry.name.endswith(".py") and entry.is_file(follow_symlinks=False):
            found = entry.stat(follow_symlinks=False)
            if found.st_nlink > 1:
                yield Path(entry.path), found.st_ino


def _compiled(env: Path) -> Iterator[Path]:
    for entry in entries(env / "lib"):
        if entry.name.endswith(".pyc") and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
