"""Line: the one queue of all who want a server started, since all starts happen in the hub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from atoll.allowances import ends
from atoll.app import Atoll
from atoll.hub.spawner import AtollSpawner, installation
from atoll.launching.room import Room, queue_for
from atoll.people import VISITOR

STARTING = 120.0  # seconds that a start may take when it is its turn


class Line:
    """Who waits, and which servers run; what runs is heard from the spawners themselves."""

    def __init__(self, atoll: Atoll) -> None:
        self.running: set[AtollSpawner] = set()
        self._rules, self._access = atoll.settings.servers, atoll.settings.access
        runs = self.running.__len__
        self.queue = queue_for(Room(self._rules, runs, atoll.runner.memory, self.next_stop))

    def hear(self, spawner: AtollSpawner) -> None:
        """Note whether *spawner*'s server runs, and let in whoever waited for it to stop."""
        if spawner.handle:
            self.running.add(spawner)
        elif spawner in self.running:
            self.running.discard(spawner)
            self.queue.look()

    def next_stop(self) -> float | None:
        """Return in how many seconds the first server is stopped if nobody uses one until then."""
        now = datetime.now(UTC).replace(tzinfo=None)  # as JupyterHub keeps its moments
        ends = (end for one in self.running for end in self._ends(one))
        first = min(ends, default=None)
        return None if first is None else max(0.0, (first - now).total_seconds())

    def _ends(self, spawner: AtollSpawner) -> list[datetime]:
        known, (lifetime, idle) = spawner.orm_spawner, ends(self._rules)
        if spawner.user.name.startswith(VISITOR):
            idle = min(idle or self._access.idle, self._access.idle)
        stops = [(known.last_activity, idle), (known.started, lifetime)]
        return [since + timedelta(seconds=most) for since, most in stops if since and most]


@cache
def line(wiring: Any) -> Line:
    """Return the line of the installation that *wiring* puts together."""
    return Line(installation(wiring).atoll)
