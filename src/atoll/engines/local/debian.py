"""Debian: makes layers of Debian packages, which lie over the system's in boxes.

    fetch (apt) -> unpack -> set up -> keep what differs from the system -> publish

A layer has what apt adds to this very system for some packages; nothing of it is ever root's doing.
Layers stand in ``<data>/layers/apt/<key>/``: ``usr``, ``etc``, ``var`` and ``opt``, and what is
known of them in ``layer.json``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from atoll.disk import entries, remove
from atoll.engines.local import published
from atoll.engines.local.apt import Choice, System, fetch
from atoll.engines.local.installing import KEPT, set_up, unpack
from atoll.engines.local.r_debian import from_debian
from atoll.engines.local.sandbox import FILES
from atoll.engines.local.steps import Steps
from atoll.engines.local.system import is_folder
from atoll.engines.local.workshop import Workshop, destroy, open_workshop, publish, read_written
from atoll.environments import EnvKey
from atoll.environments.apt import packages_of
from atoll.errors import BuildFailed

LAYERS = "layers/apt"  # the folder of all layers, in the data folder
NOTE = "layer.json"
DEBIAN = "debian"  # in an environment's metadata: what is known of its layer
DROPPED = (
    *("var/lib/dpkg", "var/lib/apt", "var/lib/ucf", "var/cache/debconf", "var/cache/ldconfig"),
    *("var/log", "var/tmp"),
)
Lock = Callable[[EnvKey], contextlib.AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Layer:
    """What is known of a layer.

    ``packages`` are the versions of what is in it, and of what was asked for and is the system's.
    ``release`` is the system's, ``needs`` are the packages of the system's that it leans on;
    ``notes`` are sentences about what is not as a person may expect.
    """

    key: str
    release: str
    packages: Mapping[str, str]
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


async def lay(
    steps: Steps, system: System, data: Path, lock: Lock, notes: list[str]
) -> Layer | None:
    """Give *steps* the layer that their specification asks for, if any, made if need be.

    *lock* holds a key against other processes. Raises `Lacking` where there is no apt.
    """
    asked = packages_of(dict(steps.spec.files))
    if not asked:
        return None
    await asyncio.to_thread(system.check)
    asked = tuple(sorted({*asked, *await from_debian(steps, system)}))
    name = key(system, asked)
    folder = data / LAYERS / name
    making = EnvKey(f"apt_{name}")
    async with lock(making):
        if not (folder / NOTE).exists():
            steps.say(f"Debian packages for {system.name}: {', '.join(asked)}")
            locks = data / "environments" / ".locks"
            workshop = await asyncio.to_thread(
                open_workshop, steps.cache / "making", making, locks, steps.owner
            )
            try:
                await _make(replace(steps, workshop=workshop), system, asked, folder)
            finally:
                await asyncio.to_thread(destroy, workshop.root)
    layer = read(folder)
    steps.layer = folder
    notes += layer.notes
    return layer


def told(layer: Layer | None) -> dict[str, object]:
    """Return what the metadata of an environment say of its *layer*."""
    if not layer:
        return {}
    return {
        DEBIAN: {"layer": layer.key, "release": layer.release, "packages": dict(layer.packages)}
    }


def lines(layer: Layer | None) -> str:
    """Return the packages of *layer* as comments for a lock file."""
    packages = sorted(layer.packages.items()) if layer else ()
    return "".join(f"# apt: {name}={version}\n" for name, version in packages)


def key(system: System, asked: Sequence[str]) -> str:
    """Return the name of the layer that *asked* need on *system*."""
    said = "\0".join([*system.identity, "", *asked])
    return hashlib.sha256(said.encode()).hexdigest()[:20]


def read(folder: Path) -> Layer:
    """Return what is known of the layer in *folder*. Raises `OSError` or `ValueError`."""
    known = json.loads((folder / NOTE).read_bytes())
    return Layer(**{**known, "needs": tuple(known["needs"]), "notes": tuple(known["notes"])})


def layer_of(metadata: Mapping[str, object], data: Path) -> Path | None:
    """Return the folder of the layer of the environment with these *metadata*, if it has one."""
    known = metadata.get(DEBIAN)
    return data / LAYERS / Path(str(known["layer"])).name if isinstance(known, dict) else None


def fits(metadata: Mapping[str, object], data: Path, system: System) -> bool:
    """Say whether an environment has its layer, if any, and *system* what that leans on.

    What a system gets within one release fits what was made for that release.
    """
    folder = layer_of(metadata, data)
    if folder is None:
        return True
    try:
        layer = read(folder)
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return layer.release == system.release and system.installed().keys() >= set(layer.needs)


def prune(data: Path) -> None:
    """Remove the layers that no environment has."""
    used = set()
    for file in data.glob(f"environments/*/{published.METADATA}"):
        with contextlib.suppress(OSError, ValueError):
            used.add(layer_of(published.metadata(str(file.parent)), data))
    layers = data / LAYERS
    for folder in layers.iterdir() if layers.exists() else ():
        if folder not in used:
            remove(folder)


async def _make(steps: Steps, system: System, asked: Sequence[str], folder: Path) -> None:
    """Make the layer *folder* in *steps*' workshop, and publish it."""
    choice = await fetch(steps, system, asked)
    if choice.packages:
        await unpack(steps, system, choice)
        await set_up(steps, choice)
    layer = _layer(folder.name, system, asked, choice, steps.workshop.out)
    for note in layer.notes:
        steps.say(note)
    await asyncio.to_thread(_gather, steps.workshop)
    (steps.workshop.result / NOTE).write_text(json.dumps(asdict(layer), indent=1))
    await asyncio.to_thread(publish, steps.workshop, folder)


