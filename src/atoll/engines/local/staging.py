"""Staging: how root's boxes find what they mount, although they run as users who may not look.

The sources of a box's mounts are bound below `STAGE`, in a mount namespace that only the box's
bubblewrap inherits. A thread of ours enters it, starts bubblewrap there, and ends: namespaces of
mounts belong to threads, and no program need be started for most of this.

What belongs to one user may be shown as another's: the kernel translates the numbers of owners in
such a mount, both ways (an id-mapped mount, mount_setattr(2)).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from atoll.errors import StartFailed

STAGE = "/run/atoll-stage"  # seen in private mount namespaces only
LIBC = ctypes.CDLL(None, use_errno=True)
# linux/sched.h and linux/mount.h
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19
# Numbers of system calls, the same on all processors, and what they are told.
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH, MOUNT_ATTR_IDMAP = 1, 4, 0x00100000
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
MOUNT_ATTR = struct.Struct("QQQQ")  # set, clear, propagation, the user namespace with the numbers


@dataclass(frozen=True, slots=True)
class Pair:
    """The host's ``source`` is seen in the stage as ``name``.

    With ``shown``, what is owned by the first of these users of the host is the second's there.
    """

    source: str
    name: str
    shown: tuple[int, int] | None = None


def staged(pairs: Sequence[Pair], begin: Callable[[], Popen[bytes]], *, stay: bool) -> Popen[bytes]:
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


def _lay_out(pairs: Sequence[Pair]) -> None:
    """Give this thread mounts of its own, with *pairs* in the stage."""
    _call("unshare", LIBC.unshare(CLONE_NEWNS))
    _mount(
        "", "/", MS_REC | MS_SLAVE
    )  # what is unmounted elsewhere goes here, nothing comes from here
    Path(STAGE).mkdir(exist_ok=True)
    _mount("atoll", STAGE, 0, "tmpfs", "mode=0755,size=1m")
    for pair in pairs:
        target = Path(STAGE, pair.name)
        if Path(pair.source).is_dir():
            target.mkdir()
        else:
            target.touch()
        if pair.shown:
            _mount_shown(pair.source, str(target), *pair.shown)
        else:
            _mount(pair.source, str(target), MS_BIND | MS_REC)


def _mount_shown(source: str, target: str, theirs: int, shown: int) -> None:
    """Mount *source* at *target*, with what is *theirs* as *shown*'s. Raises `StartFailed`."""
    with contextlib.ExitStack() as undo:
        path = source.encode()
        tree = LIBC.syscall(OPEN_TREE, AT_FDCWD, path, OPEN_TREE_CLONE | os.O_CLOEXEC)
        _call(f"open_tree {source}", min(tree, 0))
        undo.callback(os.close, tree)
        numbers = _user_namespace(theirs, shown)
        undo.callback(os.close, numbers)
        told = MOUNT_ATTR.pack(MOUNT_ATTR_IDMAP, 0, 0, numbers)
        status = LIBC.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, told, MOUNT_ATTR.size)
        if status and ctypes.get_errno() in {errno.EINVAL, errno.ENOSYS, errno.EPERM}:
            message = "This kernel or file system cannot show one user's files as another's."
            hint = "Atoll's data folder must be on ext4, XFS or btrfs, and Linux 5.12 or newer."
            raise StartFailed(message, hint=hint)
        _call("mount_setattr", status)
        to = (AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH)
        _call(f"move_mount {target}", LIBC.syscall(MOVE_MOUNT, tree, b"", *to))


def _user_namespace(theirs: int, shown: int) -> int:
    """Return a descriptor of a user namespace in which *shown* of outside is *theirs*."""
    waiting = ["unshare", "--user", "sh", "-c", "echo; read -r _"]
    with Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:  # pragma: no cover - for types
            raise OSError
        process.stdout.readline()
        for kind in ("uid", "gid"):
            Path(f"/proc/{process.pid}/{kind}_map").write_text(f"{theirs} {shown} 1\n")
        namespace = os.open(f"/proc/{process.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        process.stdin.close()
        return namespace


def _mount(source: str, target: str, flags: int, kind: str = "", options: str = "") -> None:
    words = [word.encode() or None for word in (source, target, kind)]
    status = LIBC.mount(*words, ctypes.c_ulong(flags), options.encode() or None)
    _call(f"mount {source} at {target}", status)


def _call(what: str, status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
