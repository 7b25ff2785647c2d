"""A hub that means no good: it answers whatever a test says, and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Hostile:
    """Answers each path of Atoll's API with ``answers[path]``: ``(status, headers, body)``."""

    def __init__(self, answers=None, context=None) -> None:
        self.answers = answers or {}
        self.heard: list[tuple[str, str]] = []  # the path and the Authorization of each request
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.removeprefix("/services/atoll/api/")
                hostile.heard.append((path, self.headers.get("Authorization", "")))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                found = hostile.answers.get(path, (404, {}, b"?"))
                if isinstance(found, list):  # one after the other
                    found = found.pop(0) if len(found) > 1 else found[0]
                status, headers, body = found
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "https" if context else "http"
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"{scheme}://127.0.0.1:{self.server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def stream(*events: tuple[str, object]) -> tuple[int, dict, bytes]:
    """Return the answer that tells *events*, kind and data, each with the id ``1-NUMBER``."""
    told = (
        f"id: 1-{number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for number, (kind, data) in enumerate(events)
    )
    return 200, {"Content-Type": "text/event-stream"}, "".join(told).encode()
