"""Room: how many more servers may be started now, and the queue of those who wait for one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from atoll.allowances import Allowances, ends
from atoll.people import VISITOR, Person
from atoll.queue import Bound, Queue, about
from atoll.servers import Memory, Plans
from atoll.settings.sections import ServerSettings

LEAST = 64 * 1024**2  # bytes; a server takes a third of it when it has just started, and grows


@dataclass(frozen=True, slots=True)
class Room:
    """What bounds the starts of servers, beyond what is starting already.

    ``running`` says how many run, ``memory`` what there is of it, and ``next_stop`` in how many
    seconds the next one is stopped if nobody uses it until then, ``None`` if none is.
    """

    rules: ServerSettings
    running: Callable[[], int]
    memory: Callable[[], Memory]
    next_stop: Callable[[], float | None] = lambda: None

    def bounds(self, starting: int) -> list[Bound]:
        """Return what limits the next starts, while *starting* servers are being started."""
        found = []
        if most := self.rules.at_once:
            left = most - self.running() - starting
            what = f"No more than {most} server{'s' * (most > 1)} may run here at once"
            found.append(Bound(left, self._why(left, what)))
        if keep := int(self.rules.memory_free):
            memory = self.memory()
            # Those that are starting have not taken theirs yet, or not all.
            each = int(self.rules.memory_expected) or max(LEAST, memory.each)
            left = (memory.free - keep) // each - starting
            what = "This machine's memory is not enough for more servers"
            found.append(Bound(left, self._why(left, what)))
        return found

    def _why(self, left: int, what: str) -> str:
        said = f"{what}; you go on when somebody's server stops."
        if left > 0:  # for those in front; who comes after them will hear more when it is so far
            return said
        seconds = self.next_stop()
        if seconds is None:
            return f"{said} We cannot say when that is."
        return f"{said} The next one that nobody uses is stopped in {about(seconds)}."


async def own_ends(
    allowances: Allowances, plans: Plans, owner: str, name: str, person: Person | None = None
) -> tuple[float, float]:
    """Return after how many seconds of life, and of no use, a server is stopped; 0 is never.

    Its person's word counts, within what they may have now. *person* is *owner* with the groups
    that they are in now; in a plan are those of when it was made.
    """
    plan = await plans.newest(owner, name)
    rules = await allowances.of(person or (plan.owner if plan else None))
    return ends(rules, plan.ends.lifetime, plan.ends.idle) if plan else ends(rules)


def queue_for(room: Room) -> Queue:
    """Return the queue of those who want a server started where there is *room*."""
    rules = room.rules
    width = rules.starting or 2 * len(os.sched_getaffinity(0))
    return Queue(width, room.bounds, patience=rules.wait)


def party(name: str) -> str:
    """Return who shares a turn with the person *name*: visitors from one address are one."""
    return name.rpartition("-")[0] if name.startswith(VISITOR) else name
