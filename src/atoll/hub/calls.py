"""Calls: what the supervisor asks its programs, and tells them, over their unix sockets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

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
        return orders == httpx2.codes.OK

    async def hub_answers(self) -> bool:
        """Say whether JupyterHub answers."""
        path = f"{self.places.base}hub/health"
        return await self._ask(self.places.hub_socket, "GET", path) == httpx2.codes.OK

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
                self.places.proxy_socket, "POST", path, "proxy_token", json=target
            )
            if status != httpx2.codes.CREATED:
                raise StartFailed(f"The proxy did not take the route {route} ({status}).")
        if hub_is_there:
            # JupyterHub itself would look only every few minutes.
            path = f"{self.places.base}hub/api/proxy"
            await self._ask(self.places.hub_socket, "POST", path, "supervisor_token")

    async def _ask(
        self, socket: Path, method: str, path: str, secret: str = "", json: Any = None
    ) -> int:
        """Return the status of the answer, or 0 when there is none."""
        headers = {"Authorization": f"token {self.places.secret(secret)}"} if secret else {}
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        async with httpx2.AsyncClient(transport=transport, timeout=20) as client:
            try:
                url = f"http://atoll{path}"
                answer = await client.request(method, url, headers=headers, json=json)
            except httpx2.HTTPError:
                return 0
        return answer.status_code
