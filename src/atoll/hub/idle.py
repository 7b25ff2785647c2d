"""Idle: when JupyterHub's own idle culler, a service of the hub's, stops servers, and which.

Beyond what JupyterHub knows (requests, websockets, what a server reports), a kernel that computes
counts: a long computation whose page is closed says nothing for hours.
"""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from atoll.errors import AtollError
from atoll.hub.places import Places
from atoll.servers import Stop, Stops, Why
from atoll.settings import Settings

CULLER = "atoll-idle"  # the name by which JupyterHub knows it
SCOPES = [
    "list:users",
    "read:users:activity",
    "read:servers",
    "delete:servers",
    "access:servers",  # to ask what its kernels do
]
CONFIG = Path(__file__).with_name("idle_culler_config.py")
RARELY = 300  # seconds between two looks at who was active, JupyterHub's own
NEVER = 10**9  # seconds
PATIENCE = 10.0  # seconds that a server may take to say what its kernels do

log = logging.getLogger(__name__)


def pause(settings: Settings) -> int:
    """Return how many seconds may pass between two looks, or 0 if nothing is to be stopped.

    They are a small part of the time that may pass without use, so that none comes much too late
    and nobody's last use is overlooked.
    """
    limits = [one for one in (settings.servers.idle, settings.servers.max_age) if one]
    return max(1, min(RARELY, int(min(limits) / 5))) if limits else 0


def service(settings: Settings, places: Places) -> dict[str, Any]:
    """Return the culler as one of JupyterHub's services.

    It asks the hub through the proxy, as it knows no unix sockets.
    """
    rules = settings.servers
    return {
        "name": CULLER,
        "api_token": places.secret("idle_token"),
        "display": False,
        "environment": {"ATOLL_CONFIG": str(places.settings)},
        "command": [
            *(sys.executable, "-P", "-m", "jupyterhub_idle_culler"),
            f"--config={CONFIG}",
            f"--url={places.url}hub/api",
            f"--cull-every={pause(settings)}",
            f"--timeout={math.ceil(rules.idle) or NEVER}",
            f"--max-age={math.ceil(rules.max_age)}",
        ],
    }


class Ask(Protocol):
    """Says what the kernels of a server do: the answer to ``api/kernels``."""

    async def __call__(self, path: str) -> Any:
        """Return what is at *path* of the hub's host, or raise `httpx2.HTTPError`, `ValueError`."""
        ...


@dataclass(frozen=True, slots=True)
class Arbiter:
    """Decides, as the culler's ``cull_arbiter_hook``, and remembers why.

    ``max_age`` is in seconds, 0 if servers may get as old as they like.
    """

    ask: Ask
    stops: Stops
    max_age: float

    async def __call__(
        self, *, inactive: timedelta | None, inactive_limit: float, server: dict[str, Any]
    ) -> bool:
        """Say whether *server*, JupyterHub's model of it, is to be stopped now."""
        now = datetime.now(UTC)
        why = await self._why(now, inactive, inactive_limit, server)
        if why is None:
            return False
        owner, _, name = server["full_name"].rpartition("/")
        try:
            await self.stops.put(Stop(owner, name, now, why))
        except AtollError as error:
            log.warning("why %s was stopped could not be kept: %s", server["full_name"], error)
        return True

    async def _why(
        self, now: datetime, inactive: timedelta | None, limit: float, server: dict[str, Any]
    ) -> Why | None:
        if self.max_age and _seconds(server.get("started"), now) >= self.max_age:
            return Why.AGE
        unused = inactive is not None and inactive.total_seconds() >= limit
        return Why.IDLE if unused and not await self._computes(server) else None

    async def _computes(self, server: dict[str, Any]) -> bool:
        """Ask it; one that does not answer, or not as Jupyter does, is not in use."""
        path = urljoin(urlsplit(server["url"]).path, "api/kernels?no_track_activity=1")
        try:
            kernels = await self.ask(path)
        except (httpx2.HTTPError, ValueError):
            return False
        found = kernels if isinstance(kernels, list) else []
        return any(isinstance(one, dict) and one.get("execution_state") == "busy" for one in found)


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks servers through the proxy at *url*, with the culler's token."""

    url: str
    token: str = field(repr=False)

    async def __call__(self, path: str) -> Any:
        """Return the JSON at *path*."""
        headers = {"Authorization": f"token {self.token}"}
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            answer = await client.get(urljoin(self.url, path), headers=headers)
        answer.raise_for_status()
        return answer.json()


def _seconds(since: str | None, now: datetime) -> float:
    if not since:
        return 0
    then = datetime.fromisoformat(since)
    return (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()
