"""Office: the hub of this machine, as `atoll admin` asks it, in its own data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from atoll.access import party
from atoll.acts import Search
from atoll.app import Atoll, opened, wire
from atoll.cli.acts import note_command
from atoll.cli.common import me
from atoll.hub.places import find_places
from atoll.settings import Settings
from atoll.web import overview
from atoll.web.deeds import Operator
from atoll.web.hub_api import HubApi, hub_client
from atoll.web.overview import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Here:
    """What `atoll.cli.there.office.There` is of a hub elsewhere, with *settings* of this one.

    Raises what the deeds raise; `Unreachable` where JupyterHub is needed and does not run.
    """

    settings: Settings

    @property
    def command(self) -> str:
        """How commands that ask it begin."""
        return "atoll"

    def people(self) -> list[Row]:
        """Return everybody whom the hub knows."""
        return self._at_work(lambda boss: overview.people(boss.atoll, boss.hub))

    def servers(self) -> list[Row]:
        """Return the servers that run."""
        return self._look(overview.servers)

    def costs(self, month: str, by: str) -> list[Row]:
        """Return what each person or group (*by*) has cost in *month*."""
        return self._look(lambda atoll: overview.costs(atoll, month, by))

    def acts(self, search: Search) -> list[Row]:
        """Return the acts that *search* is true of, the newest first."""
        return self._look(lambda atoll: overview.acts(atoll, search))

    def stop(self, server: str) -> list[str]:
        """Stop PERSON/SERVER, or all of PERSON's; return the names of those that ran."""
        return self._at_work(lambda boss: boss.stop(server))

    def limits(self) -> list[Row]:
        """Return what is set for whom."""
        return self._look(overview.limits)

    def allowed(self, whom: str) -> list[Row]:
        """Return what a person or a group may have, and why."""
        return self._at_work(lambda boss: overview.allowed(boss.atoll, boss.hub, party(whom)))

    def limit(self, whom: str, given: Mapping[str, str]) -> list[Row]:
        """Set what is *given*, by name, for a person or a group; return what is set then."""
        return self._at_work(lambda boss: boss.limit(party(whom), given))

    def messages(self) -> list[Row]:
        """Return the messages that are shown now."""
        return self._look(overview.messages)

    def tell(self, whom: str, text: str, level: str, until: str) -> Row:
        """Show *whom* the *text*."""
        return self._at_work(lambda boss: boss.tell(whom, text, level=level, until=until))

    def take_back(self, number: int) -> Row:
        """Show that message to nobody any more."""
        return self._at_work(lambda boss: boss.take_back(number))

    def see_as(self, person: str) -> Row:
        """Return what *person* sees, who is told of it."""
        from atoll.web.app import make_site  # all pages come along
        from atoll.web.see_as import seen_by
        from atoll.web.site import Place

        places = find_places(self.settings)

        async def look(boss: Operator) -> Row:
            site = make_site(boss.atoll, boss.hub, Place(places.base, places.prefix))
            return await seen_by(site, await boss.see_as(person))

        return self._at_work(look)

    def _look(self, view: Callable[[Atoll], Awaitable[T]]) -> T:
        async def do() -> T:
            async with opened(wire(self.settings, trusted=True)) as atoll:
                return await view(atoll)

        return asyncio.run(do())

    def _at_work(self, deed: Callable[[Operator], Awaitable[T]]) -> T:
        """Do it with JupyterHub's API, as Atoll's service, whose secret is in the data folder."""

        async def do(atoll: Atoll) -> T:
            places = find_places(self.settings)

            async def note(
                deed: str, kind: str, what: str, detail: Mapping[str, str] | None = None
            ) -> None:
                await note_command(atoll.store.acts, deed, kind, what, detail, must=True)

            async with hub_client(places.hub_api, places.secret("service_token")) as http:
                return await deed(Operator(atoll, HubApi(http), me().name, note))

        return self._look(do)
