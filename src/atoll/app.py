"""App: reads settings, loads plug-ins, wires them. The only place that knows both sides."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import Any, Protocol

from atoll import volumes
from atoll.access import HUB, Kind, Party, Share
from atoll.accounting import Records
from atoll.accounting.costs import Costs
from atoll.acts import Acts
from atoll.allowances import Allowances, Rulings
from atoll.environments import Builder, Environments, Shelf
from atoll.environments.substitutes import from_pypi
from atoll.errors import AtollError, Lacking
from atoll.folders import data_folder
from atoll.launching import Launcher, prepared
from atoll.launching.confirming import Trusts
from atoll.launching.copies import CopyLink, CopyLinks, taken_back
from atoll.launching.desk import Launches
from atoll.launching.wishes import GIB, within
from atoll.messages import Messages
from atoll.people import Person
from atoll.servers import Plans, Runner, Server, ServerPlan, Stops
from atoll.settings import Settings
from atoll.sources import Receiver, Source
from atoll.sources.providers import Providers
from atoll.volumes.keeper import Keeper, Rules


class Engine(Protocol):
    """What an engine plug-in's entry point returns when it is called with the settings."""

    builder: Builder
    runner: Runner
    files: volumes.Files


class Store(Protocol):
    """What a store plug-in's entry point returns when it is called with the settings."""

    shelf: Shelf
    plans: Plans
    records: Records
    launches: Launches
    stops: Stops
    trusts: Trusts
    copies: CopyLinks
    volumes: volumes.Records
    acts: Acts
    costs: Costs
    rulings: Rulings
    messages: Messages

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
    keeper: Keeper

    @property
    def allowances(self) -> Allowances:
        """What people may have now."""
        return Allowances(self.settings, self.store.rulings)

    async def start(
        self,
        plan: ServerPlan,
        environ: Mapping[str, str],
        person: Person | None = None,
        host: Person | None = None,
    ) -> Server:
        """Start *plan* with what *person*, its owner as of now, may have now.

        Without *person*, who runs this process has it as it is, but for the mounts. Of a copy,
        *host* is the owner of its original, as of now. Raises what `Runner.start` does, and
        `NotFound` where there is no copy to be had any more.
        """
        whose, copied = person or plan.owner, plan.content.copied
        if copied:
            link = await self._link_to(copied)
            mounts, notes = await self.keeper.shown(host, whose, plan.mounts, link.volumes)
        else:
            mounts, notes = await self.keeper.granted(whose, plan.mounts)
        plan = replace(plan, mounts=mounts)
        if person and (limits := within(plan.limits, await self.allowances.of(person))):
            plan = replace(plan, limits=limits)
            had = f"{limits.memory / GIB:g}G of memory and {limits.cpus:g} processors"
            notes = (*notes, f"This server has {had}: no more is allowed you now.")
        server = await self.runner.start(plan, environ)
        if copied:
            try:  # who takes it back while a large copy is filled, ends this one, too
                await self._link_to(copied)
            except AtollError:
                await self.runner.stop(server.handle, now=True)
                raise
        return replace(server, notes=(*notes, *server.notes))

    async def _link_to(self, copied: volumes.Copied) -> CopyLink:
        """Return the link by which *copied* came, or raise `NotFound` if it is good no more."""
        link = await self.store.copies.of(copied.owner, copied.server)
        if link is None or link.copied != copied:
            raise taken_back()
        return link


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
    prepared.check(settings.pages.prepared, settings.servers)
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
    quota = Allowances(settings, shelves.rulings).quota
    keeper = Keeper(shelves.volumes, machine.files, volume_rules(settings), quota)
    launcher = Launcher(
        source,
        environments,
        shelves.plans,
        this_platform(),
        substitute,
        keeper,
        machine.runner,
        machine.runner.gpus(),
    )
    parts = (shelves, launcher, machine.builder, machine.runner)
    return Atoll(settings, source, environments, *parts, uploads=source, keeper=keeper)


def volume_rules(settings: Settings) -> Rules:
    """Return what the settings say of volumes; the operator's own are read, never written to."""
    rules = settings.volumes
    folders = {}
    for name, one in rules.folders.items():
        groups = tuple(Share(Party(Kind.GROUP, group)) for group in one.groups)
        shares = groups or (Share(HUB),)
        since = datetime.fromtimestamp(0, UTC)
        folders[name] = volumes.Volume(
            f"hub:{name}", HUB, name, since, one.description, shares=shares
        )
    return Rules(int(rules.quota), rules.each, timedelta(seconds=rules.grace), folders)


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
