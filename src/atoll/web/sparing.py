"""Sparing: the last of the disk is for servers that keep files, and not for those that make way.

Else a visitor who writes without end would have the original of their copy save no more.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from atoll.acts import ATOLL, Act, Way, note
from atoll.errors import AtollError
from atoll.people import Person
from atoll.servers import Running, Stop, Why
from atoll.web.now_and_then import now_and_then
from atoll.web.site import Site

LOOK = 1.0  # seconds between two looks at the disk

log = logging.getLogger(__name__)


def sparing(site: Site) -> AbstractAsyncContextManager[None]:
    """See to it for as long as the service runs."""
    return now_and_then("spare the disk", lambda: spare(site), LOOK)


async def spare(site: Site) -> None:
    """End servers that make way where the disk is nearly full; tell the hub, and their people."""
    for one in await site.atoll.runner.make_room():
        try:
            await _tell(site, one)
        except AtollError as error:  # the hub looks by itself, a little later
            log.warning("%s/%s was ended, but not said: %s", one.owner, one.name, error)


async def _tell(site: Site, one: Running) -> None:
    what, why = f"{one.owner}/{one.name}", {"why": "the disk was nearly full"}
    act = Act(ATOLL, "stop", "server", what, what, Way.ITSELF, detail=why)
    await note(site.atoll.store.acts, act)
    if not Person(one.owner).visitor:
        stop = Stop(one.owner, one.name, datetime.now(UTC), Why.ROOM)
        await site.atoll.store.stops.put(stop)
    await site.hub.stop(one.owner, one.name)
