"""Visitors: people who have not signed in, and the limits that keep room for everybody.

A visitor is an ordinary JupyterHub user with a name nobody guesses; its servers are temporary.
The name begins with a mark of the address it came from, so that the hub's own list of users is
all the book-keeping there is, and a restart forgets nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from atoll.acts import ATOLL, Act, Acts, Way, note
from atoll.errors import AtollError, Busy
from atoll.launching import LaunchRequest
from atoll.launching.desk import Desk, Launch
from atoll.people import VISITOR, Person
from atoll.servers import Plans, Runner
from atoll.settings.sections import AccessSettings
from atoll.web.hub_api import HubApi, HubServer, HubUser
from atoll.web.now_and_then import now_and_then

SWEEP = 60.0  # seconds between two looks at who has gone
YOUNG = 300.0  # seconds for which a visitor without a server is left alone

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Visitors:
    """Lets visitors in, within the operator's limits, and clears up after them."""

    hub: HubApi
    desk: Desk
    plans: Plans
    runner: Runner
    rules: AccessSettings
    secret: str
    launching: dict[str, str] = field(default_factory=dict)  # launch id -> visitor's name
    acts: Acts | None = None
    _up: list[str] | None = None  # whose servers run, a name for each
    _door: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(
        self, request: LaunchRequest, address: str, name: str, facts: Mapping[str, str]
    ) -> Launch:
        """Begin *request* for the visitor *name* (made here if "") at *address*.

        Raises `Busy` when that address, or all visitors together, have as many as they may.
        """
        mark = self._mark(address)
        async with self._door:
            await self._check_limits(mark)
            if name:
                await self._ensure(name)
            else:
                name = f"{VISITOR}{mark}-{secrets.token_hex(6)}"
                await self.hub.add_user(name)
            asked = _as_visitor(request, name)
            launch = await self.desk.open(asked, facts)
            self._watch_over(launch)
        return launch

    def _watch_over(self, launch: Launch) -> None:
        self.launching[launch.id] = launch.request.person.name
        watcher = asyncio.create_task(self._watch(launch), name=f"visitor {launch.id}")
        watcher.add_done_callback(_note)

    async def _watch(self, launch: Launch) -> None:
        """Count *launch* until it is over; whoever got nothing out of it is forgotten at once."""
        got = False
        try:
            async for _, event in self.desk.story(launch).follow():
                got = event.phase == "ready"
        finally:
            name = self.launching.pop(launch.id)
            if self._up is not None:
                self._up.append(name)  # it may have come up
        if got:
            return
        async with self._door:
            if name not in self.launching.values() and not (await self.hub.user(name)).servers:
                await self.hub.remove_user(name)

    async def _check_limits(self, mark: str) -> None:
        """Raise `Busy` when there is no room.

        Who has a server is remembered, as asking the hub about everybody takes long when it
        matters most. What is remembered may be too much, never too little: servers come up by
        our launches only. So before anybody is refused the hub is asked.
        """
        if self._up is None or self._full(mark):
            await self._recount()
        counts = self._counts()
        if counts[mark] >= self.rules.per_address:
            raise Busy(
                f"{counts[mark]} anonymous servers are running from your address already.",
                hint="Close one, wait until an unused one is stopped, or sign in.",
            )
        if counts.total() >= self.rules.total:
            raise Busy(
                "All anonymous servers are in use.", hint="Try again in a few minutes, or sign in."
            )

    def _counts(self) -> Counter[str]:
        return Counter(map(_mark_of, [*(self._up or ()), *self.launching.values()]))

    def _full(self, mark: str) -> bool:
        counts = self._counts()
        return counts[mark] >= self.rules.per_address or counts.total() >= self.rules.total

    async def _recount(self) -> None:
        self._up = [
            user.name
            for user in await self.hub.users(VISITOR)
            for one in user.servers.values()
            if not one.stopped and one.pending != "spawn"
        ]

    async def _ensure(self, name: str) -> None:
        try:
            await self.hub.user(name)
        except AtollError:
            await self.hub.add_user(name)

    def _mark(self, address: str) -> str:
        """Return a mark of *address* that tells nobody which address it is."""
        network = _network(address)
        return hmac.new(self.secret.encode(), network.encode(), hashlib.sha256).hexdigest()[:8]

    @contextlib.asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """Clear up every minute for as long as the service runs.

        Launches that a restart had interrupted count as before, once the desk has taken them up.
        """
        for launch in await self.desk.launches.unfinished():
            if launch.request.person.visitor:
                self._watch_over(launch)
        async with now_and_then(
            "clear up after visitors", lambda: self.sweep(datetime.now(UTC)), SWEEP
        ):
            yield

    async def sweep(self, now: datetime) -> None:
        """Stop what has not been used for long, and forget visitors who have nothing left."""
        async with self._door:  # between making a visitor and that visitor's launch nobody looks
            launching = self._launching()
            users = await self.hub.users(VISITOR)
        for user in users:
            # What the hub has said of these may be old: a server of theirs has just come up.
            if user.name in launching | self._launching():
                continue
            try:
                await self._sweep_one(user, now)
            except AtollError as error:  # one visitor's trouble is not everybody's
                log.warning("could not clear up after %s: %s", user.name, error)

    def _launching(self) -> set[str]:
        """Return who launches something, also if that began before the service was restarted."""
        return {*self.launching.values(), *self.desk.people()}

    async def _sweep_one(self, user: HubUser, now: datetime) -> None:
        for server in user.servers.values():
            unused = _seconds_since(server.last_activity or server.started, now)
            if not server.pending and (server.stopped or unused > self.rules.idle):
                await self._clear(user, server)
        busy = any(one.pending or not one.stopped for one in user.servers.values())
        if not busy and _seconds_since(user.last_activity, now) > YOUNG:
            await self.hub.remove_user(user.name)

    async def _clear(self, user: HubUser, server: HubServer) -> None:
        await self.hub.stop(user.name, server.name, remove=True)
        await self.plans.forget(user.name, server.name)
        await self.runner.remove(user.name, server.name)
        if self.acts:
            what = f"{user.name}/{server.name}"
            await note(self.acts, Act(ATOLL, "delete", "server", what, what, Way.ITSELF))


def _note(watcher: asyncio.Task[None]) -> None:
    if not watcher.cancelled() and (error := watcher.exception()):
        log.warning("could not clear up after a visitor: %s", error)


def _as_visitor(request: LaunchRequest, name: str) -> LaunchRequest:
    return replace(request, person=Person(name), temporary=True)


def _mark_of(name: str) -> str:
    return name.removeprefix(VISITOR).partition("-")[0]


def _network(address: str) -> str:
    """Return who shares *address*: itself, or, in IPv6, the /64 that one household has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found  # how a socket for both names IPv4
    if found.version == 4:  # noqa: PLR2004
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _seconds_since(text: str, now: datetime) -> float:
    if not text:
        return float("inf")
    then = datetime.fromisoformat(text)
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return (now - then).total_seconds()
