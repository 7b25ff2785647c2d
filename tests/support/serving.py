"""Serving: the part that the small servers of tests have in common.

What each serves is its own: packages of one kind or another, on a port of this machine.
"""

from __future__ import annotations

import functools
import threading
from http.server import ThreadingHTTPServer
from typing import Self


class Served:
    """Answers by *handler* (with *options*), at ``base``, until the end of the with block.

    ``asked`` are the paths that were asked for.
    """

    def __init__(self, handler, host="127.0.0.1", **options):
        self.asked: list[str] = []
        served = self

        class Handler(handler):
            def do_GET(self):  # noqa: N802 - as http.server calls it
                served.asked.append(self.path)
                super().do_GET()

            def log_message(self, *words):
                """Say nothing."""

        self.server = ThreadingHTTPServer((host, 0), functools.partial(Handler, **options))
        self.base = f"http://{host}:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
