"""Persons: what a server is to whose it is: one of so many, and gone when they are."""

from __future__ import annotations

from traitlets import Integer

from atoll.hub.spawner import AtollSpawner, installation, refusal
from atoll.servers import too_many


class PersonsSpawner(AtollSpawner):
    """Starts a server if its person has room for it, and clears up after a person.

    The desk refuses earlier, before anything is built; but a plan can be started through
    JupyterHub's own pages and API as well, and all of them come here.
    """

    per_person = Integer(10, min=1, help="Servers of one person at once.").tag(config=True)
    admitted = False

    async def start(self) -> str:
        """Start it if there is room, and return the URL where the server answers."""
        taken = [
            one.name
            for one in self.user.spawners.values()
            if one is not self and one.active and (one.admitted or one.handle)
        ]
        if len(taken) >= self.per_person:
            raise refusal(too_many(self.per_person, taken))
        self.admitted = True  # in the same breath: of many that start at once, the first come in
        try:
            return await super().start()
        finally:
            self.admitted = False

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
            await atoll.runner.forget(self.user.name)
