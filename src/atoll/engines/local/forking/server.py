"""The fork server: imports all that a Lab needs, once; then becomes servers in milliseconds.

    python -P -m atoll.engines.local.forking.server SOCKET

How it stays, and how its forks get into boxes, is told in `keeping`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import random
import socket
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import NoReturn

from setproctitle import setproctitle

from atoll.engines.local.forking.keeping import enter, freeze, keep, refresh, seal
from atoll.engines.local.forking.rehearsal import application, rehearsed
from atoll.engines.local.forking.warming import warm


def main(path: str) -> NoReturn:
    """Be the keeper of the fork server at *path*."""
    seal()
    setproctitle("atoll: fork server")
    keep(path, partial(become, dice=prepare(Path(path).parent / "rehearsal")))


def prepare(folder: Path) -> list[random.Random]:
    """Load all that a server needs, as a rehearsal in *folder* finds out, and share it."""
    _spare()
    learnt = rehearsed(folder)
    for module in learnt.modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    sys.stderr.writelines(f"Not warmed: {why}\n" for why in warm(learnt.routes))
    return freeze()


def _spare() -> None:
    """Load what checks JSON without its grammar of internationalised addresses.

    It is optional, takes a second and 17 MB, and no schema of a Lab's speaks of such an address.
    """
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # importing it fails
    importlib.import_module("jsonschema")
    del sys.modules["rfc3987_syntax"]


def become(caller: socket.socket, dice: list[random.Random]) -> NoReturn:
    """Read what *caller* asks for, go behind the box's walls, and become its server there."""
    asked, (output, life) = enter(caller)
    status, me = 1, os.getpid()
    try:
        refresh(asked["environ"], asked["workdir"], output, dice)
        os.set_inheritable(life, False)  # noqa: FBT003
        os.register_at_fork(after_in_child=partial(_close, life))  # the box lives as long as we do
        module, _, name = asked["app"].partition(":")
        sys.argv = [name, *asked["arguments"]]
        sys.orig_argv = [sys.executable, "-m", module, *asked["arguments"]]
        setproctitle(" ".join(sys.orig_argv))
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


def run(app: str, arguments: list[str], caller: socket.socket) -> None:
    """Run the Jupyter Server extension application *app*; tell *caller* once it listens."""
    gc.disable()  # next to nothing of what is made now is thrown away
    server = application(app).initialize_server(argv=arguments)
    gc.enable()

    def tell() -> None:
        with contextlib.suppress(OSError):
            caller.send(b"{}")
        caller.close()

    server.io_loop.add_callback(tell)  # after the one that takes the socket's place
    server.start()


if __name__ == "__main__":
    main(sys.argv[1])
