"""`atoll --hub … admin`: a hub elsewhere, as its operator's token has it asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from atoll.acts import Search
from atoll.client import Hub, Some
from atoll.client.models import (
    Allowed,
    Done,
    Limit,
    Message,
    PersonKnown,
    Seen,
    Spent,
    Stopped,
    Used,
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class There:
    """What `atoll.cli.office.Here` is of the hub of this machine; rows are the same."""

    hub: Hub

    @property
    def command(self) -> str:
        """How commands that ask it begin."""
        return f"atoll --hub {self.hub.address}"

    def people(self) -> list[Row]:
        """Return everybody whom the hub knows."""
        return self._rows(PersonKnown, "people")

    def servers(self) -> list[Row]:
        """Return the servers that run."""
        return self._rows(Used, "servers")

    def costs(self, month: str, by: str) -> list[Row]:
        """Return what each person or group (*by*) has cost in *month*."""
        return self._rows(Spent, "costs", month=month, by=by)

    def acts(self, search: Search) -> list[Row]:
        """Return the acts that *search* is true of, the newest first; a hub tells 100 at a time."""
        asked = {
            "who": search.who,
            "what": search.what,
            "since": search.since.isoformat() if search.since else "",
            "after": str(search.after),
        }
        rows: list[Row] = []
        while len(rows) < search.limit:
            before = str(rows[-1]["number"] if rows else search.before)
            more = self._rows(Done, "log", **asked, before=before)
            rows += more
            if not more:
                break
        return rows[: search.limit]

    def stop(self, server: str) -> list[str]:
        """Stop PERSON/SERVER, or all of PERSON's; return the names of those that ran."""
        return self._do(Stopped, "stop", server=server).stopped

    def limits(self) -> list[Row]:
        """Return what is set for whom."""
        return self._rows(Limit, "limits")

    def allowed(self, whom: str) -> list[Row]:
        """Return what a person or a group may have, and why."""
        return self._rows(Allowed, "limits", of=whom)

    def limit(self, whom: str, given: Mapping[str, str]) -> list[Row]:
        """Set what is *given*, by name, for a person or a group; return what is set then."""
        rows = self._do(list[Limit], "limits", whom=whom, **given)
        return [row.model_dump() for row in rows]

    def messages(self) -> list[Row]:
        """Return the messages that are shown now."""
        return self._rows(Message, "messages")

    def tell(self, whom: str, text: str, level: str, until: str) -> Row:
        """Show *whom* the *text*."""
        return self._do(
            Message, "messages", whom=whom, text=text, level=level, until=until
        ).model_dump()

    def take_back(self, number: int) -> Row:
        """Show that message to nobody any more."""
        return self._do(Message, "messages/end", number=number).model_dump()

    def see_as(self, person: str) -> Row:
        """Return what *person* sees, who is told of it."""
        return self._do(Seen, "see-as", person=person).model_dump()

    def _rows(self, kind: type[BaseModel], view: str, **query: str) -> list[Row]:
        rows = self.hub.ask(list[Row], "GET", f"admin/{view}", params=query)
        return [self.hub.read(kind, row).model_dump() for row in rows]

    def _do(self, kind: type[Some], deed: str, **sent: Any) -> Some:
        return self.hub.ask(kind, "POST", f"admin/{deed}", json=sent)
