"""Processes: what they weigh, and how they are ended with all that they began."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Weight:
    """Memory in bytes: the proportional share of what is shared, and what is private."""

    pss: int = 0
    private: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.pss + other.pss, self.private + other.private)


def weight(pids: Iterable[int]) -> Weight:
    """Return what *pids* weigh together; one that is gone weighs nothing."""
    return sum(map(_weight, pids), Weight())


def _weight(pid: int) -> Weight:
    sizes = dict.fromkeys(("Pss:", "Private_Clean:", "Private_Dirty:"), 0)
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(" ")
            if name in sizes:
                sizes[name] = int(rest.split()[0]) * 1024
    return Weight(sizes["Pss:"], sizes["Private_Clean:"] + sizes["Private_Dirty:"])


def everybody() -> Iterator[int]:
    """Yield the id of every process there is."""
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal())


def descendants(root: int) -> list[int]:
    """Return *root* and all processes below it."""
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                left += map(int, (task / "children").read_text().split())
    return found


def title(pid: int) -> str:
    """Return the command line of *pid*."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return ""


def born(pid: int) -> str:
    """Return when *pid* began: with it, an id is not mistaken for an earlier one."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def parent(pid: int) -> int:
    """Return whose child *pid* is, 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


async def end(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Ask *process* to end; what is left of it and of all below it by then is made to."""
    below = [(pid, born(pid)) for pid in descendants(process.pid)]
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:  # noqa: ASYNC110 - not asyncio's
        await asyncio.sleep(0.05)
    for pid, when in below:
        if when and born(pid) == when:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()


async def calm(most: float = 0.15, seconds: float = 20) -> None:
    """Wait until the machine's processors do hardly anything, but not for ever."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = _worked()
        await asyncio.sleep(1)
        if _worked() - before < most:
            return


def _worked() -> float:
    """Return the seconds for which the machine's processors have worked."""
    user, nice, system, _, _, irq, soft = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8]
    )
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def begin(command: Sequence[str], where: Path, **environ: str) -> subprocess.Popen[bytes]:
    """Run *command* in the folder *where*, in a session of its own; what it prints is in a file."""
    with (where / "printed.log").open("ab") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            cwd=where,
            env={**os.environ, **environ},
            start_new_session=True,
        )


def memory_left() -> int:
    """Return the bytes that may still be used."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith("MemAvailable:"))


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
