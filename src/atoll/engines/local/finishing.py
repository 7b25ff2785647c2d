"""Finishing: what makes an environment's servers and kernels quicker, and nobody need wait for.

It is done after the environment has been published: modules are compiled, and the kernel layer
that fits is made, if there is none. Whatever fails here only leaves things slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atoll.disk import locked
from atoll.engines.local import conda, layers, room
from atoll.engines.local.compiled import compiled
from atoll.engines.local.debian import Lock
from atoll.engines.local.locks import Pin
from atoll.engines.local.pythons import Python, prefix_binds
from atoll.engines.local.sandbox import run
from atoll.engines.local.solving import check
from atoll.engines.local.steps import ENV, Steps, compiling
from atoll.engines.local.workshop import Workshop, destroy, open_workshop
from atoll.environments import EnvKey
from atoll.environments.pythons import TWO, Minor
from atoll.errors import AtollError


@dataclass(frozen=True, slots=True)
class Finishing:
    """How environments are finished: ``making`` is where workshops are opened.

    ``lock`` holds a key against other processes, ``building`` is the lock of all builds together.
    ``like`` finds a Python of the machine's by its version, and ``steps`` makes those of a kernel
    layer; without it, none is made.
    """

    making: Path
    building: Path
    kernels: Path
    owner: int | None
    lock: Lock
    like: Callable[[Minor], Python | None]
    steps: Callable[[Workshop, Python], Steps] | None

    async def finish(self, target: Path, python: Python) -> None:
        """Finish the published environment in *target*, which has *python*.

        Where that is a package, it may not write to linked files: one of the machine's does.
        """
        package = python.prefix == Path(ENV)
        if room.is_short(target) or (python.minor == TWO and not package):  # pip has compiled it
            return
        if not package:
            with contextlib.suppress(AtollError, OSError, subprocess.SubprocessError):
                await self._lay(target, python)
        with contextlib.suppress(AtollError, OSError):
            ours = await asyncio.to_thread(self.like, python.minor) if package else python
            if ours:
                await self._compile(target / "env", ours)
                return
            async with self.lock(EnvKey(f"{conda.COMPILE}{target.name}")):
                await conda.compile_modules(target, python, self.making, self.owner)

    async def _compile(self, env: Path, python: Python) -> None:
        """Have the machine's *python* compile what was not compiled for another environment."""
        store = compiled(self.making.parent, python, self.owner)
        with locked(self.building):  # nobody empties the cache meanwhile
            lent = await asyncio.to_thread(store.lend, env)
        box = compiling(env, python, prefix_binds(str(python.prefix)), self.owner)
        await run(box, lambda _: None, timeout=600)
        with locked(self.building):
            await asyncio.to_thread(store.keep, env, lent)

    async def _lay(self, target: Path, python: Python) -> None:
        """Give the environment in *target* the kernel layer that fits it, made if need be."""
        steps = self.steps
        if steps is None:
            return
        pins = await asyncio.to_thread(layers.wanted, target, python)
        if not pins:
            return
        name = layers.key(python, pins)
        folder = self.kernels / name
        with locked(self.building):
            async with self.lock(EnvKey(f"kernel_{name}")):
                if not folder.exists():
                    workshop = await self._open(EnvKey(f"kernel_{name}"))
                    await _make_layer(steps(workshop, python), folder, pins)
            if await asyncio.to_thread(layers.fits, folder, target):
                (target / layers.NOTE).write_text(name)

    async def _open(self, key: EnvKey) -> Workshop:
        locks = self.building.parent
        return await asyncio.to_thread(open_workshop, self.making, key, locks, self.owner)


async def _make_layer(steps: Steps, folder: Path, pins: tuple[Pin, ...]) -> None:
    try:
        check(await steps.install(pins, {}, shared=True))
        await asyncio.to_thread(layers.publish, steps.workshop.env, folder)
    finally:
        await asyncio.to_thread(destroy, steps.workshop.root)
