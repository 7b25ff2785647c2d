"""How long a build from a warm cache takes, beside uv and pip by hand with the same lock.

Prints a JSON list of figures; values are medians of --rounds (5), in seconds. Everything is
measured in turns in one run, in folders that are removed again. The aims: at most 1.3 times uv, at
most 0.15 times pip.

uv by hand has a finished lock, which Atoll makes first; what uv takes that has to choose, too, is
another figure. The second environment differs from the first by the version of one package, and is
made in an Atoll that was new when the first was made; its disk is what all of Atoll's folder grows
by, at most 0.15 times what the first took, as its time is to be.

Atoll believes for ten minutes what the package index said; uv by itself may ask again about every
package. The bound is uv with the same belief; uv as it comes is measured, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.figures import Row, Wanted, program, row

from atoll.disk import freed
from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.corrections import cutoffs
from atoll.engines.local.published import metadata
from atoll.engines.local.uv import uv
from atoll.environments import Environment, EnvSpec
from atoll.environments.reading import read_spec
from atoll.settings import Settings
from atoll.sources import Checkout, RepoRef, ResolvedRef

# Each figure's peer, and what is written of it.
PEERS = {
    "warm_build": ("uv", "uv venv && uv pip sync, believing the index as Atoll does"),
    "warm_build_beside_choosing": ("choosing", "uv venv && uv pip install, believing likewise"),
    "warm_build_beside_plain_uv": ("plain", "uv venv && uv pip sync"),
    "warm_build_beside_pip": ("pip", "pip install in a fresh venv"),
}
SECOND = ("second_build", "second_build_disk")
FIRST = "the first one, with another version of a package, from an empty cache"
FIGURES = (*PEERS, *SECOND)
EXTRAS = ("ipykernel", "pip", "ipywidgets>=8", "")  # what Atoll adds for notebooks
REQUIREMENTS = b"numpy\npandas\nmatplotlib\nrequests\n"
DAY = datetime(2026, 10, 1, tzinfo=UTC)


def specification(files: dict[str, bytes] | None = None) -> EnvSpec:
    ref = ResolvedRef(RepoRef("git", "https://example.org/r"), "c" * 40, "t", DAY)
    checkout = Checkout(ref, Path(), files or {"requirements.txt": REQUIREMENTS})
    return read_spec(checkout, platform="benchmark")


async def build(builder: LocalBuilder, spec: EnvSpec) -> tuple[Environment, float]:
    began = time.perf_counter()
    async with builder.lock(spec.key):
        made = await builder.build(spec, Path(), lambda _: None)
    took = time.perf_counter() - began
    await asyncio.gather(*builder.finishing)  # it must not disturb the next one
    return made, took


def timed(*commands: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, capture_output=True, env=env)
    return time.perf_counter() - began


def times_of(folder: Path, rounds: int, wanted: set[str]) -> dict[str, list[float]]:
    """Return the seconds that builds took, of Atoll and of the *wanted* peers."""
    builder = LocalBuilder(Settings(data=folder / "data"))
    spec = specification()
    made, _ = asyncio.run(build(builder, spec))  # warms the cache
    lock, target = folder / "lock.txt", folder / "env"
    shutil.copy(Path(made.handle, "lock.txt"), lock)
    python = metadata(made.handle)["python_program"]
    env = {**os.environ, "UV_CACHE_DIR": str(folder / "uv"), "PIP_CACHE_DIR": str(folder / "pip")}
    believing = env
    if builder.index.config:  # else the operator's own uv.toml says it, to both
        (folder / "uv.toml").write_text(builder.index.config)
        cache = str(folder / "uv-believing")
        believing = {**env, "UV_CONFIG_FILE": str(folder / "uv.toml"), "UV_CACHE_DIR": cache}
    (folder / "asked.in").write_bytes(REQUIREMENTS + "\n".join(EXTRAS).encode())
    venv = [uv(), "venv", "--python", python, str(target)]
    on = ["--python", f"{target}/bin/python"]
    asked = ["--requirements", str(folder / "asked.in"), *cutoffs(spec.as_of)]
    raw = (venv, [uv(), "pip", "sync", *on, str(lock)])
    choosing = (venv, [uv(), "pip", "install", *on, *asked])
    pip = (
        [python, "-m", "venv", str(target)],
        [f"{target}/bin/python", "-m", "pip", "install", "--requirement", str(lock)],
    )
    known = {"uv": (raw, believing), "choosing": (choosing, believing)}
    known |= {"plain": (raw, env), "pip": (pip, env)}
    peers = {name: peer for name, peer in known.items() if name in wanted}
    times: dict[str, list[float]] = {"atoll": [], **{name: [] for name in peers}}
    for turn in range(rounds + 1):
        for name, (commands, environ) in peers.items():
            if name != "pip" or turn in (0, 1):  # pip takes long: once to warm it, once to measure
                times[name].append(timed(*commands, env=environ))
                shutil.rmtree(target)
        shutil.rmtree(made.handle)
        times["atoll"].append(asyncio.run(build(LocalBuilder(builder.settings), spec))[1])
    return {name: values[1:] for name, values in times.items()}


def second(
    folder: Path, rounds: int, specs: tuple[EnvSpec, EnvSpec], **settings: Any
) -> dict[str, list[float]]:
    """Return the seconds and the bytes that a first environment takes, and one much like it."""
    found: dict[str, list[float]] = {"first": [], "second": [], "first bytes": [], "bytes": []}
    for turn in range(rounds):
        data = folder / f"second-{turn}"
        told = Settings(data=data, **settings)
        found["first"].append(asyncio.run(build(LocalBuilder(told), specs[0]))[1])
        taken = freed([data])
        found["second"].append(asyncio.run(build(LocalBuilder(told), specs[1]))[1])
        found["first bytes"].append(taken)
        found["bytes"].append(freed([data]) - taken)
        shutil.rmtree(data)
    return found


def second_rows(names: tuple[str, str], beside: str, found: dict[str, list[float]]) -> list[Row]:
    """Return what `second` has found as rows, of time and of disk."""
    return [
        row(names[0], found["second"], "s", beside, found["first"]),
        row(names[1], found["bytes"], "bytes", beside, found["first bytes"]),
    ]


async def measure(wanted: Wanted) -> list[Row]:
    """Measure what is *wanted*."""
    peers = {PEERS[name][0] for name in wanted.names if name in PEERS}
    rows = []
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        if peers:
            times = await asyncio.to_thread(times_of, Path(folder), wanted.rounds or 5, peers)
            rows += [
                row(name, times["atoll"], "s", beside, times[peer])
                for name, (peer, beside) in PEERS.items()
                if name in wanted.names
            ]
        if wanted.any(*SECOND):
            changed = REQUIREMENTS.replace(b"requests\n", b"requests<2.32\n")
            specs = specification(), specification({"requirements.txt": changed})
            found = await asyncio.to_thread(second, Path(folder), wanted.rounds or 3, specs)
            rows += second_rows(SECOND, FIRST, found)
    return [one for one in rows if one["name"] in wanted.names]


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
