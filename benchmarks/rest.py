"""The memory of an installation at rest, beside a plain JupyterHub and its proxy.

rest_pss   the proportional set size of the hub, the service (with the idle culler in it) and the
           proxy of `atoll up` when nobody has a server; as a note, that of all that runs, the
           supervisor and the fork server too. Beside: JupyterHub and its proxy, without any
           BinderHub, which cannot be had here.

Prints a JSON list of figures, medians of --rounds (5) looks, some seconds apart.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict

from support.figures import Row, Wanted, program, row
from support.installation import folder, installation
from support.peers import jupyterhub
from support.processes import calm, descendants, title, weight

FIGURES = ("rest_pss",)
PAUSE = 3.0  # seconds between two looks
PARTS = {
    "fork server": "fork server",
    "proxy": "serve.mjs",
    "hub": "-m atoll.hub ",
    "service": "atoll.web",
    "supervisor": "atoll.hub.supervisor",
}
COUNTED = ("hub", "service", "proxy")


async def measure(wanted: Wanted) -> list[Row]:
    """Look at both while they do nothing."""
    ours: list[dict[str, int]] = []
    theirs = []
    rounds = wanted.rounds or 5
    async with folder() as where:
        async with installation(where, warm=False) as atoll:
            await asyncio.sleep(PAUSE)
            await calm()
            for _ in range(rounds):
                ours.append(_parts(atoll.process.pid))
                await asyncio.sleep(PAUSE)
        async with jupyterhub(where / "plain") as plain:
            await asyncio.sleep(PAUSE)
            await calm()
            for _ in range(rounds):
                theirs.append(weight(descendants(plain.process.pid)).pss)
                await asyncio.sleep(PAUSE)
    counted = [sum(parts[name] for name in COUNTED) for parts in ours]
    everything = statistics.median(sum(parts.values()) for parts in ours)
    beside = "JupyterHub and its proxy (no BinderHub can be had here)"
    return [
        row("rest_pss", counted, "bytes", beside, theirs, everything=everything, parts=ours[-1])
    ]


def _parts(root: int) -> dict[str, int]:
    """Return the bytes of each part of what runs from process *root* on."""
    parts: dict[str, int] = defaultdict(int)
    for pid in descendants(root):
        parts[_part(title(pid))] += weight([pid]).pss
    return dict(parts)


def _part(command: str) -> str:
    return next((part for part, mark in PARTS.items() if mark in command), command[:40])


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
