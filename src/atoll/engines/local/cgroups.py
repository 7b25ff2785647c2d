"""Control groups: the limits on memory, processors and processes of a box.

Tried in this order: version 2 by asking systemd, root's or the ordinary user's own, where it runs;
version 2 by root alone; version 1 where its hierarchies can be written; else only what rlimits
give: processes are limited, memory only for each process by itself, processors not at all.

All boxes' groups are in one, which has a share of the processors like any other program's: however
many servers start at once, the hub gets its turn. In it, those of servers that make way for others
are in one more, which has the share of one server.

Where systemd runs, all groups of version 2 are its own to change: each box is a scope, a unit
that goes by itself when the box ends and stays when the service that started it is stopped.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atoll.servers import DEFAULT_LIMITS, Limits

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "cpu", "pids")
PERIOD = 100_000  # microseconds: the kernel's own default period of processor bandwidth
SLICE = "atoll.slice"  # of systemd's: an operator can limit all boxes together
ASIDE, ASIDE_SLICE = "aside", "atoll-aside.slice"  # in it, by its name, of those that make way
# Run in a scope with limits: says which group that is, and which limits are real there. (A user's
# systemd takes every property, and leaves out what root's does not let it have.)
PROBE = (
    'group=$(sed -n s/^0:://p /proc/self/cgroup); echo "$group"; cat "$0$group/cgroup.controllers"'
)


@dataclass(frozen=True, slots=True)
class Control:
    """What limits can be had here: ``version`` 2 or 1, or 0 for rlimits only.

    ``parents`` are the folders in which groups are made, by controller; ``by_systemd`` says that
    systemd makes them for us.
    """

    version: int
    parents: tuple[tuple[str, Path], ...] = ()
    by_systemd: bool = False

    @property
    def controllers(self) -> frozenset[str]:
        """Which limits are real: some of memory, cpu, pids."""
        return frozenset(name for name, _ in self.parents if name in CONTROLLERS)


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
    return _systemd() or _version_2() or _version_1() or Control(0)


def create(name: str, limits: Limits, *, aside: bool = False) -> Group:
    """Make the groups called *name* with *limits*; an empty `Group` where we make none.

    All that are *aside* have the share of the processors of one that is not.
    """
    here = control()
    made: dict[Path, None] = {}
    for controller, parent in () if here.by_systemd else here.parents:
        folder = (_aside(parent, here) if aside else parent) / f"atoll-{name}"
        folder.mkdir(exist_ok=True)
        made[folder] = None
        for file, value in _values(here.version, controller, limits):
            with contextlib.suppress(FileNotFoundError):  # swap accounting may be off
                (folder / file).write_text(value)
    return Group(tuple(made))


def _aside(parent: Path, here: Control) -> Path:
    """Return the group in *parent* for those that are aside, made if need be."""
    folder = parent / ASIDE
    folder.mkdir(exist_ok=True)
    if here.version == 2:  # noqa: PLR2004
        names = " ".join(f"+{name}" for name in sorted(here.controllers))
        (folder / "cgroup.subtree_control").write_text(names)
    return folder


def prefix(name: str, limits: Limits, *, aside: bool = False) -> list[str]:
    """Return the words to put before a command so that systemd runs it in a group, if it must."""
    if not control().by_systemd:
        return []
    place = ASIDE_SLICE if aside else SLICE
    return [*_scope(place), f"--unit=atoll-{name}", *_properties(limits), "--"]


def neighbour() -> list[str]:
    """Return the words to put before a command so that it may enter boxes' groups.

    Only an ordinary user's systemd needs it. The kernel lets a process be moved by whoever may
    write to the nearest group above both places, and that of a login and of the user's systemd is
    root's. A neighbour of the boxes has the user's own above it.
    """
    return [*_scope(), "--"] if control().by_systemd and os.getuid() else []


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
    here = control()
    file, aside = f"atoll-{name}", ASIDE
    if here.by_systemd:
        file, aside = f"{file}.scope", ASIDE_SLICE
    folders = {
        place / file: None for _, parent in here.parents for place in (parent, parent / aside)
    }
    return Group(tuple(folder for folder in folders if folder.exists()))


def used(group: Group) -> int:
    """Return how many bytes of memory are *group*'s alone, without files that are cached; or 0."""
    for folder in group.folders:
        with contextlib.suppress(OSError):
            table = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return int(table.get("anon") or table.get("total_rss") or 0)
    return 0


