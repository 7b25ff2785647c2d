"""Tally: what was done, how it ended, and what must not have happened."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from support.figures import note, percentile

AFTER = 3.0  # seconds after a part answers again for which what it broke may still be felt
ANYTHING_LONG = re.compile(r"[0-9a-f]{8,}|\b[0-9]+(\.[0-9]+)?\b")


class Told(Exception):
    """Somebody did not get what they asked for, and was told why."""


class Broken(Exception):
    """A connection broke or could not be had: who asks is left to try again."""


class Silent(Exception):
    """Somebody did not get what they asked for, and heard nothing that they could understand."""


@dataclass(slots=True)
class Tally:
    """Counts acts by name and end, how long they took, the texts of failures, and what is wrong."""

    began: float = field(default_factory=time.monotonic)
    acts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    texts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    troubles: list[list[float]] = field(default_factory=list)  # from when until when

    def end(self, act: str, how: str, seconds: float | None = None) -> None:
        """Count that *act* ended so, after *seconds* if those say something."""
        self.acts[act][how] += 1
        if seconds is not None:
            self.seconds[act].append(seconds)

    def text(self, error: Exception) -> None:
        """Count what somebody was told, whatever names and numbers are in it."""
        kind = "(broken off) " if isinstance(error, Broken) else ""
        self.texts[kind + ANYTHING_LONG.sub("…", str(error))[:300]] += 1

    def blame(self, what: str) -> None:
        """Note what must not happen."""
        at = time.monotonic() - self.began
        self.wrong.append(f"{at:.1f} s: {what}")
        note(f"  WRONG {self.wrong[-1]}")

    def trouble(self) -> list[float]:
        """Begin a trouble; who makes it says when it is over, by the second number."""
        self.troubles.append([time.monotonic(), float("inf")])
        return self.troubles[-1]

    def excused(self, since: float) -> bool:
        """Say whether there was trouble at any moment from *since* until now."""
        return any(since < over + AFTER for _, over in self.troubles)

    async def calm(self) -> None:
        """Wait until a trouble that goes on is over."""
        while any(over == float("inf") for _, over in self.troubles):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each kind of act."""
        return [
            {
                "act": act,
                **dict(sorted(ends.items())),
                "median": round(statistics.median(times), 2) if times else None,
                "p95": round(percentile(times, 0.95), 2) if times else None,
                "longest": round(max(times), 2) if times else None,
            }
            for act, ends in sorted(self.acts.items())
            for times in [self.seconds[act]]
        ]
