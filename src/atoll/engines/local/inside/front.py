"""The front of a repository's own Jupyter server: lets in whom the hub lets in.

It is jupyter-server-proxy's standalone proxy, which asks JupyterHub about cookies and tokens, with
two things more.

The server behind it has no token of its own, so that it takes every request for a browser's and
wants to see its form token (`_xsrf`). A program that came with a token of the hub has none and
needs none, since no page can forge such a request: it is given a matching pair.

What it lets through it cannot tell apart, so that of guests only those come in who may run code;
and it asks of WebSockets as well who opens them.

It listens once the server behind it does, and ends when that ends, with its exit code: a server
that never comes up is one that did not start, and whoever launched it is told so at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from functools import cache
from threading import Thread
from typing import Any

from guests import RUN, Guests  # type: ignore[import-not-found]
from jupyter_server_proxy.standalone.app import StandaloneProxyServer
from tornado.web import HTTPError


class Front(StandaloneProxyServer):  # type: ignore[misc]
    """The standalone proxy, for programs too."""

    def get_proxy_base_class(self) -> tuple[type, dict[str, Any]]:
        """Return the handler of every request, and its arguments."""
        base, arguments = super().get_proxy_base_class()

        class Handler(base):  # type: ignore[misc,valid-type]
            def proxy_request_headers(self) -> Any:
                headers = super().proxy_request_headers()
                if getattr(self, "_token_authenticated", False):
                    pair = secrets.token_hex(16)
                    headers["Cookie"] = f"_xsrf={pair}"
                    headers["X-XSRFToken"] = pair
                return headers

            async def prepare(self, *args: Any, **kwargs: Any) -> None:
                # The standalone proxy asks who it is for pages, and not for WebSockets.
                super().prepare(*args, **kwargs)
                socket_asked = self.request.headers.get("Upgrade", "").lower() == "websocket"
                user, guests = self.get_current_user(), _guests(self.hub_auth)
                if user is None and socket_asked:
                    raise HTTPError(403)
                if user is None or guests.at_home(user):
                    return
                level = await guests.level(self)
                if level < RUN:
                    raise HTTPError(403, "Who may only look cannot be let in here.")
                if socket_asked:
                    guests.watch(self, level)

            def get_cmd(self) -> list[str]:
                return []  # it runs already

        return Handler, arguments

    def start(self) -> None:
        """Serve, once the server behind listens, until it ends."""
        lab = subprocess.Popen(self.command)
        signal.signal(signal.SIGTERM, lambda *_: lab.terminate())
        Thread(target=lambda: os._exit(lab.wait() & 0xFF), daemon=True).start()
        while not _listens(self.server_port):
            time.sleep(0.05)
        super().start()


@cache
def _guests(hub_auth: Any) -> Any:
    return Guests(hub_auth)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


if __name__ == "__main__":
    Front.launch_instance()
