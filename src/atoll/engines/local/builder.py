"""The local builder: makes environments as folders, with uv, in boxes.

    look for a Python -> resolve -> install wheels -> (build the rest) -> (postBuild) -> publish

What a build may reach, and why there are two kinds of boxes, is told in `steps`. An environment is
made aside and appears with one rename; whatever stops a build leaves nothing but a workshop that
the next build clears away.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import AsyncFileLock

from atoll.disk import hide, locked, remove
from atoll.engines.local import conda, debian, layers, leads, network, own_lab, python2, r, room
from atoll.engines.local.adding import our_python
from atoll.engines.local.apt import System
from atoll.engines.local.explanations import Kind
from atoll.engines.local.finishing import Finishing
from atoll.engines.local.locks import Lock, has_lab, uv_lock_hashes
from atoll.engines.local.logs import Log
from atoll.engines.local.owners import build_owner, give
from atoll.engines.local.published import METADATA, environment_of, metadata
from atoll.engines.local.pythons import Python, Pythons, prefix_binds
from atoll.engines.local.solving import MOST, check, solve, solve_on_best, solve_quickly
from atoll.engines.local.steps import ENV, Steps
from atoll.engines.local.uv import Index, operators_index
from atoll.engines.local.workshop import (
    Workshop,
    changed,
    copy_tree,
    destroy,
    open_workshop,
    publish,
    start_over,
)
from atoll.environments import Environment, EnvKey, EnvSpec, Say
from atoll.environments.conda import CONDA
from atoll.environments.pythons import TWO, day_for
from atoll.environments.reading import PACKAGE
from atoll.environments.requirements import hashes_of
from atoll.errors import AtollError, BuildFailed
from atoll.servers import Network
from atoll.settings import Settings

BUILDING = ".building.lock"  # held by all builds together, and by whoever empties their cache
FULL = ".full.lock"  # held by the one build that ends for want of room


@dataclass(slots=True)
class LocalBuilder:
    """Makes environments under ``<data>/environments/<key>/``; a handle is that folder's path.

    In the folder: ``env/`` (at /srv/env in boxes), ``lock.txt``, ``log.txt``, ``atoll.json``,
    and ``home/`` when the build changed the content. ``index``, ``network`` and ``system`` are the
    operator's unless a test says otherwise.
    """

    settings: Settings
    index: Index
    network: Network
    engine: str
    pythons: Pythons
    system: System
    finishing: set[asyncio.Task[None]]

    def __init__(
        self, settings: Settings, index: Index | None = None, reach: Network = Network.INTERNET
    ) -> None:
        self.settings = settings
        self.index = operators_index() if index is None else index
        self.network = reach
        self.engine = "local"
        self.pythons = Pythons(settings.data / "pythons", build_owner(settings))
        self.system = System()
        self.finishing = set()

    async def build(self, spec: EnvSpec, tree: Path, say: Say) -> Environment:
        """Make the environment of *spec*, as `atoll.environments.Builder` promises.

        The whole log is kept in ``<data>/logs/<key>.txt``, of failed builds too.
        """
        owner = build_owner(self.settings)
        with room.minded(self.settings.data):
            self._locks().mkdir(parents=True, exist_ok=True)
            log_file = self.settings.data / "logs" / f"{spec.key}.txt"
            with locked(self._locks() / BUILDING), Log(log_file, say) as log:
                target = await self._build(spec, tree, owner, log)
        self._finish_later(target, owner)
        return environment_of(target)

    async def _build(self, spec: EnvSpec, tree: Path, owner: int | None, log: Log) -> Path:
        """Build and publish; return where. Nothing else is left, whatever happens."""
        began = time.monotonic()
        target = self._folder(spec.key)
        workshop = await asyncio.to_thread(self._open, spec, owner)
        cleared = contextlib.ExitStack()
        try:
            with room.minded(workshop.root):
                async with room.kept(workshop.root, self._locks() / FULL, cleared):
                    made = await self._make(spec, tree, workshop, owner, log)
                    made["seconds"] = round(time.monotonic() - began, 3)
                    await asyncio.to_thread(self._publish, workshop, target, made, log)
        except AtollError as error:
            error.log = error.log or spec.key
            log(str(error))
            raise
        finally:
            await asyncio.to_thread(destroy, workshop.root)
            cleared.close()
        return target

    async def healthy(self, handle: str) -> bool:
        """Say whether the folder is whole and its Python still there."""
        return await asyncio.to_thread(_is_whole, handle, self.settings.data, self.system)

    @contextlib.asynccontextmanager
    async def lock(self, key: EnvKey) -> AsyncIterator[None]:
        """Hold *key* against every other process; other keys stay free."""
        locks = self._locks()
        locks.mkdir(parents=True, exist_ok=True)
        async with AsyncFileLock(locks / f"{key}.lock", poll_interval=0.1):
            yield

    def empty_cache(self) -> bool:
        """Empty the package cache, unless a build is using it; return whether it was done."""
        self._locks().mkdir(parents=True, exist_ok=True)
        try:
            with locked(self._locks() / BUILDING, alone=True, wait=False):
                hidden = hide(sorted(self._cache().glob("*")))
        except BlockingIOError:
            return False
        for folder in hidden:
            remove(folder)
        return True

    def prune_layers(self) -> None:
        """Remove the layers that no environment has, unless something is being built."""
        kernels, environments = self.settings.data / layers.KERNELS, self._folder(EnvKey(""))
        with contextlib.suppress(BlockingIOError):
            self._locks().mkdir(parents=True, exist_ok=True)
            with locked(self._locks() / BUILDING, alone=True, wait=False):
                layers.prune(kernels, environments)
                debian.prune(self.settings.data)

    def _open(self, spec: EnvSpec, owner: int | None) -> Workshop:
        cache = self._cache()
        if not (cache / "uv").exists():
            (cache / "uv").mkdir(parents=True, exist_ok=True)
            give(cache / "uv", owner)
        workshop = open_workshop(cache / "making", spec.key, self._locks(), owner)
        try:
            workshop.lay_out(spec.files)
        except OSError:
            destroy(workshop.root)
            raise
        return workshop

    async def _make(
        self, spec: EnvSpec, tree: Path, workshop: Workshop, owner: int | None, log: Say
    ) -> dict[str, Any]:
        """Do everything up to publishing; return the metadata."""
        if spec.kind == CONDA:
            return await self._make_by_conda(spec, tree, workshop, owner, log)
        python, note = await asyncio.to_thread(self.pythons.take, spec.python, spec.as_of, log)
        log(f"Python {python.version}")
        notes = [*spec.notes, *([note] if note else [])]
        seen = replace(spec, as_of=day_for(python.minor, spec.as_of))
        if seen.as_of != spec.as_of:
            what = "Ready-made packages" if python.minor == TWO else f"Python {python.version}"
            notes.append(f"{what} came later: packages are those of {seen.as_of}.")
        steps = self._steps(seen, workshop, python, owner, log)
        packages = await debian.lay(steps, self.system, self.settings.data, self.lock, notes)
        if spec.tree:
            await asyncio.to_thread(copy_tree, tree, workshop, owner)
        steps, lock = await self._install(steps, spec, notes)
        python = steps.python
        made = await r.install(steps, self.system, packages, self.settings.builds.cran, notes)
        if "postBuild" in dict(spec.files):
            await _post_build(steps, _post_build_path(spec), made.variables)
        has = python.minor != TWO and has_lab(lock.versions)
        own = has and await own_lab.starts(steps, made.variables, notes)
        editable = any(pin.editable for pin in lock.pins)
        home = await asyncio.to_thread(_keep_home, spec, tree, workshop, editable=editable)
        text = lock.text() + debian.lines(packages) + made.lines
        (workshop.result / "lock.txt").write_text(text)
        return {
            **self._told(seen, python, notes),
            **debian.told(packages),
            **made.told,
            "home": home,
            "packages": len(lock.pins) + len(made.packages),
            "own_lab": own,
        }

    async def _make_by_conda(
        self, spec: EnvSpec, tree: Path, workshop: Workshop, owner: int | None, log: Say
    ) -> dict[str, Any]:
        """Do the same for an ``environment.yml``, whose Python is one of its packages."""
        notes = list(spec.notes)
        steps = self._steps(spec, workshop, our_python(), owner, log)
        packages = await debian.lay(steps, self.system, self.settings.data, self.lock, notes)
        if spec.tree:
            await asyncio.to_thread(copy_tree, tree, workshop, owner)
        steps, made = await conda.install(steps, self.settings.builds, notes)
        if "postBuild" in dict(spec.files):
            await _post_build(steps, _post_build_path(spec), made.environ)
        own = made.has_lab and await own_lab.starts(steps, made.environ, notes)
        home = await asyncio.to_thread(_keep_home, spec, tree, workshop, editable=made.editable)
        (workshop.result / "lock.txt").write_text(made.lock + debian.lines(packages))
        return {
            **self._told(spec, made.python, notes),
            **debian.told(packages),
            "home": home,
            "packages": made.packages,
            "own_lab": own,
            "environ": dict(made.environ),
        }

    def _told(self, spec: EnvSpec, python: Python, notes: list[str]) -> dict[str, Any]:
        """Return what the metadata of every environment say."""
        return {
            "key": spec.key,
            "engine": self.engine,
            "kind": spec.kind,
            "notes": notes,
            "python": python.version,
            "python_program": str(python.program),
            "python_prefix": str(python.prefix),
            "as_of": spec.as_of.isoformat() if spec.as_of else None,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    async def _install(self, steps: Steps, spec: EnvSpec, notes: list[str]) -> tuple[Steps, Lock]:
        """Choose versions and install them: the quick way if that turns out to be right.

        Returns the steps to go on with, perhaps on an older Python, and what was installed.
        """
        if steps.python.minor == TWO:
            return steps, await python2.install(steps, notes)
        files = dict(spec.files)
        hashes = hashes_of(files)
        if "uv.lock" in files:
            hashes |= uv_lock_hashes(files["uv.lock"])
        shared = "postBuild" not in files
        full = None
        # What is said in the repository's own packages may lead anywhere, and this has the host's
        # network.
        if spec.kind != PACKAGE and not steps.elsewhere and not leads.has_packages(files):
            quick, full = await solve_quickly(steps, hashes, shared=shared)
            if quick:
                return steps, quick
            await asyncio.to_thread(start_over, steps.workshop, steps.owner)
        older = await asyncio.to_thread(self._older, steps, spec)
        steps, found = await solve_on_best(steps, older, full, notes)
        while True:
            lock, kernel = await solve(steps, found, notes)
            safe = lock.harmless and not steps.own_indexes
            pins = () if steps.own_indexes else lock.trusted
            check(await steps.install(pins, hashes, kernel=kernel, shared=safe and shared))
            problem = None if safe else await steps.build(lock)
            if problem is None or problem.kind is not Kind.BUILD:
                break
            found = problem  # for which there may be a remedy
            await asyncio.to_thread(start_over, steps.workshop, steps.owner)
        check(problem)
        notes += steps.remedies.notes()
        return steps, lock

    def _older(self, steps: Steps, spec: EnvSpec) -> list[Steps]:
        """Return the same steps on the Pythons before, where the author named none."""
        found = self.pythons.older(spec.python, steps.python.minor)[:MOST]
        return [replace(steps, python=one, binds=prefix_binds(str(one.prefix))) for one in found]

    def _steps(
        self, spec: EnvSpec, workshop: Workshop, python: Python, owner: int | None, log: Say
    ) -> Steps:
        own, elsewhere = leads.places_of(spec, self.settings.builds)
        policy, why = network.choose(self.network, owner)
        sealed = policy is Network.NONE or self._index_is_inside()
        if sealed and elsewhere:
            raise BuildFailed(
                "The specification names other addresses, which builds here cannot reach.",
                hint=" ".join(why) or "The package index of this hub is inside its network.",
            )
        return Steps(
            spec=spec,
            workshop=workshop,
            python=python,
            cache=self._cache(),
            index=self.index,
            memory=int(self.settings.builds.memory),
            timeout=self.settings.builds.timeout,
            network=self.network,
            owner=owner,
            say=log,
            own_indexes=own,
            elsewhere=elsewhere,
            sealed=sealed,
            binds=prefix_binds(str(python.prefix)),
        )

    def _index_is_inside(self) -> bool:
        """Say whether the operator's index is at an address that builds cannot reach."""
        host = urlsplit(self.index.environ.get("PIP_INDEX_URL", "")).hostname
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host or "")
            return address.is_loopback or (
                self.network is Network.INTERNET and not address.is_global
            )
        return False

    def _publish(self, workshop: Workshop, target: Path, made: dict[str, Any], log: Log) -> None:
        (workshop.result / METADATA).write_text(json.dumps(made, indent=1))
        log(f"Installed {made['packages']} packages")
        shutil.copyfile(log.path, workshop.result / "log.txt")
        publish(workshop, target)

    def _finish_later(self, target: Path, owner: int | None) -> None:
        """Have done what makes servers and kernels quicker, and nobody need wait for."""
        told = metadata(str(target))
        python = Python(Path(told["python_program"]), told["python"], Path(told["python_prefix"]))
        rules = self.settings.servers
        finishing = Finishing(
            making=self._cache() / "making",
            building=self._locks() / BUILDING,
            kernels=self.settings.data / layers.KERNELS,
            owner=owner,
            lock=self.lock,
            like=self.pythons.like,
            steps=self._layer_steps if rules.forks and rules.kernel_forks else None,
        )
        task = asyncio.create_task(finishing.finish(target, python), name=f"finish {target.name}")
        self.finishing.add(task)
        task.add_done_callback(self.finishing.discard)

    def _layer_steps(self, workshop: Workshop, python: Python) -> Steps:
        owner = build_owner(self.settings)
        return self._steps(EnvSpec("kernel", ""), workshop, python, owner, lambda _: None)

    def _folder(self, key: EnvKey) -> Path:
        return self.settings.data / "environments" / key

    def _cache(self) -> Path:
        return self.settings.data / "cache"

    def _locks(self) -> Path:
        return self.settings.data / "environments" / ".locks"


def _is_whole(handle: str, data: Path, system: System) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError):
        told = metadata(handle)
        own = told["python_prefix"] == ENV
        there = own or Path(told["python_program"]).exists()
        fits = debian.fits(told, data, system)
        return there and fits and os.path.lexists(f"{handle}/env/bin/python")
    return False


def _post_build_path(spec: EnvSpec) -> str:
    return f"{spec.folder}/postBuild" if spec.folder else "postBuild"


async def _post_build(steps: Steps, path: str, variables: Mapping[str, str] | None = None) -> None:
    steps.say(f"Running {path}")
    check(await steps.post_build(path, variables))


def _keep_home(spec: EnvSpec, tree: Path, workshop: Workshop, *, editable: bool) -> bool:
    """Keep the copy of the content if servers need it; return whether it is kept."""
    if not spec.tree:
        return False
    wanted = "postBuild" in dict(spec.files) or editable or r.runs_script(spec)
    if wanted and changed(tree, workshop.home):
        return True
    workshop.home.rename(workshop.root / "home")
    return False
