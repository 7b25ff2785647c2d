"""Workshops: where one build makes its environment, aside, until it is published whole.

A workshop lies beside the package cache, in the same mount, so that files can be hard-linked from
the one into the other. What hostile code may have written there is never followed: links are
neither read through nor written through, and folders without permissions are removed all the same.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from atoll.disk import entries, remove
from atoll.engines.local import generations
from atoll.engines.local.owners import give
from atoll.environments import EnvKey
from atoll.errors import BuildFailed
from atoll.names import new_id

MOST = 64 * 1024**2  # bytes that we read of a file that a build wrote


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folders of one build, all below ``root``.

    ``result`` is what is published: in it the environment and maybe the changed content.
    ``spec`` holds the specification, ``out`` what uv resolved, ``scratch`` what the build wrote
    over the shared cache.
    """

    root: Path

    @property
    def result(self) -> Path:
        """The folder that is published."""
        return self.root / "result"

    @property
    def env(self) -> Path:
        """The environment, at /srv/env in boxes."""
        return self.result / "env"

    @property
    def home(self) -> Path:
        """The copy of the content that the build works in."""
        return self.result / "home"

    @property
    def spec(self) -> Path:
        """What to build; boxes cannot write here."""
        return self.root / "spec"

    @property
    def out(self) -> Path:
        """What a box answers."""
        return self.root / "out"

    @property
    def quick(self) -> Path:
        """What a box answers in which no code but uv's can run."""
        return self.root / "quick"

    @property
    def scratch(self) -> Path:
        """Where writes over the shared cache end up."""
        return self.root / "scratch"

    def lay_out(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Write the specification *files*, as (name, bytes), where boxes read them."""
        here = self.spec / "files" / "here"
        here.mkdir(parents=True)
        for name, body in files:
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_bytes(body)


def open_workshop(making: Path, key: EnvKey, locks: Path, owner: int | None) -> Workshop:
    """Make a workshop for *key* below *making*, first clearing what killed builds left there.

    The caller holds the lock of *key* in *locks*; others' workshops are left when locked.
    """
    making.mkdir(parents=True, exist_ok=True)
    for left in making.iterdir():
        other = left.name.rsplit("-", 1)[0]
        if other == key:
            destroy(left)
            continue
        with contextlib.suppress(Timeout), FileLock(locks / f"{other}.lock", timeout=0):
            destroy(left)
    workshop = Workshop(making / f"{key}-{new_id()}")
    workshop.root.mkdir(mode=0o711)
    try:
        _furnish(workshop, owner)
    except OSError:
        destroy(workshop.root)
        raise
    return workshop


def _furnish(workshop: Workshop, owner: int | None) -> None:
    for folder in (workshop.result, workshop.spec):
        folder.mkdir(mode=0o755)
    for folder in (workshop.env, workshop.out, workshop.quick, workshop.scratch):
        folder.mkdir(mode=0o755)
    for folder in (workshop.scratch / "upper", workshop.scratch / "work"):
        folder.mkdir()
    for folder in (workshop.env, workshop.out, workshop.quick, workshop.scratch):
        give(folder, owner)


def start_over(workshop: Workshop, owner: int | None) -> None:
    """Throw away the environment made so far."""
    workshop.env.rename(workshop.root / f"env-{new_id()}")
    workshop.env.mkdir(mode=0o755)
    give(workshop.env, owner)


def own_files(workshop: Workshop) -> None:
    """Give the environment files of its own, where they were links into the package cache."""
    old = workshop.root / f"env-{new_id()}"
    workshop.env.rename(old)
    _copy(old, workshop.env, "The environment")


def copy_tree(tree: Path, workshop: Workshop, owner: int | None) -> None:
    """Copy the content *tree* into the workshop: links as links, times kept."""
    _copy(tree, workshop.home, "The content")
    workshop.home.chmod(0o755)  # a checkout is read-only
    for entry in entries(workshop.home):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o755)  # noqa: PTH101, S103 - a folder of a checkout, no link
    give(workshop.home, owner)


def _copy(source: Path, target: Path, what: str) -> None:
    command = ["cp", "-a", "--reflink=auto", "--", str(source), str(target)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BuildFailed(f"{what} could not be copied: {ran.stderr.strip()[:200]}.")


def changed(tree: Path, copy: Path) -> bool:
    """Say whether *copy* differs from the *tree* that it was made from."""
    return _listing(tree) != _listing(copy)


def _listing(root: Path) -> dict[str, tuple[int, int, int | str]]:
    listing: dict[str, tuple[int, int, int | str]] = {}
    for entry in entries(root):
        short = entry.path[len(os.fspath(root)) :]
        if entry.is_dir(follow_symlinks=False):
            listing[short] = (0, 0, 0)
        elif entry.is_symlink():
            listing[short] = (1, 0, os.readlink(entry.path))  # noqa: PTH115
        else:
            found = entry.stat(follow_symlinks=False)
            listing[short] = (2, found.st_size, found.st_mtime_ns)
    return listing


def read_written(folder: Path, name: str) -> bytes:
    """Read the plain file *name* that a box wrote into *folder*, following no link.

    Raises `BuildFailed` when it is anything else, or larger than 64 MiB.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(folder / name, flags), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                body = file.read(MOST + 1)
                if len(body) <= MOST:
                    return body
    except OSError:
        pass
    raise BuildFailed("The build did not say what it had resolved.")


def publish(workshop: Workshop, target: Path) -> None:
    """Make the finished result appear at *target*, whole; servers keep what was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop.result.chmod(0o755)
    generations.publish(workshop.result, target)


def destroy(path: Path) -> None:
    """Remove *path* and all below it, whatever permissions hostile code left there."""
    remove(path)
