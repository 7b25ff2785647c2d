"""Adding: what uv puts into an environment that is there already, with a Python of its own.

That Python is a package, so that what runs it sees nothing of the operator's and cannot write into
the shared cache. Wheels are brought into the cache by Atoll's own Python before.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from atoll.engines.local.commands import runtime
from atoll.engines.local.corrections import cutoffs
from atoll.engines.local.explanations import Explanation
from atoll.engines.local.locks import Lock, Pin, lines
from atoll.engines.local.pythons import Python
from atoll.engines.local.sandbox import Bind, Box
from atoll.engines.local.scripts import HOME_PACKAGES, KERNELSPEC
from atoll.engines.local.steps import CACHE, ENV, SPEC, Steps
from atoll.servers import Network

Hashes = Mapping[str, tuple[str, ...]]

FETCH = """
exec "$UV" pip install --no-deps --no-build --link-mode hardlink --python "$PYTHON" "$@"
"""
# The environment is no virtual one, and nobody else manages it, whatever it says.
ADD = """
exec "$UV" pip install --link-mode copy --break-system-packages --python /srv/env/bin/python "$@"
"""
SETTLE = """
for site in "$1"/lib/python3*/site-packages; do
  rm -f "$site/zz-atoll-home.pth"
  printf '%s\\n' "$HOME_PACKAGES" > "$site/zz-atoll-home.pth"
done
"""


def our_python() -> Python:
    """Return Atoll's own Python, for what is ours in the boxes of a build."""
    return Python(Path(sys.executable), platform.python_version(), Path(sys.base_prefix))


def our_binds() -> tuple[Bind, ...]:
    """Return the binds that a box needs for Atoll's own Python and its packages."""
    return tuple(Bind(Path(one), one) for one in runtime())


async def add(
    steps: Steps, lock: Lock, extras: tuple[str, ...], hashes: Hashes
) -> Explanation | None:
    """Add *lock*, what was chosen for the specification and *extras*; return why it failed.

    Wheels of the operator's index are put in without a network. Anything else is fetched and
    built in a box in which code may run.
    """
    box = steps.open_box({}, env=True)
    pins = steps.workshop.spec / "pins.txt"
    if lock.harmless and not steps.own_indexes:
        if problem := await _fetch(steps, lock.pins, hashes):
            return problem
        pins.write_text(lines(lock.pins, {}))
        words = ["--offline", "--no-deps", "--no-build", "--requirements", f"{SPEC}/pins.txt"]
        return await _run(steps, ADD, words, replace(box, network=Network.NONE))
    pins.write_text(lines(tuple(pin for pin in lock.pins if not pin.direct), {}))
    (steps.workshop.spec / "extras.in").write_text("".join(f"{one}\n" for one in extras))
    words = [*cutoffs(steps.spec.as_of), "--constraint", f"{SPEC}/pins.txt"]
    for one in (f"{SPEC}/extras.in", *steps.inputs()):
        words += ["--requirements", one]
    return await _run(steps, ADD, words, box)


async def settle(steps: Steps) -> Explanation | None:
    """Give the environment what every one has: the kernel's name, and a place for the home's."""
    box = steps.open_box({"HOME_PACKAGES": HOME_PACKAGES}, env=True)
    return await _run(steps, SETTLE + KERNELSPEC, [ENV], replace(box, network=Network.NONE))


async def _fetch(steps: Steps, pins: tuple[Pin, ...], hashes: Hashes) -> Explanation | None:
    """Bring wheels into the cache; what they are unpacked into is thrown away."""
    (steps.workshop.root / "pins.txt").write_text(lines(pins, hashes))
    place = f"{CACHE}/making/{steps.workshop.root.name}"
    minor = ".".join(map(str, steps.python.minor))
    words = ["--python-version", minor, "--target", f"{place}/scratch/fetched"]
    ours = replace(steps, python=our_python(), binds=our_binds())
    box = Box(
        (),
        binds=(*ours.always(steps.index), Bind(steps.cache, CACHE, writable=True)),
        environ=ours.environ(steps.index),
        workdir="/tmp",  # noqa: S108 - the box's own
        owner=steps.owner,
        limits=steps.limits(),
        host_network=True,
    )
    return await _run(steps, FETCH, [*words, "--requirements", f"{place}/pins.txt"], box)


async def _run(steps: Steps, script: str, words: list[str], box: Box) -> Explanation | None:
    told: list[str] = []
    status = await steps.run(("/bin/sh", "-c", script, "adding", *words), box, told)
    return steps.explained(told, status) if status else None