def _layer(name: str, system: System, asked: Sequence[str], choice: Choice, out: Path) -> Layer:
    """Put together what is known of a layer, from what the boxes have left in *out*."""
    installed = system.installed()
    new = {one.name: one.version for one in choice.packages}
    asked_here = {one: installed[one] for one in asked if one in installed and one not in new}
    leans = {*asked_here, *re.findall(r"[a-z0-9][a-z0-9+.-]+", _told(out, "needs"))}
    today = f"The Debian packages are those that {system.name} has today"
    notes = [f"{today}, whatever day the rest is of."]
    if broken := sorted(new.keys() & set(_told(out, "broken").split())):
        notes.append(
            f"The set-up of these Debian packages ended with an error: {', '.join(broken)}."
        )
    if services := re.findall(r"^[\w@.-]{1,80}$", _told(out, "services"), re.MULTILINE):
        notes.append(
            f"Services are not started in a server by themselves: {', '.join(services[:20])}."
        )
    return Layer(
        key=name,
        release=system.release,
        packages={**asked_here, **new},
        needs=tuple(sorted((leans & installed.keys()) - new.keys())),
        notes=tuple(notes),
    )


def _told(out: Path, name: str) -> str:
    """Return what boxes have written into the file *name*, if they have."""
    with contextlib.suppress(BuildFailed):
        return read_written(out, name).decode(errors="replace")
    return ""


def _gather(workshop: Workshop) -> None:
    """Move what makes the layer to where it is published, without what is the system's anyway."""
    made, result = workshop.env, workshop.result
    if is_folder(made / "usr"):  # where the upper folder was seen
        (made / "usr").rmdir()
        _hide_nothing(workshop.scratch / "upper")
        (workshop.scratch / "upper").rename(made / "usr")
        _leave_out_the_systems(made / "etc")
        for name in DROPPED:
            if not any((made / one).is_symlink() for one in (Path(name), *Path(name).parents)):
                remove(made / name)
    for name in KEPT:
        if is_folder(made / name):
            (made / name).rename(result / name)
    made.rename(workshop.root / "left")


def _hide_nothing(upper: Path) -> None:
    """Let what is the system's be seen through each folder, also where a script removed it."""
    for entry in entries(upper):
        if entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.removexattr(entry.path, "user.overlay.opaque", follow_symlinks=False)


def _leave_out_the_systems(etc: Path) -> None:
    """Remove what is below the layer's *etc* as it is in the machine's, or in every box."""
    for name in (*FILES, "/etc/resolv.conf", "/etc/debconf.conf"):
        place = etc / Path(name).name
        if not place.is_dir() or place.is_symlink():
            place.unlink(missing_ok=True)
    folders = []
    for entry in entries(etc):
        path = Path(entry.path)
        system = Path("/etc", path.relative_to(etc))
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif _same(path, system):
            path.unlink()
    for folder in reversed(folders):
        if Path("/etc", folder.relative_to(etc)).is_dir():
            with contextlib.suppress(OSError):  # something of the layer's is in it
                folder.rmdir()


def _same(one: Path, other: Path) -> bool:
    """Say whether *one* is a link as *other* is, or a file with the content that is found there."""
    if one.is_symlink():
        return other.is_symlink() and one.readlink() == other.readlink()
    if not (one.is_file() and other.is_file()) or one.stat().st_size != other.stat().st_size:
        return False
    return one.read_bytes() == other.read_bytes()
