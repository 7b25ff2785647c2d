"""Disk: what environments take of it, alone and together."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from atoll.names import new_id


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of disk: all of an environment's, and those that removing it alone would free.

    ``shares`` are the other environments that hold some of the same files by hard link.
    """

    all: int
    alone: int
    shares: tuple[str, ...] = ()


def usage(folders: Mapping[str, Path]) -> dict[str, Usage]:
    """Measure *folders* together: a file with several names is counted once in each of them.

    Files that the package cache also holds are not freed by removing an environment.
    """
    files = {name: dict(_files(folder)) for name, folder in folders.items()}
    holders: Counter[tuple[int, int]] = Counter()
    for found in files.values():
        holders.update(found.keys())
    measured = {}
    for name, found in files.items():
        alone = sum(size for size, links in found.values() if links == 1)
        mine = {inode for inode in found if holders[inode] > 1}
        shares = tuple(
            other for other in files if other != name and mine and not mine.isdisjoint(files[other])
        )
        measured[name] = Usage(sum(size for size, _ in found.values()), alone, shares)
    return measured


def discard(folders: Iterable[str | Path]) -> None:
    """Delete *folders*: each is out of sight at once, then taken apart."""
    for folder in map(Path, folders):
        doomed = folder.with_name(f".{folder.name}.{new_id()}")
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _files(folder: Path) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    for where, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(where, name))  # noqa: PTH118 - hot loop
            yield (found.st_dev, found.st_ino), (found.st_blocks * 512, found.st_nlink)
