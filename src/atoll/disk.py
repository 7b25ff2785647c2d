"""Disk: what folders take of it, and how to walk and remove what hostile code may have made.

A box may nest folders thousands deep, beyond what Python's own walks and a path's 4096 bytes
reach, or leave them without permissions. Nothing here follows a link or recurses.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atoll.names import new_id

LONGEST_PATH = 4096  # bytes, with the zero at its end: the kernel takes no longer one


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


def freed(folders: Iterable[Path]) -> int:
    """Return the bytes that removing *folders* together frees: files without a name elsewhere."""
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    names: Counter[tuple[int, int]] = Counter()
    for folder in folders:
        for inode, found in _files(folder):
            sizes[inode] = found
            names[inode] += 1
    return sum(size for inode, (size, links) in sizes.items() if names[inode] >= links)


def beyond(limit: int, order: Iterable[str], folders: Iterable[str]) -> set[str]:
    """Return the first of *order* that must go for the rest of *folders* to take *limit* bytes.

    A file that several hold by hard link counts once, for as long as one of them is there.
    """
    files = {folder: dict(_files(Path(folder))) for folder in folders}
    sizes = {inode: size for found in files.values() for inode, (size, _) in found.items()}
    holders = Counter(inode for found in files.values() for inode in found)
    taken = sum(sizes.values())
    goes = set()
    for folder in order:
        if taken <= limit:
            break
        goes.add(folder)
        for inode in files[folder]:
            holders[inode] -= 1
            taken -= 0 if holders[inode] else sizes[inode]
    return goes


@contextlib.contextmanager
def locked(file: Path, *, alone: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock *file*, with others or *alone*, against every other process.

    Raises `BlockingIOError` where that is not to be had at once and *wait* is false, and
    `FileNotFoundError` where the file's folder is not there.
    """
    held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        fcntl.flock(held, how if wait else how | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def discard(folders: Iterable[str | Path]) -> None:
    """Delete *folders*: they are out of sight at once, then taken apart."""
    for doomed in hide(folders):
        remove(doomed)


def hide(folders: Iterable[str | Path]) -> list[Path]:
    """Give each of *folders* a hidden name beside its own; return where they are now."""
    return [
        folder.rename(folder.with_name(f".{folder.name}.{new_id()}"))
        for folder in map(Path, folders)
    ]


def entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Yield all that is below *folder*; what cannot be read, or lies too deep, is passed over.

    A folder comes before what is in it, so that whoever reads may change its permissions.
    """
    pending = [os.fspath(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as found:
                here = list(found)
        except OSError:
            continue
        for entry in here:
            if len(os.fsencode(entry.path)) >= LONGEST_PATH:
                continue
            yield entry
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)


def remove(folder: str | Path) -> None:
    """Delete *folder* and all below it, as far as the disk lets us; it may be gone already.

    Every folder found inside is first moved up to the top, so that none is ever deep.
    """
    names = iter(new_id, "")
    with contextlib.suppress(OSError):
        top = _open(os.fspath(folder))
        try:
            left = _clear(top, top, names)
            while left:
                name = left.pop()
                with contextlib.suppress(OSError):
                    inner = _open(name, top)
                    try:
                        left += _clear(inner, top, names)
                    finally:
                        os.close(inner)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        Path(folder).rmdir()


def _open(name: str, parent: int | None = None) -> int:
    """Open the folder *name*, never through a link, once it lets us in."""
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    found = os.open(name, os.O_PATH | flags, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{found}", 0o700)  # noqa: PTH101 - an open folder, not a path
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(found)


def _clear(folder: int, top: int, names: Iterator[str]) -> list[str]:
    """Delete the files of the open *folder*; return its folders, now in *top* under new *names*."""
    folders = []
    with os.scandir(folder) as found:
        here = list(found)
    for entry in here:
        with contextlib.suppress(OSError):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
                continue
            os.close(_open(entry.name, folder))  # only what may be written to can be moved
            new = next(names)
            os.rename(entry.name, new, src_dir_fd=folder, dst_dir_fd=top)
            folders.append(new)
    return folders


def _files(folder: Path) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    for entry in entries(folder):
        if not entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):  # it has gone meanwhile
                found = entry.stat(follow_symlinks=False)
                yield (found.st_dev, found.st_ino), (found.st_blocks * 512, found.st_nlink)
