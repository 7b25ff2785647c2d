"""Hub shares: who is let into whose server, as JupyterHub keeps it; we keep no second list.

A share carries JupyterHub's scope that opens the server, and marks of ours for what it is for
(`hub/config.py`). Only direct shares and codes are there; codes expire, shares do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from atoll.access import Kind, Level, Party
from atoll.errors import NotFound
from atoll.people import Person
from atoll.web.hub_api import HubApi
from atoll.web.recent import Recent

MARKS: Mapping[Level, str] = {
    Level.VIEW: "access:servers",
    Level.RUN: "custom:atoll:run",
    Level.MANAGE: "custom:atoll:manage",
}
PAGE = 200  # that JupyterHub tells at once


@dataclass(frozen=True, slots=True)
class Given:
    """That *whom* may do *level* in *server* of *owner*'s; ``url`` is where it opens."""

    owner: str
    server: str
    whom: Party
    level: Level
    since: str = ""
    url: str = ""
    ready: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """A link that lets in whoever opens it, until ``until``. What it says is told only once."""

    id: str
    level: Level
    since: str
    until: str
    used: int = 0


@dataclass(frozen=True, slots=True)
class HubShares:
    """JupyterHub's shares. Every method raises `Unreachable` when the hub does not answer."""

    hub: HubApi
    _recent: Recent[list[Given]] = field(default_factory=Recent)

    async def of(self, owner: str, server: str) -> list[Given]:
        """Return who is let into *server* of *owner*; nobody, if it has never run."""
        return [_given(one) for one in await self._all(f"/shares/{_path(owner, server)}")]

    async def codes(self, owner: str, server: str) -> list[Code]:
        """Return the links to it that are good now."""
        return [_code(one) for one in await self._all(f"/share-codes/{_path(owner, server)}")]

    async def with_person(self, person: Person) -> list[Given]:
        """Return the servers that *person* is let into, also as one of a group; the most first."""
        found: dict[tuple[str, str], Given] = {}
        for one in map(_given, await self._all(f"/users/{quote(person.name, safe='')}/shared")):
            before = found.get((one.owner, one.server))
            if before is None or len(one.level.whole) > len(before.level.whole):
                found[one.owner, one.server] = one
        return list(found.values())

    async def with_person_soon(self, person: Person) -> list[Given]:
        """Return what `with_person` does or, if that takes long, what it said a moment ago."""
        return (await self._recent.get(person.name, lambda: self.with_person(person))).said

    async def level(self, person: Person, owner: str, server: str) -> Level | None:
        """Return what shares let *person* do in *server* of *owner*, if anything."""
        given = await self.of(owner, server)
        return most(one.level for one in given if one.whom.has(person))

    async def give(self, owner: str, server: str, whom: Party, level: Level) -> None:
        """Let *whom* do *level*, no more and no less. Raises `NotFound` if nobody is called so.

        What is too much is taken first: stopped in between, they may do less, not more.
        """
        path, name = _path(owner, server), _whom(whom)
        await self.exists(whom)
        # Only with its filter does JupyterHub find a scope that is to be taken.
        marks = {one: f"{MARKS[one]}!server={owner}/{server}" for one in Level}
        if rest := [marks[one] for one in Level if one not in level.whole]:
            await self._say("PATCH", f"/shares/{path}", {**name, "scopes": rest})
        scopes = [marks[one] for one in level.whole]
        await self._say("POST", f"/shares/{path}", {**name, "scopes": scopes})

    async def take(self, owner: str, server: str, whom: Party) -> None:
        """Let *whom* do nothing there any more."""
        await self._say("PATCH", f"/shares/{_path(owner, server)}", _whom(whom))

    async def leave(self, person: Person, owner: str, server: str) -> None:
        """Give back what *person* was given themselves."""
        url = f"/users/{quote(person.name, safe='')}/shared/{_path(owner, server)}"
        await self.hub.said("give it back", "DELETE", url)

    async def link(self, owner: str, server: str, level: Level, seconds: int) -> str:
        """Return the address, from the hub's path on, that lets in whoever opens it till then."""
        sent = {"scopes": [MARKS[one] for one in level.whole], "expires_in": seconds}
        made = await self._say("POST", f"/share-codes/{_path(owner, server)}", sent)
        return str(made["accept_url"])

    async def unlink(self, owner: str, server: str, code: str) -> None:
        """Have the link *code* (its id) let nobody in any more; who is in stays."""
        url = f"/share-codes/{_path(owner, server)}?id={quote(code, safe='')}"
        await self.hub.said("take the link back", "DELETE", url)

    async def _say(self, method: str, url: str, sent: Mapping[str, Any]) -> Any:
        return await self.hub.said("share the server", method, url, json=dict(sent))

    async def exists(self, whom: Party) -> None:
        """Raise `NotFound` if nobody is called so."""
        kind = "groups" if whom.kind is Kind.GROUP else "users"
        try:
            await self.hub.said("find them", "GET", f"/{kind}/{quote(whom.name, safe='')}")
        except NotFound as error:
            raise NotFound(
                f"Nobody here is called “{whom}”.",
                hint="People are known once they have signed in; to others, send a link.",
            ) from error

    async def _all(self, url: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while True:
            try:
                page = await self.hub.said(
                    "say who is let in", "GET", f"{url}?offset={len(found)}&limit={PAGE}"
                )
            except NotFound:  # it has not run yet, or is gone
                return found
            page = page["items"] if isinstance(page, dict) else page
            found += page
            if len(page) < PAGE:
                return found


def most(levels: Iterable[Level]) -> Level | None:
    """Return the level that allows the most."""
    return max(levels, key=lambda one: len(one.whole), default=None)


def _level(scopes: Iterable[str]) -> Level:
    given = {scope.partition("!")[0] for scope in scopes}
    return most(level for level, mark in MARKS.items() if mark in given) or Level.VIEW


def _given(model: Mapping[str, Any]) -> Given:
    group = model.get("group")
    whom = Party(Kind.GROUP, group["name"]) if group else Party(Kind.PERSON, model["user"]["name"])
    server = model["server"]
    return Given(
        owner=server["user"]["name"],
        server=server["name"],
        whom=whom,
        level=_level(model["scopes"]),
        since=model.get("created_at") or "",
        url=server.get("url") or "",
        ready=bool(server.get("ready")),
    )


def _code(model: Mapping[str, Any]) -> Code:
    return Code(
        id=model["id"],
        level=_level(model["scopes"]),
        since=model["created_at"],
        until=model["expires_at"],
        used=int(model.get("exchange_count") or 0),
    )


def _whom(whom: Party) -> dict[str, str]:
    return {"group" if whom.kind is Kind.GROUP else "user": whom.name}


def _path(owner: str, server: str) -> str:
    return f"{quote(owner, safe='')}/{quote(server, safe='')}"
