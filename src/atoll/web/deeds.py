"""Deeds: what an operator does with what is others', the same by a page, a program or a command.

Each is written down before it is done, and is not done if it cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from atoll.access import HUB, Kind, Party, party
from atoll.acts import ATOLL, short
from atoll.allowances import rulings_from, shown
from atoll.app import Atoll
from atoll.errors import BadRequest, Changed, NotFound, Refused
from atoll.messages import message_from, message_of_operator
from atoll.names import is_slug
from atoll.people import Person
from atoll.web import overview
from atoll.web.hub_api import HubApi, HubUser
from atoll.web.overview import Row


class Note(Protocol):
    """Writes an act of an operator's down, or raises."""

    async def __call__(
        self, deed: str, kind: str, what: str, detail: Mapping[str, str] | None = None
    ) -> None:
        """Write down that the operator did *deed* to *what*, which is of that *kind*."""
        ...


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator called *name* at work; *note* knows by which way they came."""

    atoll: Atoll
    hub: HubApi
    name: str
    note: Note

    async def stop(self, server: str) -> list[str]:
        """Stop PERSON/SERVER, or all of PERSON's; return the names of those that ran.

        Raises `BadRequest`, and `NotFound` for what the hub does not know, or does not run.
        """
        owner, slash, name = server.partition("/")
        if not owner or (slash and not is_slug(name)):
            raise BadRequest("That is no server.", hint="Write PERSON/SERVER, or PERSON.")
        await self.note("stop", "server", server)
        user = await known(self.hub, owner)
        up = [one.name for one in user.servers.values() if not one.stopped or one.pending]
        these = sorted(one for one in up if name in {"", one})
        if name and not these:
            raise NotFound(f"{server} does not run.")
        for one in these:
            await self.hub.stop(owner, one)
        return these

    async def limit(self, whom: Party, sent: Mapping[str, object]) -> list[Row]:
        """Set what *sent* says for *whom*, and return what is set for them then.

        Raises `BadRequest`, and `Changed` where ``was_NAME`` in *sent* is not what is set now.
        """
        rulings = self.atoll.store.rulings
        over = await rulings.of([whom])
        new = rulings_from(whom, sent, self.name, over)
        if new:
            detail = {one.name: shown(one.name, one.value) for one in new}
            await self.note("set limits", _kind(whom), str(whom), detail)
            await rulings.put(new, over)
        return [row for row in await overview.limits(self.atoll) if row["whom"] == str(whom)]

    async def tell(self, whom: str, text: str, *, level: str = "", until: str = "") -> Row:
        """Show *whom* the *text*, as `message_from` reads them; raises `BadRequest`."""
        new = message_from(whom, text, self.name, level=level, until=until)
        detail = {"text": new.text, "level": new.level.value, "until": until}
        to = "everybody" if new.whom == HUB else str(new.whom)
        await self.note("write a message", _kind(new.whom), to, detail)
        return overview.told(await self.atoll.store.messages.add(new))

    async def take_back(self, number: int, at: str = "") -> Row:
        """Show the message *number* to nobody any more; return it as it was.

        *at* is when it was written, as one has seen it: numbers of what is forgotten come again.
        What Atoll itself tells somebody, as that an operator has looked, is nobody's to take back.
        Raises `NotFound`, and `Changed` if it is another.
        """
        messages = self.atoll.store.messages
        rows = await overview.messages(self.atoll)
        live = {row["number"]: row for row in rows if row["by"] != ATOLL}
        if number not in live:
            raise NotFound(f"There is no message {number} to be taken back, or it has ended.")
        if at not in {"", live[number]["at"]}:
            raise Changed(f"Message {number} is another by now.", hint="Look at the list again.")
        await self.note("take a message back", "message", str(number))
        ended = await messages.end(number, datetime.now(UTC))
        if ended is None:
            raise NotFound(f"Message {number} is Atoll's own, or it has just ended.")
        return overview.told(ended)

    async def see_as(self, name: str) -> Person:
        """Return who is called *name*, whom the operator may look as, once they are told of it.

        Raises `Refused` where nobody has switched that on, and as `to_be_seen_as` does.
        """
        if not self.atoll.settings.operator.see_as:
            hint = "[operator] see_as = true in atoll.toml does."
            raise Refused("Nobody has switched on that operators see as others do.", hint=hint)
        person = await to_be_seen_as(self.hub, name)
        await self.note("see as", "person", person.name)
        did = "looked at your pages of Atoll as you see them,"
        rest = "Nothing can be changed in that way."
        told = message_of_operator(self.name, did, person.name, rest)
        await self.atoll.store.messages.add(told)
        return person


async def known(hub: HubApi, name: str) -> HubUser:
    """Return whom *hub* knows by that name, or raise `NotFound`."""
    try:
        return await hub.user(name)
    except NotFound:
        raise NotFound(f"This hub knows nobody called “{short(name, 100)}”.") from None


async def to_be_seen_as(hub: HubApi, name: str) -> Person:
    """Return who is called *name*, as one can be seen as them.

    Raises `BadRequest`, `NotFound` and `Refused`.
    """
    whom = party(name)
    if whom.kind is not Kind.PERSON:
        raise BadRequest("One sees as a person does, not as a group.")
    user = await known(hub, whom.name)
    found = Person(user.name, user.groups)
    if user.admin:
        raise Refused(f"{name} is an operator, too.", hint="Nobody sees as another operator does.")
    if found.visitor:
        raise Refused("Visitors have no pages of their own.")
    return found


def _kind(whom: Party) -> str:
    return "" if whom == HUB else whom.kind.value