def spent(group: Group) -> float | None:
    """Return how many seconds of processors *group* has used, or ``None`` if nobody counts."""
    for folder in group.folders:
        with contextlib.suppress(OSError, KeyError):  # version 2; 1 has other things in its file
            table = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            return int(table["usage_usec"]) / 10**6
        with contextlib.suppress(OSError):
            return int((folder / "cpuacct.usage").read_text()) / 10**9
    return None


def remove(group: Group, patience: float = 2.0) -> None:
    """Kill what is still in *group* and remove it, waiting up to *patience* seconds."""
    until = time.monotonic() + patience
    pause = 0.0005
    for folder in group.folders:
        while folder.exists():
            _kill(folder)
            if not control().by_systemd:  # which removes its own, when it sees that one is empty
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
            if time.monotonic() > until:
                break
            time.sleep(pause)
            pause = min(pause * 2, 0.01)


def _kill(folder: Path) -> None:
    try:  # all at once, so that nothing can fork away: version 2, Linux 5.14
        (folder / "cgroup.kill").write_text("1")
    except OSError:
        for pid in _members(folder):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _members(folder: Path) -> list[int]:
    try:
        text = (folder / "cgroup.procs").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split() if pid != "0"]  # 0: not in our process namespace


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
    return table.get((version, controller), [])


def _systemd() -> Control | None:
    """Ask systemd, as for a box; what it answers is what boxes will get."""
    if not (ROOT / "cgroup.controllers").exists() or not _manager():
        return None
    words = [*_scope(), *_properties(DEFAULT_LIMITS), "--", "/bin/sh", "-ec", PROBE, str(ROOT)]
    try:
        ran = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    group, _, names = ran.stdout.partition("\n")
    return _usable(Path(f"{ROOT}{group}").parent, names.split(), by_systemd=True)


def _manager() -> list[str]:
    """Return the words that let a program of systemd's find the one that is ours; none: no such."""
    if os.getuid() == 0:
        return ["/usr/bin/env"] if Path("/run/systemd/system").exists() else []
    # A session that `su` made has no folder, or that of whoever called it.
    for run in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"):
        if os.access(f"{run}/systemd/private", os.W_OK):
            return ["/usr/bin/env", "-u", "DBUS_SESSION_BUS_ADDRESS", f"XDG_RUNTIME_DIR={run}"]
    return []


def _scope(place: str = SLICE) -> list[str]:
    """Return the words before a command that is to be in a scope.

    Delegated, since only then systemd moves other processes there, and newer ones do not end all
    of a box when the kernel ends one process of it for want of memory.
    """
    whose = ["--user"] if os.getuid() else []
    words = ["systemd-run", *whose, "--scope", "--quiet", "--collect", f"--slice={place}"]
    return [*_manager(), *words, "--description=A box of Atoll", "--property=Delegate=yes"]


def _properties(limits: Limits) -> list[str]:
    return [
        f"--property=MemoryMax={limits.memory}",
        "--property=MemorySwapMax=0",
        f"--property=CPUQuota={max(1, round(limits.cpus * 100))}%",
        f"--property=TasksMax={limits.processes}",
    ]


def _version_2() -> Control | None:
    """As root where no systemd is, make a group of our own at the top."""
    if os.getuid() != 0 or not (ROOT / "cgroup.controllers").exists():
        return None
    parent = ROOT / "atoll"
    try:
        there = (ROOT / "cgroup.controllers").read_text().split()
        names = [name for name in CONTROLLERS if name in there]
        parent.mkdir(exist_ok=True)
        for folder in (ROOT, parent):
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in names))
        return _usable(parent, names)
    except OSError:  # read-only; or in a container, whose topmost group has processes in it
        with contextlib.suppress(OSError):
            parent.rmdir()
    return None


def _usable(parent: Path, names: Sequence[str], *, by_systemd: bool = False) -> Control | None:
    """Return what version 2 gives in *parent*, where there are the controllers *names*."""
    parents = tuple((name, parent) for name in CONTROLLERS if name in names)
    return Control(2, parents, by_systemd) if parents else None


def _version_1() -> Control | None:
    """Make a group of our own in each hierarchy that can be written to."""
    parents = []
    for name in CONTROLLERS:
        folder = ROOT / name
        if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK):
            (parent := folder / "atoll").mkdir(exist_ok=True)
            parents.append((name, parent))
    counting = ROOT / "cpuacct"  # where it is not one with “cpu”, as systemd's version 1 has it
    if parents and os.access(counting, os.W_OK) and not _same(counting, ROOT / "cpu"):
        (counting / "atoll").mkdir(exist_ok=True)
        parents.append(("cpuacct", counting / "atoll"))
    return Control(1, tuple(parents)) if parents else None


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)
