"""Persons: what a server is to whose it is: one of so many, in line, and gone when they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from jupyterhub.utils import utcnow
from traitlets import Float, Instance

from atoll.access import Kind, Party
from atoll.errors import AtollError, Busy, StartFailed
from atoll.hub.line import STARTING, line
from atoll.hub.spawner import AtollSpawner, installation, refusal
from atoll.launching.room import party
from atoll.queue import Place, words
from atoll.servers import too_many


class PersonsSpawner(AtollSpawner):
    """Starts a server if its person has room for it, when it is its turn; clears up after a person.

    The desk refuses earlier, before anything is built; but a plan can be started through
    JupyterHub's own pages and API as well, and all of them come here.
    """

    turn_timeout = Float(
        STARTING, min=0, help="Seconds that a start may take when it is its turn."
    ).tag(config=True)
    admitted = False
    place: Place | None = None  # in line, while there is one
    turn = False  # whether it has come
    moved = Instance(asyncio.Event, ())

    async def start(self) -> str:
        """Start it if there is room, when it is its turn; return the URL where it answers."""
        try:
            atoll = await installation(self.wiring).opened()
            most = await atoll.allowances.servers(self.person())
        except AtollError as error:
            raise refusal(error) from error
        taken = [
            one.name
            for one in self.user.spawners.values()
            if one is not self and one.active and (one.admitted or one.handle)
        ]
        if len(taken) >= most:
            raise refusal(too_many(most, taken))
        self.admitted = True  # in the same breath: of many that start at once, the first come in
        try:
            async with line(self.wiring).queue.turn(party(self.user.name), self._move):
                self._begin()
                async with asyncio.timeout(self.turn_timeout):  # others wait for this turn to end
                    url = await super().start()
                line(self.wiring).hear(self)
                return url
        except Busy as error:
            raise refusal(error) from error
        except TimeoutError as error:
            message = f"The server did not start within {words(self.turn_timeout)}."
            raise refusal(StartFailed(message, hint="Try again in a while.")) from error
        finally:
            self.admitted = False
            self._move(None)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Say where in line it is, as long as it is there; then how the start goes."""
        while not (self.turn or self.begun.is_set()):
            moved = self.moved
            if self.place:
                yield {"progress": 10, "message": str(self.place), "waiting": True}
            await moved.wait()
        async for event in super().progress():
            yield event

    def load_state(self, state: dict[str, Any]) -> None:
        """Take it back, and count it if it runs."""
        super().load_state(state)
        line(self.wiring).hear(self)

    def clear_state(self) -> None:
        """Forget it, and count it no more."""
        super().clear_state()
        line(self.wiring).hear(self)

    def _begin(self) -> None:
        if self.place:  # what JupyterHub has noted is when it was asked for, hours ago perhaps
            known = self.orm_spawner
            known.started = known.last_activity = utcnow(with_tz=False)
            self.db.commit()
        self._move(None, turn=True)

    def _move(self, place: Place | None, *, turn: bool = False) -> None:
        """Note where it is now, and wake whoever follows its progress."""
        self.place, self.turn = place, turn
        self.moved.set()
        self.moved = asyncio.Event()

    async def delete_forever(self) -> None:
        """Delete what the server kept, and with the nameless server all that is left.

        That one goes only when its person is deleted. What was prepared, and never started, is
        unknown to JupyterHub, and the next person of that name must not find it.
        """
        await super().delete_forever()
        if not self.name:
            atoll = await installation(self.wiring).opened()
            # JupyterHub finds out only in between that it cannot delete somebody whose server runs.
            active = {one.name for one in self.user.spawners.values() if one.active}
            for name in {*await atoll.store.plans.latest(self.user.name)} - active:
                await atoll.runner.remove(self.user.name, name)
                await atoll.store.plans.forget(self.user.name, name)
                await atoll.store.copies.drop(self.user.name, name)
            if not active:
                await atoll.keeper.forget(self.user.name)
                for part in (atoll.store.rulings, atoll.store.messages):
                    await part.forget(Party(Kind.PERSON, self.user.name))
            await atoll.runner.forget(self.user.name)
