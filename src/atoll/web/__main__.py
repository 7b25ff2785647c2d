"""Main: ``python -m atoll.web``, which the supervisor runs as a service of JupyterHub."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn

from atoll.app import wire
from atoll.folders import run_folder
from atoll.settings import load_settings
from atoll.web.app import make_app, make_site
from atoll.web.culler import Culler
from atoll.web.hub_api import HubApi
from atoll.web.site import Place

WEIGHT = -10  # of this session, as `nice` has it: nine times another one's


def main() -> None:
    """Serve on the unix socket ``web.sock`` in the run folder until told to stop."""
    go_first()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger("atoll").setLevel(logging.INFO)
    settings = load_settings()
    atoll = wire(settings, trusted=False)
    hub, store = HubApi.from_environment(), atoll.store
    site = make_site(atoll, hub, Place.from_environment())
    parts = (hub.people, atoll.allowances, store.plans, store.stops, store.acts)
    culler = Culler.from_environment(*parts)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(site, culler.culling()),
            proxy_headers=False,  # we read the proxies' headers ourselves
            server_header=False,
            access_log=False,
            log_level="info",
            timeout_graceful_shutdown=3,
        )
    )
    with private_socket(run_folder(settings) / "web.sock") as listening:
        server.run(sockets=[listening])
    if not server.started:
        sys.exit("The service did not start.")


def go_first() -> None:
    """Have a processor at once where many want one, if we are root and the kernel goes by sessions.

    A page needs little, and somebody waits for it. Our session is our own (`hub.processes`); boxes
    are in groups of their own, and so are in none.
    """
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(WEIGHT))


def private_socket(path: Path) -> socket.socket:
    """Return a socket bound to *path*, to which nobody else can connect at any moment.

    Whoever got there past the proxy could claim any address; uvicorn would open it to everybody.
    """
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening


if __name__ == "__main__":
    main()
