"""Keeping: how a process that has imported everything stays, and lets others be made of it.

Two processes share the work. The *keeper* has imported everything and does nothing but replace
the *answerer*, its fork, when that dies or gives no sign of life. An answerer whose keeper dies
goes on until the next keeper has taken the place of its socket.

Neither holds anybody's secrets or data: who connects is answered by a child, and only that child
reads what is asked, joins a box (`joining`), and forks once more, since the box's process
namespace takes in children only.

The program runs from a sealed copy of the interpreter in memory: what runs in a box can open
/proc/self/exe, and an ordinary user's boxes own the file that the interpreter is in.

It runs under the Pythons of environments too, from 3.10 on, and needs the standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import fcntl
import gc
import json
import multiprocessing
import os
import platform
import random
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .joining import join

MESSAGE = 1024**2  # bytes of a request at most
LONELY = 60  # seconds that an answerer goes on without a keeper
PATIENCE, SIGN = 1.0, 0.25  # seconds: a sign of life is expected within, and given every
SEALED = "ATOLL_SEALED"
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
ENDED = (signal.SIGTERM, signal.SIGINT)
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
MFD_EXEC = 0x0010  # linux/memfd.h

Become = Callable[[socket.socket], NoReturn]


def seal() -> None:
    """Go on from a copy of the interpreter in memory that nobody can ever write to."""
    if os.environ.pop(SEALED, None):
        return
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        copy = os.memfd_create("python", flags | MFD_EXEC)
    except OSError:  # a kernel before 6.3, where all may be executed
        copy = os.memfd_create("python", flags)
    with Path(sys.executable).resolve().open("rb") as program:
        while os.sendfile(copy, program.fileno(), None, 2**30):
            pass
    os.fchmod(copy, 0o555)
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, SEALS)
    os.execve(copy, [sys.executable, *sys.orig_argv[1:]], {**os.environ, SEALED: "1"})  # noqa: S606


def freeze() -> list[random.Random]:
    """Share what is in memory now with all forks; return what each must make anew."""
    dice = [one for one in gc.get_objects() if isinstance(one, random.Random)]
    gc.collect()
    gc.freeze()  # no collection is to touch it
    return dice


def keep(path: str, become: Become, *, life: int | None = None) -> NoReturn:
    """Answer at *path* for ever: a child for each caller, which *become* makes of it.

    With *life*, a descriptor, until its other end is closed.
    """
    listening = _listen(path)
    inherited = {number: signal.getsignal(number) for number in ENDED}
    answerer = 0

    def end(*_: object) -> NoReturn:
        with contextlib.suppress(ProcessLookupError):
            os.kill(answerer, signal.SIGKILL)
        os._exit(0)

    while True:
        signs, sign = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDED)
        answerer = os.fork()
        if not answerer:
            for number, usual in inherited.items():
                signal.signal(number, usual)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED)
            os.close(signs)
            _answer(listening, path, sign, become)
        for number in ENDED:
            signal.signal(number, end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED)
        os.close(sign)
        heard = [signs] if life is None else [signs, life]
        while ready := select.select(heard, [], [], PATIENCE)[0]:
            if life in ready:
                end()
            if not os.read(signs, 4096):
                break
        os.close(signs)
        os.kill(answerer, signal.SIGKILL)
        os.waitpid(answerer, 0)


def _listen(path: str) -> socket.socket:
    """Take the place at *path*, whoever had it."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    aside = Path(f"{path}.{os.getpid()}")
    listening.bind(str(aside))
    aside.chmod(0o600)
    listening.listen(1024)
    aside.rename(path)
    return listening


def _answer(listening: socket.socket, path: str, sign: int, become: Become) -> NoReturn:
    """Answer until there is a new keeper, or none for a while. Each caller gets a child."""
    listening.listen(1024)  # anew, so that callers are told whose socket it is
    mine = Path(path).stat().st_ino
    quiet = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):  # whoever hears the keeper is to notice its end
        os.dup2(quiet, number)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how servers ended
    keeper, lonely = os.getppid(), 0.0
    while lonely < LONELY:
        if select.select([listening], [], [], SIGN)[0]:
            caller, _ = listening.accept()
            if not os.fork():
                listening.close()
                os.close(sign)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                become(caller)
            caller.close()
        elif os.getppid() != keeper:
            lonely += SIGN
            with contextlib.suppress(FileNotFoundError):
                if Path(path).stat().st_ino != mine:
                    break
        with contextlib.suppress(BrokenPipeError):
            os.write(sign, b".")
        with contextlib.suppress(ChildProcessError):  # one that was traced stays otherwise
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
    os._exit(0)


def enter(caller: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read what *caller* asks for and go behind the box's walls; return it in a child in there.

    With it come the descriptors that were handed over, but for the first, which named the box.
    The caller is told the child's id, or why not; then there is no return.
    """
    try:
        _close_all_but(caller.fileno())
        message, fds, _, _ = socket.recv_fds(caller, MESSAGE, 8)
        if not message:  # it only wants to know whether we are here
            os._exit(0)
        asked = json.loads(message)
        pidfd, *handed = fds
        join(
            pidfd,
            owner=asked["owner"],
            entrances=asked["entrances"],
            rlimits=asked["rlimits"],
            seccomp=base64.b64decode(asked["seccomp"]),
        )
        os.close(pidfd)
        child = os.fork()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is told
        with contextlib.suppress(OSError):
            caller.send(json.dumps({"error": str(error)}).encode())
        os._exit(1)
    if child:
        caller.send(json.dumps({"pid": child}).encode())
        os._exit(0)
    return asked, handed


def _close_all_but(kept: int) -> None:
    """Close every descriptor but *kept* and the first three."""
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def refresh(
    environ: Mapping[str, str], workdir: str, output: int, dice: list[random.Random]
) -> None:
    """Give this process what a fresh one has of its own."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its own /proc/self is closed to it
    os.chdir(workdir)
    nothing = os.open("/dev/null", os.O_RDONLY)  # the box's, not the answerer's
    for number, fd in enumerate((nothing, output, output)):
        os.dup2(fd, number)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    for one in dice:
        one.seed()
    platform._uname_cache = None  # type: ignore[attr-defined]  # noqa: SLF001 - it names the host
    tempfile._name_sequence = None  # type: ignore[attr-defined]  # noqa: SLF001
    multiprocessing.current_process().authkey = os.urandom(32)
    gc.enable()


def entitle(words: Sequence[str]) -> None:
    """Show *words* as this process' command line, as far as there is room for them.

    Else it would be the fork server's. Source of the place: proc_pid_stat(5), arg_start.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    shown = "\0".join(words).encode()[: end - start - 1]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, shown, len(shown))
