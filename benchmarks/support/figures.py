"""Figures: what a program of this folder gives, and how it is run and stopped."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figures are wanted, of how many rounds, and of how many of the peer where it is slow.

    A number of rounds, or of people, that is 0 is for the program to choose.
    """

    names: frozenset[str]
    rounds: int = 0
    peers: int = 0
    people: int = 0

    def any(self, *names: str) -> bool:
        """Say whether one of *names* is wanted."""
        return not self.names.isdisjoint(names)


def row(
    name: str,
    values: Sequence[float],
    unit: str,
    beside: str,
    others: Sequence[float],
    **more: object,
) -> Row:
    """Return one row of results: medians, their ratio, and what else is to be known."""
    value = statistics.median(values) if values else None
    other = statistics.median(others) if others else None
    return {
        "name": name,
        "value": _rounded(value),
        "unit": unit,
        "beside": beside,
        "beside_value": _rounded(other),
        "ratio": _rounded(value / other if value is not None and other else None),
        "rounds": len(values),
        **more,
    }


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value) if value > 1000 else round(value, 3)  # noqa: PLR2004 - bytes


def percentile(values: Collection[float], part: float) -> float:
    """Return the least of *values* that *part* (0 to 1) of them do not exceed."""
    return sorted(values)[max(0, round(part * len(values)) - 1)]


def note(text: str) -> None:
    """Tell whoever watches."""
    print(text, file=sys.stderr, flush=True)


def program(
    about: str, figures: Sequence[str], measure: Callable[[Wanted], Awaitable[list[Row]]]
) -> None:
    """Run *measure* as the command line says, and print its rows as JSON.

    SIGTERM ends it as Ctrl-C does: everything that it started is ended first.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=figures, default=figures, metavar="FIGURE")
    parser.add_argument("--rounds", type=int, default=0, help="0: five, or three of a crowd")
    parser.add_argument("--peers", type=int, default=0, help="rounds of a crowd's peer; 0: as many")
    parser.add_argument("--people", type=int, default=0, help="of a figure that has any; 0: all")
    options = parser.parse_args()

    async def run() -> list[Row]:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        numbers = (options.rounds, options.peers, options.people)
        return await measure(Wanted(frozenset(options.only), *numbers))

    try:
        print(json.dumps(asyncio.run(run()), indent=2))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
