"""Culler: JupyterHub's own idle culler, as a task of the service: it stops servers, and says which.

Beyond what JupyterHub knows (requests, websockets, what a server reports), a kernel that computes
counts: a long computation whose page is closed says nothing for hours. And each server has ends of
its own: what its person asked for, within what they may have.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from atoll.acts import ATOLL, Act, Acts, Way, note
from atoll.allowances import Allowances
from atoll.errors import AtollError
from atoll.launching.room import own_ends
from atoll.people import Person
from atoll.servers import Plans, Stop, Stops, Why
from atoll.web.now_and_then import now_and_then

People = Callable[[], Awaitable[Mapping[str, Person]]]

NEVER = 10**9  # seconds
PATIENCE = 10.0  # seconds that a server may take to say what its kernels do

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Culler:
    """Stops what *allowances* and *plans* say, asking the hub behind *url* with *token*.

    *people* tells of everybody in which groups they are now.
    """

    url: str
    token: str = field(repr=False)
    people: People
    allowances: Allowances
    plans: Plans
    stops: Stops
    acts: Acts | None = None

    @classmethod
    def from_environment(
        cls,
        people: People,
        allowances: Allowances,
        plans: Plans,
        stops: Stops,
        acts: Acts | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Culler:
        """Read the variables that the supervisor sets.

        They name the proxy, since the idle culler knows no unix sockets.
        """
        where = (environ["ATOLL_PROXY_URL"], environ["ATOLL_IDLE_TOKEN"])
        return cls(*where, people, allowances, plans, stops, acts)

    def culling(self) -> AbstractAsyncContextManager[None]:
        """Look now and then for as long as the service runs; whatever breaks a look is usual."""
        pause = self.allowances.settings.pause
        return now_and_then("stop idle servers", self.look, pause, wait=pause, usual=Exception)

    async def look(self) -> None:
        """Stop what is to be stopped now."""
        if not (await self.allowances.any_ends() or await self.plans.any_ends()):
            return
        from jupyterhub_idle_culler import cull_idle  # it brings a web client along: not at rest

        asking, now = Asking(self.url, self.token), await self.people()
        await cull_idle(
            url=urljoin(self.url, "hub/api"),
            api_token=self.token,
            inactive_limit=NEVER,  # the arbiter knows when
            logger=log,
            cull_arbiter=Arbiter(asking, self.stops, partial(self.ends, now), self.acts),
        )

    async def ends(self, now: Mapping[str, Person], owner: str, name: str) -> tuple[float, float]:
        """Return after how many seconds of life, and of no use, a server is stopped; 0: never."""
        return await own_ends(self.allowances, self.plans, owner, name, now.get(owner))


class Ask(Protocol):
    """Says what the kernels of a server do: the answer to ``api/kernels``."""

    async def __call__(self, path: str) -> Any:
        """Return what is at *path* of the hub's host, or raise `httpx2.HTTPError`, `ValueError`."""
        ...


@dataclass(frozen=True, slots=True)
class Arbiter:
    """Decides, as the culler's ``cull_arbiter_hook``, and remembers why.

    ``ends`` says of a person's server after how many seconds of life, and of no use, it is stopped;
    0 is never.
    """

    ask: Ask
    stops: Stops
    ends: Callable[[str, str], Awaitable[tuple[float, float]]]
    acts: Acts | None = None

    async def __call__(
        self,
        *,
        inactive: timedelta | None,
        inactive_limit: float,  # noqa: ARG002 - each server has its own
        server: dict[str, Any],
    ) -> bool:
        """Say whether *server*, JupyterHub's model of it, is to be stopped now."""
        now = datetime.now(UTC)
        owner, _, name = server["full_name"].rpartition("/")
        why = await self._why(now, inactive, await self.ends(owner, name), server)
        if why is None:
            return False
        try:
            await self.stops.put(Stop(owner, name, now, why))
        except AtollError as error:
            log.warning("why %s was stopped could not be kept: %s", server["full_name"], error)
        if self.acts:
            full = server["full_name"]
            act = Act(ATOLL, "stop", "server", full, full, Way.ITSELF, detail={"why": why.value})
            await note(self.acts, act)
        return True

    async def _why(
        self,
        now: datetime,
        inactive: timedelta | None,
        ends: tuple[float, float],
        server: dict[str, Any],
    ) -> Why | None:
        lifetime, idle = ends
        if lifetime and _seconds(server.get("started"), now) >= lifetime:
            return Why.AGE
        unused = idle and inactive is not None and inactive.total_seconds() >= idle
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
