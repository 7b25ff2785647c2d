"""One host: the web service and the stand-in hub at one address, as a proxy would put them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn

from support.web_service import Service


def joined(service: Service, web=None):
    """Return one ASGI application: the hub's paths to the stand-in, all others to the service."""
    web, hub = web or service.app, service.hub.app()

    async def app(scope, receive, send):
        path = scope.get("path", "")
        to_hub = path.startswith(("/hub/", "/user/"))
        await (hub if to_hub else web)(scope, receive, send)

    return app


@contextlib.contextmanager
def serving(app) -> Iterator[str]:
    """Serve *app* on a free port of loopback, in a thread, and give its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
    )
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
            assert thread.is_alive(), "the server did not start"
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
