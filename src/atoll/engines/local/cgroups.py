"""Control groups: the limits on memory, processors and processes of a box.

Tried in this order: version 2 where we may make groups (as root, or by asking the systemd of an
ordinary user), version 1 where its hierarchies can be written, else only what rlimits give:
processes are limited, memory only for each process by itself, processors not at all.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from atoll.servers import Limits

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds: the kernel's own default period of processor bandwidth


@dataclass(frozen=True, slots=True)
class Control:
    """What limits can be had here: ``version`` 2 or 1, or 0 for rlimits only.

    ``parents`` are the folders in which we may make groups, by controller; ``by_systemd`` says
    that the user's systemd makes them for us.
    """

    version: int
    parents: tuple[tuple[str, Path], ...] = ()
    by_systemd: bool = False

    @property
    def controllers(self) -> frozenset[str]:
        """Which limits are real: some of memory, cpu, pids."""
        if self.by_systemd:
            return frozenset({"memory", "cpu", "pids"})
        return frozenset(name for name, _ in self.parents)


@dataclass(frozen=True, slots=True)
class Group:
    """The groups of one box; a process enters by writing its id to each of ``entrances``."""

    folders: tuple[Path, ...] = ()

    @property
    def entrances(self) -> tuple[str, ...]:
        """The files to write a process id to."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)


@functools.cache
def control() -> Control:
    """Find out, once, what this machine lets us do."""
    return _version_2() or _systemd() or _version_1() or Control(0)


def create(name: str, limits: Limits) -> Group:
    """Make the groups called *name* with *limits*; an empty `Group` where none can be made."""
    here = control()
    made: dict[Path, None] = {}
    for controller, parent in here.parents:
        folder = parent / f"atoll-{name}"
        folder.mkdir(exist_ok=True)
        made[folder] = None
        for file, value in _values(here.version, controller, limits):
            with contextlib.suppress(FileNotFoundError):  # swap accounting may be off
                (folder / file).write_text(value)
    return Group(tuple(made))


def prefix(name: str, limits: Limits) -> list[str]:
    """Return the words to put before a command so that systemd runs it in a group, if it must."""
    if not control().by_systemd:
        return []
    properties = (
        f"MemoryMax={limits.memory}",
        "MemorySwapMax=0",
        f"CPUQuota={int(limits.cpus * 100)}%",
        f"TasksMax={limits.processes}",
    )
    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect", f"--unit=atoll-{name}"]
    return [*words, *(f"--property={one}" for one in properties), "--"]


def lacking() -> tuple[str, ...]:
    """Return a sentence for each limit that cannot be enforced here."""
    here = control().controllers
    sentences = {
        "memory": "Memory is limited for each process only, not for the server as a whole.",
        "cpu": "Processor use is not limited.",
    }
    return tuple(text for name, text in sentences.items() if name not in here)


def find(name: str) -> Group:
    """Return the groups called *name* that there are."""
    folders = {parent / f"atoll-{name}": None for _, parent in control().parents}
    return Group(tuple(folder for folder in folders if folder.exists()))


def remove(group: Group, patience: float = 2.0) -> None:
    """Kill what is still in *group* and remove it, waiting up to *patience* seconds."""
    until = time.monotonic() + patience
    for folder in group.folders:
        while folder.exists():
            for pid in _members(folder):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > until:
                    break
                time.sleep(0.02)


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _values(version: int, controller: str, limits: Limits) -> list[tuple[str, str]]:
    quota = str(int(limits.cpus * PERIOD))
    table = {
        (2, "memory"): [("memory.max", str(limits.memory)), ("memory.swap.max", "0")],
        (2, "cpu"): [("cpu.max", f"{quota} {PERIOD}")],
        (2, "pids"): [("pids.max", str(limits.processes))],
        (1, "memory"): [
            ("memory.limit_in_bytes", str(limits.memory)),
            ("memory.memsw.limit_in_bytes", str(limits.memory)),
        ],
        (1, "cpu"): [("cpu.cfs_period_us", str(PERIOD)), ("cpu.cfs_quota_us", quota)],
        (1, "pids"): [("pids.max", str(limits.processes))],
    }
    return table[version, controller]


def _version_2() -> Control | None:
    """As root, make a group of our own at the top; services of systemd's are elsewhere."""
    if os.getuid() != 0 or not (ROOT / "cgroup.controllers").exists():
        return None
    parent = ROOT / "atoll"
    with contextlib.suppress(OSError):
        parent.mkdir(exist_ok=True)
        (ROOT / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        (parent / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        names = (parent / "cgroup.subtree_control").read_text().split()
        usable = [name for name in ("memory", "cpu", "pids") if name in names]
        return Control(2, tuple((name, parent) for name in usable)) if usable else None
    return None


def _systemd() -> Control | None:
    """As an ordinary user, ask the user's own systemd, which has version 2 delegated to it."""
    bus = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "systemd" / "private"
    usable = (ROOT / "cgroup.controllers").exists() and bus.exists() and bool(which("systemd-run"))
    return Control(2, by_systemd=True) if usable and os.getuid() != 0 else None


def _version_1() -> Control | None:
    parents = []
    for name in ("memory", "cpu", "pids"):
        folder = ROOT / name
        if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK):
            parents.append((name, folder))
    return Control(1, tuple(parents)) if parents else None
