"""Kernel layers: ipykernel and what it needs, once for all environments that have the same of it.

A fork server of kernels (`forking.kernels`) runs code with the right to enter people's boxes, so it
must be no repository's code. A layer has nothing but wheels of the operator's index, installed by
us. An environment may be served by it if its own files are the very same: hard links to the same
files of the package cache. Then a kernel that is forked is the kernel that would have started.

In ``<data>/kernels/<key>/`` there are ``linked``, what environments are compared with, and
``env``, a copy that belongs to Atoll's own user, from which the fork server runs.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from atoll.disk import entries, remove
from atoll.engines.local.locks import Pin
from atoll.engines.local.pythons import Python

KERNELS = "kernels"  # the folder of all layers, in the data folder
KERNEL = "ipykernel"
NOTE = "kernel.txt"  # in an environment's folder: the key of its layer
OLDEST = (3, 10)  # the oldest Python that a fork server runs under
# Versions of ipykernel whose shell channel may fall silent for ever when something comes in while
# it answers (its issue 1529), as it does sooner in a kernel that is there at once.
SILENT = SpecifierSet(">=7.dev0,<7.4", prereleases=True)
MOST = 1024**2  # bytes of one package's description
NEVER_COMPARED = re.compile(r".*\.(dist-info|pth)|__pycache__|_virtualenv\.py")


def wanted(environment: Path, python: Python) -> tuple[Pin, ...]:
    """Return what a layer for the environment in *environment* has; nothing if it can have none."""
    site = _site(environment / "env")
    if python.minor < OLDEST or site is None:
        return ()
    found: dict[str, Distribution] = {
        canonicalize_name(one.name): one
        for one in distributions(path=[str(site)])
        if _readable(one)
    }
    seen: set[str] = set()
    ahead: list[str] = [KERNEL]
    minor = ".".join(map(str, python.minor))
    known = {"python_version": minor, "python_full_version": python.version, "extra": ""}
    try:
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            needs = map(Requirement, found[name].requires or ())
            ahead += [
                canonicalize_name(need.name)
                for need in needs
                if not need.marker or need.marker.evaluate(known)
            ]
        if Version(found[KERNEL].version) in SILENT:
            return ()
    except (KeyError, ValueError):  # one is not there, or describes itself in no known way
        return ()
    return tuple(Pin(name, found[name].version, wheel=True) for name in sorted(seen))


def key(python: Python, pins: tuple[Pin, ...]) -> str:
    """Return the name of the layer of *pins* for *python*."""
    said = [str(python.program), python.version, *(f"{pin.name}=={pin.version}" for pin in pins)]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:20]


def publish(made: Path, folder: Path) -> None:
    """Keep the environment *made* as the layer in *folder*, which appears whole."""
    aside = folder.with_name(f".{folder.name}")
    remove(aside)
    aside.mkdir(parents=True, mode=0o755)
    try:
        made.rename(aside / "linked")
        copy = ["cp", "-r", "--reflink=auto", "--", str(aside / "linked"), str(aside / "env")]
        subprocess.run(copy, check=True, stdin=subprocess.DEVNULL)
        aside.rename(folder)
    finally:
        remove(aside)


def fits(folder: Path, environment: Path) -> bool:
    """Say whether the environment has exactly the files of the layer in *folder*."""
    ours, theirs = _site(folder / "linked"), _site(environment / "env")
    if ours is None or theirs is None:
        return False
    names = [one.name for one in ours.iterdir() if not NEVER_COMPARED.fullmatch(one.name)]
    return all(_files(ours / name) == _files(theirs / name) for name in names)


def layer_of(handle: str, kernels: Path) -> Path | None:
    """Return the layer, below *kernels*, that the environment *handle* may be served by."""
    try:
        folder = kernels / Path(Path(handle, NOTE).read_text()).name
    except OSError:
        return None
    return folder if (folder / "env").is_dir() else None


def prune(kernels: Path, environments: Path) -> None:
    """Remove the layers that no environment has."""
    used = {note.read_text() for note in environments.glob(f"*/{NOTE}")}
    for folder in kernels.iterdir() if kernels.exists() else ():
        if folder.name not in used:
            remove(folder)


def _site(env: Path) -> Path | None:
    return next(iter(env.glob("lib/python3.*/site-packages")), None)


def _readable(one: Distribution) -> bool:
    path = one.locate_file("") / Path(str(getattr(one, "_path", "")), "METADATA")
    try:
        return Path(str(path)).stat().st_size < MOST
    except OSError:
        return False


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Return device and inode of *root*, or of each file below it, but for compiled ones."""
    if not os.path.lexists(root):
        return {}
    if root.is_symlink() or not root.is_dir():
        return {"": _identity(root.lstat())}
    return {
        entry.path[len(str(root)) :]: _identity(entry.stat(follow_symlinks=False))
        for entry in entries(root)
        if not entry.is_dir(follow_symlinks=False) and not entry.name.endswith(".pyc")
    }


def _identity(told: os.stat_result) -> tuple[int, int]:
    return told.st_dev, told.st_ino
