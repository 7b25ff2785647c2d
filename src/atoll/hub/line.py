"""Line: the one queue of all who want a server started, since all starts happen in the hub."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from atoll.errors import AtollError
from atoll.hub.spawner import AtollSpawner, Installation, installation
from atoll.launching.room import Room, own_ends, queue_for
from atoll.people import VISITOR

STARTING = 120.0  # seconds that a start may take when it is its turn
BELIEVED = 60.0  # seconds for which it is believed when servers are stopped: people change that

log = logging.getLogger(__name__)


class Line:
    """Who waits, and which servers run; what runs is heard from the spawners themselves.

    When each of them is stopped is looked up only as long as somebody waits for that.
    """

    def __init__(self, here: Installation) -> None:
        self.running: set[AtollSpawner] = set()
        self._here, settings = here, here.atoll.settings
        self._access = settings.access
        room = Room(
            settings.servers, self.running.__len__, here.atoll.runner.memory, self.next_stop
        )
        self.queue = queue_for(room)
        self._known: dict[AtollSpawner, tuple[float, float]] = {}
        self._looked = -math.inf
        self._looking: asyncio.Task[None] | None = None

    def hear(self, spawner: AtollSpawner) -> None:
        """Note whether *spawner*'s server runs, and let in whoever waited for it to stop."""
        if spawner.handle:
            if spawner not in self.running:
                self._looked = -math.inf
            self.running.add(spawner)
        elif spawner in self.running:
            self.running.discard(spawner)
            self._known.pop(spawner, None)
            self.queue.look()

    def next_stop(self) -> float | None:
        """Return in how many seconds the first server is stopped if nobody uses one until then.

        ``None`` is never, or not known yet.
        """
        if time.monotonic() - self._looked > BELIEVED:
            self._looked = time.monotonic()
            self._looking = asyncio.create_task(self._look(), name="when servers are stopped")
        now = datetime.now(UTC).replace(tzinfo=None)  # as JupyterHub keeps its moments
        ends = (end for one in self.running for end in self._ends(one))
        first = min(ends, default=None)
        return None if first is None else max(0.0, (first - now).total_seconds())

    async def _look(self) -> None:
        """Look up when each server that runs is to be stopped."""
        try:
            atoll = await self._here.opened()
            for one in list(self.running):
                whose = (one.user.name, one.name, one.person())
                found = await own_ends(atoll.allowances, atoll.store.plans, *whose)
                if one in self.running:
                    self._known[one] = found
        except AtollError as error:
            log.warning("when servers are stopped could not be looked up: %s", error)

    def _ends(self, spawner: AtollSpawner) -> list[datetime]:
        known, (lifetime, idle) = spawner.orm_spawner, self._known.get(spawner, (0.0, 0.0))
        if spawner.user.name.startswith(VISITOR):
            idle = min(idle or self._access.idle, self._access.idle)
        stops = [(known.last_activity, idle), (known.started, lifetime)]
        return [since + timedelta(seconds=most) for since, most in stops if since and most]


@cache
def line(wiring: Any) -> Line:
    """Return the line of the installation that *wiring* puts together."""
    return Line(installation(wiring))
