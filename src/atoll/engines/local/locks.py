"""Locks: what uv resolved, as pins that can be trusted because they say nothing but versions.

A lock is written by a box in which a repository's code may have run. So nothing of it is believed
but names and versions, which can lead to nothing but packages of the operator's index.
Source of the format: the pylock.toml specification (PEP 751).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from atoll.errors import BuildFailed

LABS = frozenset({"jupyter-server", "notebook", "jupyterlab"})
OLDEST_LAB = Version("0.31")  # of January 2018; those before are alphas, and no module to run


@dataclass(frozen=True, slots=True)
class Pin:
    """One package. ``wheel`` is true when the index has a wheel for this machine.

    ``direct`` is true when it comes from elsewhere: a URL, a repository, the content.
    ``editable`` when it stays in the content. ``version`` may be "" for direct ones.
    """

    name: str
    version: str
    wheel: bool
    direct: bool = False
    editable: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """All packages of an environment. ``body`` is the file itself, for whoever builds from it."""

    pins: tuple[Pin, ...]
    body: bytes = field(default=b"", compare=False, repr=False)

    @property
    def names(self) -> frozenset[str]:
        """The packages' canonical names."""
        return frozenset(pin.name for pin in self.pins)

    @property
    def versions(self) -> frozenset[tuple[str, str]]:
        """All names with their versions."""
        return frozenset((pin.name, pin.version) for pin in self.pins)

    @property
    def trusted(self) -> tuple[Pin, ...]:
        """Those that come as wheels from the operator's index: nothing of them is executed."""
        return tuple(pin for pin in self.pins if pin.wheel and not pin.direct)

    @property
    def harmless(self) -> bool:
        """Whether all are trusted."""
        return len(self.trusted) == len(self.pins)

    @property
    def sources(self) -> frozenset[str]:
        """The names of those that the index has as source only."""
        return frozenset(pin.name for pin in self.pins if not pin.wheel and not pin.direct)

    def text(self, hashes: Mapping[str, tuple[str, ...]] | None = None) -> str:
        """Return the lock as requirements, for people to read."""
        return lines(self.pins, hashes or {})


def has_lab(versions: Iterable[tuple[str, str]]) -> bool:
    """Say whether packages (name and version) are enough to run a JupyterLab of their own."""
    found = dict(versions).get("jupyterlab")
    try:
        return found is not None and (not found or Version(found) >= OLDEST_LAB)
    except InvalidVersion:  # conda's
        return True


def lines(pins: tuple[Pin, ...], hashes: Mapping[str, tuple[str, ...]]) -> str:
    """Return *pins* as lines of a requirements file, each with what *hashes* has for it."""
    return "".join(
        f"{pin.name}=={pin.version}"
        + "".join(f" --hash={one}" for one in hashes.get(pin.name, ()))
        + "\n"
        if not pin.direct
        else f"# {pin.name} {pin.version}: from the repository or another address\n"
        for pin in pins
    )


def read_lock(body: bytes) -> Lock:
    """Read a ``pylock.toml``. Raises `BuildFailed` for anything that is not one."""
    try:
        table = tomllib.loads(body.decode())
        return Lock(tuple(_pin(package) for package in table.get("packages", [])), body)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BuildFailed("The build did not say what it had resolved.") from error


def uv_lock_hashes(body: bytes) -> dict[str, tuple[str, ...]]:
    """Return the hashes in a ``uv.lock``, by canonical package name."""
    found: dict[str, tuple[str, ...]] = {}
    for package in tomllib.loads(body.decode()).get("package", []):
        files = [*package.get("wheels", []), package.get("sdist", {})]
        hashes = tuple(str(file["hash"]) for file in files if "hash" in file)
        if hashes:
            name = canonicalize_name(package["name"])
            found[name] = (*found.get(name, ()), *hashes)
    return found


def _pin(package: dict[str, object]) -> Pin:
    name = canonicalize_name(str(package["name"]), validate=True)
    directory = package.get("directory")
    direct = any(kind in package for kind in ("vcs", "archive", "directory"))
    version = str(package.get("version", ""))
    if not direct:
        try:
            version = str(Version(version))
        except InvalidVersion:
            if not re.fullmatch(r"[\w.+!-]+", version):
                raise
    return Pin(
        name,
        version,
        wheel=bool(package.get("wheels")),
        direct=direct,
        editable=isinstance(directory, dict) and bool(directory.get("editable")),
    )
