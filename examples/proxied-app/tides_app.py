"""A web application, and how jupyter-server-proxy starts it when somebody opens ``tides/``."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Page(BaseHTTPRequestHandler):
    """Answers everything with one page."""

    def do_GET(self):
        """Say when the water is high."""
        body = b"<!doctype html><title>Tides</title><h1>High water at 15:25</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def set_up():
    """Return what jupyter-server-proxy needs to know."""
    return {
        "command": [sys.executable, "-m", "tides_app", "{port}"],
        "timeout": 20,
        "launcher_entry": {"title": "Tides"},
    }


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
