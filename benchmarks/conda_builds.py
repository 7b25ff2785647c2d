"""How long a build of conda packages from a warm cache takes, beside rattler by hand.

Prints a JSON list of figures; values are medians of --rounds (5), in seconds. Both solve for the
same packages of a channel on this machine and link them, fetched before, into a new folder; in
turns, in folders that are removed again. The packages are this Python, a notebook's kernel,
matplotlib, JupyterHub and all that they need, packed from what is installed here. The aim: at most
1.3 times rattler. The second environment has one package more than the first (see `builds`).

Nobody's first environment comes from a channel on the same machine, where fetching costs nothing:
``second_conda_build_line`` has the channel at the other end of a line of 100 Mbit/s.
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
from builds import build, second, second_rows, specification, timed
from channel import Channel
from support.figures import Row, Wanted, program, row

from atoll.engines.local.builder import LocalBuilder
from atoll.engines.local.published import metadata
from atoll.environments import EnvSpec
from atoll.settings import Settings

SECOND = ("second_conda_build", "second_conda_build_disk")
FIRST = "the first one, with a package less, from an empty cache"
LINE = "second_conda_build_line"
FIRST_LINE = "the first one, with a package less, from an empty cache, over 100 Mbit/s"
RATE = 100e6 / 8  # bytes a second
FIGURES = ("warm_conda_build", *SECOND, LINE)
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


def asking(channel: Channel, *more: str) -> EnvSpec:
    asked = {"channels": [channel.name], "dependencies": [*ASKED, *more]}
    return specification({"environment.yml": json.dumps(asked).encode()})


def times_of(
    folder: Path, rounds: int, channel: Channel, settings: Settings
) -> tuple[dict[str, list[float]], int]:
    """Return the seconds that builds took, and how many packages there were."""
    spec = asking(channel)
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
    rows = []
    with Channel() as channel, tempfile.TemporaryDirectory(prefix="atoll-bench-") as name:
        folder = Path(name)
        channel.python().installed("ipykernel", "matplotlib", "jupyterhub").module("more")
        builds = {"conda_alias": channel.alias, "conda_channels": []}
        if wanted.any(FIGURES[0]):
            settings = Settings(data=folder / "data", builds=builds)
            rounds = wanted.rounds or 5
            times, count = await asyncio.to_thread(times_of, folder, rounds, channel, settings)
            beside = "rattler's solve and install, in a program"
            rows.append(row(FIGURES[0], times["atoll"], "s", beside, times["bare"], packages=count))
        if wanted.any(*SECOND):
            specs = asking(channel), asking(channel, "more")
            rounds = wanted.rounds or 3
            found = await asyncio.to_thread(second, folder, rounds, specs, builds=builds)
            rows += second_rows(SECOND, FIRST, found)
        if wanted.any(LINE):
            channel.rate = RATE
            specs = asking(channel), asking(channel, "more")
            rounds = wanted.rounds or 3
            found = await asyncio.to_thread(second, folder, rounds, specs, builds=builds)
            rows.append(row(LINE, found["second"], "s", FIRST_LINE, found["first"]))
    return [one for one in rows if one["name"] in wanted.names]


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
