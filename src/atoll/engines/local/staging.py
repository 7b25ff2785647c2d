"""Staging: how root's boxes find what they mount, although they run as users who may not look.

The sources of a box's mounts are bound below `STAGE`, in a mount namespace that only the box's
bubblewrap inherits. A thread of ours enters it, starts bubblewrap there, and ends: namespaces of
mounts belong to threads, and no program need be started for any of this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from subprocess import Popen

STAGE = "/run/atoll-stage"  # seen in private mount namespaces only
LIBC = ctypes.CDLL(None, use_errno=True)
# linux/sched.h and linux/mount.h
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19


def staged(
    pairs: Sequence[tuple[str, str]], begin: Callable[[], Popen[bytes]], *, stay: bool
) -> Popen[bytes]:
    """Call *begin* where each source of *pairs* is seen below `STAGE`, under the other name.

    With *stay*, the thread that began the process lives as long as that does: a process that asks
    to die with its parent dies with that thread. Raises `OSError`, and whatever *begin* does.
    """
    begun: Future[Popen[bytes]] = Future()

    def work() -> None:
        try:
            _lay_out(pairs)
            process = begin()
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            begun.set_exception(error)
            return
        begun.set_result(process)
        if stay:
            with contextlib.suppress(ChildProcessError):  # somebody else has heard of its end
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    threading.Thread(target=work, name="staging", daemon=True).start()
    return begun.result()


def _lay_out(pairs: Sequence[tuple[str, str]]) -> None:
    """Give this thread mounts of its own, with *pairs* in the stage."""
    _call("unshare", LIBC.unshare(CLONE_NEWNS))
    _mount(
        "", "/", MS_REC | MS_SLAVE
    )  # what is unmounted elsewhere goes here, nothing comes from here
    Path(STAGE).mkdir(exist_ok=True)
    _mount("atoll", STAGE, 0, "tmpfs", "mode=0755,size=1m")
    for source, name in pairs:
        target = Path(STAGE, name)
        if Path(source).is_dir():
            target.mkdir()
        else:
            target.touch()
        _mount(source, str(target), MS_BIND | MS_REC)


def _mount(source: str, target: str, flags: int, kind: str = "", options: str = "") -> None:
    words = [word.encode() or None for word in (source, target, kind)]
    status = LIBC.mount(*words, ctypes.c_ulong(flags), options.encode() or None)
    _call(f"mount {source} at {target}", status)


def _call(what: str, status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
