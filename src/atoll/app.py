"""App: reads settings, loads plug-ins, wires them. The only place that knows both sides."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

from atoll.accounting import Records
from atoll.environments import Builder, Environments, Shelf
from atoll.environments.substitutes import from_pypi
from atoll.errors import AtollError, Lacking
from atoll.launching import Launcher
from atoll.launching.desk import Launches
from atoll.servers import Plans, Runner, Stops
from atoll.settings import Settings, data_folder
from atoll.sources import Receiver, Source
from atoll.sources.providers import Providers


class Engine(Protocol):
    """What an engine plug-in's entry point returns when it is called with the settings."""

    builder: Builder
    runner: Runner


class Store(Protocol):
    """What a store plug-in's entry point returns when it is called with the settings."""

    shelf: Shelf
    plans: Plans
    records: Records
    launches: Launches
    stops: Stops

    async def open(self) -> None:
        """Connect, and bring the tables up to date."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


@dataclass(frozen=True, slots=True)
class Atoll:
    """One running installation."""

    settings: Settings
    source: Source
    environments: Environments
    store: Store
    launcher: Launcher
    builder: Builder
    runner: Runner
    uploads: Receiver


def plug_in(kind: str, name: str) -> Any:
    """Return what the entry point *name* of group ``atoll.KIND`` points at, or raise `Lacking`."""
    for entry in entry_points(group=f"atoll.{kind}", name=name):
        try:
            return entry.load()
        except Exception as error:
            raise Lacking(f"The {kind} plug-in “{name}” is broken: {error!r}.") from error
    raise Lacking(
        f"There is no {kind} plug-in “{name}”.", hint="`atoll doctor` lists what is installed."
    )


def wire(settings: Settings, *, trusted: bool, engine: str = "local", store: str = "sql") -> Atoll:
    """Put an installation together.

    *trusted* says that whoever asks is the one who runs this process (the command line), so that
    local paths and addresses inside the network may be fetched.
    """
    data_folder(settings)
    shelves: Store = plug_in("stores", store)(settings)
    machine: Engine = plug_in("engines", engine)(settings)
    source = providers(settings, trusted=trusted)
    environments = Environments(
        machine.builder,
        shelves.shelf,
        grace=settings.builds.grace,
        width=settings.builds.at_once,
    )
    substitute = from_pypi if settings.builds.substitute else None
    launcher = Launcher(source, environments, shelves.plans, this_platform(), substitute)
    parts = (shelves, launcher, machine.builder, machine.runner)
    return Atoll(settings, source, environments, *parts, uploads=source)


def providers(settings: Settings, *, trusted: bool) -> Providers:
    """Load every provider that is installed; a broken one is missed by nobody but who needs it."""
    sources: dict[str, Source] = {}
    broken: dict[str, AtollError] = {}
    for name in sorted({entry.name for entry in entry_points(group="atoll.providers")}):
        try:
            sources[name] = plug_in("providers", name)(settings, trusted=trusted)
        except AtollError as error:
            broken[name] = error
    return Providers(sources, broken)


@contextlib.asynccontextmanager
async def opened(atoll: Atoll) -> AsyncIterator[Atoll]:
    """Open *atoll*'s store, and close everything at the end."""
    await atoll.store.open()
    try:
        async with atoll.environments.closing():
            yield atoll
    finally:
        await atoll.store.close()


def this_platform() -> str:
    """Name what a binary wheel must fit: processor, system and C library."""
    libc = platform.libc_ver()[0] or "libc"
    return f"{platform.machine()}-linux-{libc}"
