"""How long a build of conda packages from a warm cache takes, beside rattler by hand.

Prints a JSON list of figures; values are medians of --rounds (5), in seconds. Both solve for the
same packages of a channel on this machine and link them, fetched before, into a new folder; in
turns, in folders that are removed again. The packages are this Python, a notebook's kernel,
matplotlib, JupyterHub and all that they need, packed from what is installed here. The aim: at most
1.3 times rattler.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from builds import build, specification, timed
from channel import Channel
from support.figures import Row, Wanted, program, row

from atoll.engines.local.builder import LocalBuilder, metadata
from atoll.settings import Settings

FIGURES = ("warm_conda_build",)
ASKED = ("python", "matplotlib", "jupyterhub")
ADDED = ("ipykernel", "pip", "ipywidgets")  # by Atoll, for notebooks
BARE = """
import asyncio, sys, rattler

channel, folder, *specs = sys.argv[1:]

async def main():
    records = await rattler.solve(
        [rattler.Channel(channel)],
        [rattler.MatchSpec(one) for one in specs],
        gateway=rattler.Gateway(f"{folder}/repodata"),
        virtual_packages=rattler.VirtualPackage.detect(),
    )
    cache = rattler.PackageCache(f"{folder}/pkgs")
    await rattler.install(records, f"{folder}/env", package_cache=cache, execute_link_scripts=False)

asyncio.run(main())
"""


def times_of(folder: Path, rounds: int, channel: Channel) -> tuple[dict[str, list[float]], int]:
    """Return the seconds that builds took, and how many packages there were."""
    builds = {"conda_alias": channel.alias, "conda_channels": []}
    settings = Settings(data=folder / "data", builds=builds)
    asked = {"channels": [channel.name], "dependencies": list(ASKED)}
    spec = specification({"environment.yml": json.dumps(asked).encode()})
    bare = [sys.executable, "-c", BARE, channel.url, str(folder / "bare"), *ASKED, *ADDED]
    times: dict[str, list[float]] = {"atoll": [], "bare": []}
    for _ in range(rounds + 1):
        times["bare"].append(timed(bare, env=dict(os.environ)))
        linked = len(list((folder / "bare" / "env" / "conda-meta").glob("*.json")))
        shutil.rmtree(folder / "bare" / "env")
        made, seconds = asyncio.run(build(LocalBuilder(settings), spec))
        times["atoll"].append(seconds)
        told = metadata(made.handle)
        if told["packages"] != linked:
            sys.exit(f"Atoll has linked {told['packages']} packages, rattler {linked}.")
        shutil.rmtree(made.handle)
    return {name: values[1:] for name, values in times.items()}, linked  # the first fetch


async def measure(wanted: Wanted) -> list[Row]:
    """Measure what is *wanted*."""
    with Channel() as channel, tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        channel.python().installed("ipykernel", "matplotlib", "jupyterhub")
        rounds = wanted.rounds or 5
        times, packages = await asyncio.to_thread(times_of, Path(folder), rounds, channel)
    beside = "rattler's solve and install, in a program"
    first = FIGURES[0]
    return [row(first, times["atoll"], "s", beside, times["bare"], packages=packages)]


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
