"""Joining: how a process steps into a box that bubblewrap made, and keeps no way back.

bubblewrap has made every wall; this only goes behind them. In this order, since each step gives up
what an earlier one needed: the control groups, the host's user, all namespaces at once (setns(2)
on a pidfd), capabilities, ``no_new_privs`` and the seccomp filter. What is left is what
bubblewrap's own child has.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
# linux/sched.h: the namespaces of a box
NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000
SPACES = NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET
# linux/prctl.h and linux/capability.h
PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 22, 24, 38, 47
SECCOMP_MODE_FILTER, AMBIENT_CLEAR_ALL, CAPABILITY_VERSION_3 = 2, 4, 0x20080522
CAPABILITIES = 64  # more than there are
INSTRUCTION = 8  # bytes of a ``struct sock_filter``


class _Filter(ctypes.Structure):
    """linux/filter.h: ``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def join(
    pidfd: int,
    *,
    owner: int | None,
    entrances: Sequence[str],
    rlimits: Mapping[str, int],
    seccomp: bytes,
) -> None:
    """Move this process, which must have one thread, into the box of the process *pidfd*.

    Its children will be in the box's process namespace; it itself cannot. *owner* is the user to
    become where we are root; *entrances* are the files that take a process into the box's control
    groups; *rlimits* are named as in `resource`; *seccomp* is an array of ``sock_filter``. Raises
    `OSError`, after which this process must end: it may be half inside.
    """
    root = os.open(f"/proc/{_pid(pidfd)}/root", os.O_PATH | os.O_CLOEXEC)
    for entrance in entrances:
        Path(entrance).write_text(str(os.getpid()))
    if owner is not None:
        os.setgroups([])
        os.setresgid(owner, owner, owner)
        os.setresuid(owner, owner, owner)
    _call("setns", LIBC.setns(pidfd, SPACES))
    if not os.path.sameopenfile(root, here := os.open("/", os.O_PATH | os.O_CLOEXEC)):
        raise OSError(errno.EXDEV, "not at the box's root")
    os.close(root)
    os.close(here)
    for name, value in rlimits.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    _drop_capabilities()
    _call("no_new_privs", _prctl(PR_SET_NO_NEW_PRIVS, 1))
    program = _Filter(len(seccomp) // INSTRUCTION, seccomp)
    _call("seccomp", _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program)))


def _pid(pidfd: int) -> int:
    """Return the id of the process *pidfd*. Raises `OSError` if it is gone."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    pid = next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
    if pid <= 0:
        raise OSError(errno.ESRCH, "the box is gone")
    return pid


def _drop_capabilities() -> None:
    """Give up every capability, and the way to any by a program's file."""
    for number in range(CAPABILITIES):
        if _prctl(PR_CAPBSET_DROP, number):
            if ctypes.get_errno() == errno.EINVAL:
                break  # that was the last one
            _call("bounding set", -1)
    _call("ambient set", _prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL))
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", LIBC.capset(header, (ctypes.c_uint32 * 6)()))


def _prctl(option: int, *values: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return int(LIBC.prctl(option, *padded))


def _call(what: str, status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
