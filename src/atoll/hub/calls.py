"""Calls: what the supervisor asks its programs, and tells them, over their unix sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from atoll.errors import StartFailed
from atoll.hub.places import SERVICE, Places, http_unix

# What the proxy sends straight to Atoll's service: its own pages, and the paths at which the
# programs that speak to Binder expect it.
ROUTES = [
    f"services/{SERVICE}",
    "v2",
    "build",
    "api/repoproviders",
    "badge_logo.svg",
    "badge.svg",
    "health",
    "versions",
    "about",
    "metrics",
]


PATIENCE = 20  # seconds


@dataclass(frozen=True, slots=True)
class Calls:
    """Asks and tells the programs at *places*."""

    places: Places

    async def proxy_answers(self) -> bool:
        """Say whether the proxy takes orders and visitors."""
        orders = await self._ask(self.places.proxy_socket, "GET", "/api/routes", "proxy_token")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.places.host, self.places.host)  # noqa: S104
        try:
            _, writer = await asyncio.open_connection(host, self.places.port)
        except OSError:
            return False
        writer.close()
        return orders == HTTPStatus.OK

    async def hub_answers(self) -> bool:
        """Say whether JupyterHub answers."""
        path = f"{self.places.base}hub/health"
        return await self._ask(self.places.hub_socket, "GET", path) == HTTPStatus.OK

    async def service_answers(self) -> bool:
        """Say whether Atoll's service answers, be it that something else is not well."""
        return await self._ask(self.places.web_socket, "GET", f"{self.places.base}versions") > 0

    async def put_routes(self, *, hub_is_there: bool) -> None:
        """Tell a fresh proxy what is where, and have the hub add people's servers.

        These routes lack JupyterHub's mark, so it leaves them alone. Raises `StartFailed`.
        """
        target = {"target": http_unix(self.places.web_socket)}
        for route in ROUTES:
            path = "/api/routes" + quote(f"{self.places.base}{route}")
            status = await self._ask(
                self.places.proxy_socket, "POST", path, "proxy_token", told=target
            )
            if status != HTTPStatus.CREATED:
                raise StartFailed(f"The proxy did not take the route {route} ({status}).")
        if hub_is_there:
            # JupyterHub itself would look only every few minutes.
            path = f"{self.places.base}hub/api/proxy"
            await self._ask(self.places.hub_socket, "POST", path, "supervisor_token")

    async def _ask(
        self, path: Path, method: str, target: str, secret: str = "", told: object = None
    ) -> int:
        """Return the status of the answer of what listens at *path*, or 0 when there is none.

        By hand, as a library for it would take more memory than all of the supervisor.
        """
        body = b"" if told is None else json.dumps(told).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: atoll", "Connection: close"]
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        if secret:
            lines.append(f"Authorization: token {self.places.secret(secret)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(head + body)
                    answer = await reader.read()
                finally:
                    writer.close()
            return int(answer.split(maxsplit=2)[1])
        except (OSError, ValueError, IndexError):  # a TimeoutError is an OSError
            return 0


async def listens(path: Path) -> bool:
    """Say whether somebody takes connections at the socket *path*, which is one for packets."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)  # noqa: FBT003
        return probe.connect_ex(str(path)) == 0
