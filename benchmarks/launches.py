"""One person's warm launch, beside a plain `jupyter lab` in the same run.

warm_launch    from a request to Binder's interface (`/build/…`), through hub, proxy and box, until
               the Lab's page answers; everything is built. Beside: `jupyter lab` until its page.
binder_ready   the same until the event “ready”: JupyterHub has asked the server, which is a real
               JupyterLab, and it answered. Beside: the same, as no BinderHub can be had here.
first_cell     the same until a kernel, started as a page starts it, has answered a cell. Beside:
               `jupyter lab`, a kernel and a cell.
idle_pss       memory of an idle server, kernels none: the proportional set size of all processes of
               its box, bubblewrap's and the network's helper among them. Beside: `jupyter lab`'s.

Prints a JSON list of figures, medians of --rounds (5), in turns with the peer.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from pathlib import Path

from support.asking import first_cell
from support.figures import Row, Wanted, note, program, row
from support.installation import Installation, folder, installation
from support.peers import plain_lab
from support.processes import Weight, calm, descendants, weight

FIGURES = ("warm_launch", "first_cell", "binder_ready", "idle_pss")
SETTLING = 2.0  # seconds until an idle server is measured
LAB = "jupyter lab"


async def measure(wanted: Wanted) -> list[Row]:
    """Measure what is *wanted*."""
    seen: dict[str, list[float]] = defaultdict(list)
    async with folder() as where, installation(where) as atoll:
        (plain := where / "plain").mkdir()
        async with plain_lab(plain) as lab:  # the first one compiles and makes folders
            if wanted.any("first_cell"):
                await first_cell(lab.base, lab.token)
        for number in range(wanted.rounds or 5):
            note(f"round {number + 1}")
            if wanted.any("warm_launch", "binder_ready", "idle_pss"):
                await _pages(atoll, plain, seen, weigh=wanted.any("idle_pss"))
            if wanted.any("first_cell"):
                await _cells(atoll, plain, seen)
    rows = {
        "warm_launch": row("warm_launch", seen["page"], "s", LAB, seen["plain page"]),
        "first_cell": row(
            "first_cell", seen["cell"], "s", "jupyter lab, a kernel, a cell", seen["plain cell"]
        ),
        "binder_ready": row(
            "binder_ready",
            seen["ready"],
            "s",
            "jupyter lab (no BinderHub can be had here)",
            seen["plain page"],
        ),
        "idle_pss": row(
            "idle_pss",
            seen["pss"],
            "bytes",
            LAB,
            seen["plain pss"],
            private=_middle(seen["private"]),
            beside_private=_middle(seen["plain private"]),
            parts={part: _middle(seen[part]) for part in ("lab", "kernels", "box", "network")},
        ),
    }
    return [rows[name] for name in FIGURES if name in wanted.names]


async def _pages(
    atoll: Installation, plain: Path, seen: dict[str, list[float]], *, weigh: bool
) -> None:
    launched = await atoll.launch()
    seen["page"].append(launched.page)
    seen["ready"].append(launched.ready)
    if weigh:
        await asyncio.sleep(SETTLING)
        (parts,) = atoll.weights([launched])
        for part, one in parts.items():
            seen[part].append(one.pss)
        whole = sum(parts.values(), Weight())
        seen["pss"].append(whole.pss)
        seen["private"].append(whole.private)
    await atoll.clear()
    await calm()
    async with plain_lab(plain) as lab:
        seen["plain page"].append(lab.seconds)
        if weigh:
            await asyncio.sleep(SETTLING)
            found = weight(descendants(lab.process.pid))
            seen["plain pss"].append(found.pss)
            seen["plain private"].append(found.private)
    await calm()


async def _cells(atoll: Installation, plain: Path, seen: dict[str, list[float]]) -> None:
    begun = time.monotonic()
    launched = await atoll.launch()
    await first_cell(launched.url, launched.token)
    seen["cell"].append(time.monotonic() - begun)
    await atoll.clear()
    await calm()
    async with plain_lab(plain) as lab:
        await first_cell(lab.base, lab.token)
        seen["plain cell"].append(time.monotonic() - lab.begun)
    await calm()


def _middle(values: list[float]) -> int | None:
    return round(sorted(values)[len(values) // 2]) if values else None


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
