"""Memory: what this machine has left of it, and what a box takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from atoll.engines.local import cgroups

MEMINFO = Path("/proc/meminfo")


def available() -> int:
    """Return how many bytes can be had without swapping, as the kernel believes; see proc(5)."""
    with MEMINFO.open() as lines:
        found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(next(found)) * 1024


def average(names: Iterable[str]) -> int:
    """Return how many bytes each of the boxes called *names* has for itself, on average; or 0."""
    sizes = [size for name in names if (size := cgroups.used(cgroups.find(name)))]
    return sum(sizes) // len(sizes) if sizes else 0
