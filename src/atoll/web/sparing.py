"""Sparing: the last of the disk is for servers that keep files, and not for those that make way.

Else a visitor who writes without end would have the original of their copy save no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from atoll.acts import ATOLL, Act, Way, note
from atoll.errors import AtollError
from atoll.people import Person
from atoll.servers import Running, Stop, Why
from atoll.web.site import Site

LOOK = 1.0  # seconds between two looks at the disk

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def sparing(site: Site) -> AsyncIterator[None]:
    """See to it for as long as the service runs."""
    task = asyncio.create_task(_spare_for_ever(site), name="spare the disk")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _spare_for_ever(site: Site) -> None:
    while True:
        try:
            await spare(site)
        except Exception:
            log.exception("servers that make way could not be ended")
        await asyncio.sleep(LOOK)


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
