"""The fork server: imports all that a Lab needs, once; then becomes servers in milliseconds.

    python -P -m atoll.engines.local.forking.server SOCKET

It holds nobody's secrets and no data: who connects is answered by a child, and only that child
reads what is asked. The child joins a box (`joining`), and a child of its own, which is then in
the box's process namespace too, becomes the single-user server.

Two processes share the work. The *keeper* has imported everything and does nothing but replace
the *answerer*, its fork, when that dies or gives no sign of life. An answerer whose keeper dies
goes on until the next keeper has taken the place of its socket.

The program runs from a sealed copy of the interpreter in memory: servers can open /proc/self/exe,
and an ordinary user's servers own the file that the interpreter is in.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
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
import traceback
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from setproctitle import setproctitle

from atoll.engines.local import seccomp
from atoll.engines.local.forking.joining import join
from atoll.engines.local.forking.rehearsal import application, rehearsed

MESSAGE = 1024**2  # bytes of a request at most
FDS = 3  # of a request: the box's first process, what is printed, and the box's life
LONELY = 60  # seconds that an answerer goes on without a keeper
PATIENCE, SIGN = 1.0, 0.25  # seconds: a sign of life is expected within, and given every
SEALED = "ATOLL_SEALED"
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
ENDED = (signal.SIGTERM, signal.SIGINT)
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
MFD_EXEC = 0x0010  # linux/memfd.h


def main(path: str) -> None:
    """Be the keeper of the fork server at *path*."""
    seal()
    setproctitle("atoll: fork server")
    for module in rehearsed():
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    dice = [one for one in gc.get_objects() if isinstance(one, random.Random)]
    gc.collect()
    gc.freeze()  # what is there now is shared by all; no collection is to touch it
    listening = listen(path)
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
            answer(listening, path, sign, dice)
        for number in ENDED:
            signal.signal(number, end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED)
        os.close(sign)
        while select.select([signs], [], [], PATIENCE)[0] and os.read(signs, 4096):
            pass
        os.close(signs)
        os.kill(answerer, signal.SIGKILL)
        os.waitpid(answerer, 0)


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


def listen(path: str) -> socket.socket:
    """Take the place at *path*, whoever had it."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    aside = Path(f"{path}.{os.getpid()}")
    listening.bind(str(aside))
    aside.chmod(0o600)
    listening.listen(1024)
    aside.rename(path)
    return listening


def answer(listening: socket.socket, path: str, sign: int, dice: list[random.Random]) -> NoReturn:
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
                become(caller, dice)
            caller.close()
        elif os.getppid() != keeper:
            lonely += SIGN
            with contextlib.suppress(FileNotFoundError):
                if Path(path).stat().st_ino != mine:
                    break
        with contextlib.suppress(BrokenPipeError):
            os.write(sign, b".")
        with contextlib.suppress(
            ChildProcessError
        ):  # one that was traced is not forgotten by itself
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
    os._exit(0)


def become(caller: socket.socket, dice: list[random.Random]) -> NoReturn:
    """Read what *caller* asks for, go behind the box's walls, and become its server there."""
    try:
        _close_all_but(caller.fileno())
        message, fds, _, _ = socket.recv_fds(caller, MESSAGE, FDS)
        if not message:  # it only wants to know whether we are here
            os._exit(0)
        asked = json.loads(message)
        pidfd, output, life = fds
        join(
            pidfd,
            owner=asked["owner"],
            entrances=asked["entrances"],
            rlimits=asked["rlimits"],
            seccomp=seccomp.program(),
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
    status, me = 1, os.getpid()
    try:
        refresh(asked, output, life, dice)
        if caller.recv(1):  # the box has its network; else our caller has given up
            run(asked["app"], asked["arguments"], caller)
            status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - as the interpreter would
        traceback.print_exc()
    if os.getpid() == me:  # and no fork of ours that came back here
        atexit._run_exitfuncs()  # noqa: SLF001 - the rest of a usual end would copy all memory
        os.write(life, f"{status}\n".encode())
    os._exit(status)


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


def _close_all_but(kept: int) -> None:
    """Close every descriptor but *kept* and the first three."""
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def refresh(asked: dict[str, Any], output: int, life: int, dice: list[random.Random]) -> None:
    """Give this process what a fresh one has of its own."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its own /proc/self is closed to it
    os.chdir(asked["workdir"])
    nothing = os.open("/dev/null", os.O_RDONLY)  # the box's, not the answerer's
    for number, fd in enumerate((nothing, output, output)):
        os.dup2(fd, number)
    os.close(nothing)
    os.close(output)
    os.set_inheritable(life, False)  # noqa: FBT003
    os.register_at_fork(after_in_child=partial(_close, life))  # the box lives as long as we do
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    module, _, name = asked["app"].partition(":")
    sys.argv = [name, *asked["arguments"]]
    for one in dice:
        one.seed()
    sys.orig_argv = [sys.executable, "-m", module, *asked["arguments"]]
    setproctitle(" ".join(sys.orig_argv))
    platform._uname_cache = None  # type: ignore[attr-defined]  # noqa: SLF001 - it names the host
    tempfile._name_sequence = None  # type: ignore[attr-defined]  # noqa: SLF001
    multiprocessing.current_process().authkey = os.urandom(32)
    gc.enable()


def run(app: str, arguments: list[str], caller: socket.socket) -> None:
    """Run the Jupyter Server extension application *app*; tell *caller* once it listens."""
    server = application(app).initialize_server(argv=arguments)
    with contextlib.suppress(OSError):
        caller.send(b"{}")
    caller.close()
    server.start()


if __name__ == "__main__":
    main(sys.argv[1])
