"""Remains: what an installation has on this machine, to be compared with what it had before.

Everything that an installation begins, its servers too, is a descendant of this process: it
adopts whoever loses their parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from endurance.trouble import parts
from support.installation import Installation
from support.processes import descendants, parent, title, weight

from atoll.engines.local import cgroups
from atoll.engines.local.layout import COPY
from atoll.engines.local.sandbox import bwrap
from atoll.people import VISITOR

PR_SET_CHILD_SUBREAPER = 36
STAGE = "/run/atoll-stage"
# The fork servers of kernels stay as long as the hub; for each of `[servers] kernel_forks`, two.
KEPT, KERNELS, MOST = "from forking.kernels import", "kernels-", 8
LISTENS = "00010000"  # the flag of a unix socket that listens, in /proc/net/unix
NOT_KEPT = f"owner like '{VISITOR}%'"
# Rows that are to be there only while somebody's server is: which, in which database.
QUERIES = {
    "plans of visitors": ("atoll", f"select count(*) from atoll_plans where {NOT_KEPT}"),
    "launches not over": (
        "atoll",
        "select count(*) from atoll_launches where state in ('preparing', 'starting')",
    ),
    "visitors": ("jupyterhub", f"select count(*) from users where name like '{VISITOR}%'"),
    "servers": ("jupyterhub", "select count(*) from servers"),
    "states of servers": (
        "jupyterhub",
        "select count(*) from spawners where coalesce(json_extract(state, '$.handle'), '') != ''",
    ),
    "tokens of servers": (
        "jupyterhub",
        "select count(*) from api_tokens where note like 'Server at %'",
    ),
    "clients of servers": (
        "jupyterhub",
        "select count(*) from oauth_clients where identifier like 'jupyterhub-user-%'",
    ),
    "tokens of nobody": (
        "jupyterhub",
        "select count(*) from api_tokens where user_id not in (select id from users)",
    ),
}


def adopt() -> None:
    """Become the parent of whoever below us loses theirs."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury(mine: Iterable[int]) -> None:
    """Forget the adopted that have ended, as init does; *mine* are somebody else's to wait for."""
    for pid in descendants(os.getpid())[1:]:
        if parent(pid) == os.getpid() and pid not in mine and _state(pid) == "Z":
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


@dataclass(frozen=True, slots=True)
class Look:
    """What there is, each kind as a count of what it is called; *parts* by part and kind."""

    things: dict[str, Counter[str]] = field(default_factory=dict)
    descriptors: dict[str, int] = field(default_factory=dict)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)

    def more(self, before: Look) -> dict[str, Counter[str]]:
        """Return what is here and was not *before*."""
        found = {kind: things - before.things[kind] for kind, things in self.things.items()}
        return {kind: things for kind, things in found.items() if things}


def look(atoll: Installation, handles: Iterable[str], temporary: Path) -> Look:
    """Look at all of it; *handles* are those of all servers that there ever were."""
    pids = [pid for pid in descendants(os.getpid())[1:] if _state(pid)]
    kept = [pid for pid in pids if KEPT in title(pid)]
    if len(kept) <= MOST:
        pids = [pid for pid in pids if pid not in kept]
    roles = parts(atoll.process.pid)
    of = {pid: role for role, found in roles.items() for pid in found}
    data, run = atoll.places.data, atoll.places.run
    things = {
        "processes": Counter(of.get(pid) or _unknown(pid, of) for pid in pids),
        "sockets that listen": _listening(run),
        "files of the run folder": _below(run),
        "mounts": _mounts(atoll),
        "namespaces of mounts": Counter({"": len(_spaces(pids))}),
        "control groups": _groups(handles),
        "folders of servers": _names(data / "servers"),
        "homes": _homes(data / "volumes"),
        "hidden leftovers": _hidden(data),
        "temporary files": _names(temporary),
        "copies of bubblewrap": Counter(one.name for one in bwrap().parent.glob(f"{COPY}*")),
        "rows": rows(data),
    }
    return Look(
        {kind: +found for kind, found in things.items()},
        {role: _descriptors(found[:1]) for role, found in roles.items() if role != "fork server"},
        memory(roles),
    )


def memory(roles: dict[str, list[int]]) -> dict[str, tuple[int, int]]:
    """Return each part's process and its private bytes: what it shares is not its alone to leak."""
    return {
        role: (found[0] if found else 0, weight(found[:1]).private)
        for role, found in roles.items()
        if role != "fork server"
    }


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _unknown(pid: int, of: dict[int, str]) -> str:
    whose = parent(pid)
    return title(pid)[:120] or f"a dead child of {of.get(whose) or title(whose)[:60]}"


def _listening(run: Path) -> Counter[str]:
    lines = Path("/proc/net/unix").read_text().splitlines()
    words = [line.split() for line in lines if str(run) in line and KERNELS not in line]
    return Counter(one[7].rpartition(".sock.")[0] or one[7] for one in words if one[3] == LISTENS)


def _below(folder: Path) -> Counter[str]:
    found = (str(one.relative_to(folder)) for one in folder.rglob("*"))
    return Counter(one for one in found if not one.startswith(KERNELS))


def _names(folder: Path) -> Counter[str]:
    return Counter(one.name for one in folder.iterdir()) if folder.exists() else Counter()


def _mounts(atoll: Installation) -> Counter[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    ours = (str(atoll.places.data), str(atoll.places.run), STAGE)
    return Counter(line for line in lines if any(one in line for one in ours))


def _spaces(pids: Sequence[int]) -> set[str]:
    """Return the mount namespaces that threads of *pids* are in."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str((task / "ns/mnt").readlink()))
    return found


def _groups(handles: Iterable[str]) -> Counter[str]:
    return Counter(str(one) for handle in handles for one in cgroups.find(handle).folders)


def _homes(volumes: Path) -> Counter[str]:
    people = [one for one in volumes.iterdir() if one.is_dir()] if volumes.exists() else []
    found = Counter(one.name.partition("-")[0] for one in people if one.name.startswith(VISITOR))
    return found + Counter(f"{one.name}/{home.name}" for one in people for home in one.iterdir())


def _hidden(data: Path) -> Counter[str]:
    """Return names that begin with a dot, where folders are made and unmade."""
    volumes = ("volumes", "volumes/*", "volumes/*/*")
    places = ("servers", *volumes, "checkouts", "mirrors", "environments")
    return Counter(
        str(one.relative_to(data))
        for place in places
        for one in data.glob(f"{place}/.*")
        if not one.name.endswith(".lock")
    )


def rows(data: Path) -> Counter[str]:
    """Count the rows that are to be there only while somebody's server is."""
    found = Counter()
    for name, (database, query) in QUERIES.items():
        with contextlib.closing(sqlite3.connect(data / f"{database}.sqlite", timeout=30)) as asked:
            found[name] = asked.execute(query).fetchone()[0]
    return found


def _descriptors(pids: Sequence[int]) -> int:
    with contextlib.suppress(OSError, IndexError):
        return len(list(Path(f"/proc/{pids[0]}/fd").iterdir()))
    return 0
