"""The memory of an installation at rest, beside a plain JupyterHub and its proxy.

rest_pss   the proportional set size of everything that `atoll up` runs, the idle culler and the
           fork server among it, when nobody has a server. Beside: JupyterHub and its proxy, without
           any BinderHub, which cannot be had here.

Prints a JSON list of figures, medians of --rounds (5) looks, some seconds apart.
"""

from __future__ import annotations

import asyncio
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


async def measure(wanted: Wanted) -> list[Row]:
    """Look at both while they do nothing."""
    ours, theirs = [], []
    parts: dict[str, int] = defaultdict(int)
    rounds = wanted.rounds or 5
    async with folder() as where:
        async with installation(where, warm=False) as atoll:
            await asyncio.sleep(PAUSE)
            await calm()
            for _ in range(rounds):
                ours.append(weight(descendants(atoll.process.pid)).pss)
                await asyncio.sleep(PAUSE)
            for pid in descendants(atoll.process.pid):
                parts[_part(title(pid))] += weight([pid]).pss
        async with jupyterhub(where / "plain") as plain:
            await asyncio.sleep(PAUSE)
            await calm()
            for _ in range(rounds):
                theirs.append(weight(descendants(plain.process.pid)).pss)
                await asyncio.sleep(PAUSE)
    beside = "JupyterHub and its proxy (no BinderHub can be had here)"
    return [row("rest_pss", ours, "bytes", beside, theirs, parts=dict(parts))]


def _part(command: str) -> str:
    return next((part for part, mark in PARTS.items() if mark in command), command[:40])


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
