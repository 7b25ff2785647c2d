"""Usage: what a box has used, for whoever must say what servers cost.

Its control groups count where there are any. Where there are none, or they do not count, its
processes are looked at: what a process has used that ended counts with whoever waited for it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from atoll.engines.local import cgroups
from atoll.servers import Usage

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def of_box(name: str, init: int) -> Usage | None:
    """Return what the box called *name* has used, of which *init* is the first process."""
    group = cgroups.find(name)
    cpu, memory = cgroups.spent(group), cgroups.used(group)
    if cpu is not None and memory:
        return Usage(cpu, memory)
    looked = of_processes(init)
    if looked is None:
        return None
    return Usage(looked.cpu if cpu is None else cpu, memory or looked.memory)


def of_processes(init: int) -> Usage | None:
    """Return what all processes have used that see the same processes as *init*; see proc(5).

    Memory is what they have for themselves, as far as that is told without a long look.
    """
    try:
        inside = os.readlink(f"/proc/{init}/ns/pid")  # noqa: PTH115 - no path
    except OSError:
        return None
    ticks = pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile, or is not ours
            if os.readlink(folder / "ns" / "pid") == inside:  # noqa: PTH115
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))  # its own, and of children that have ended
                resident, shared = (folder / "statm").read_text().split()[1:3]
                pages += max(0, int(resident) - int(shared))
    return Usage(ticks / TICKS, pages * PAGE)
