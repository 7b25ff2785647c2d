"""Client: a hub elsewhere, as the commands ask it; with a person's own token, by its HTTP API."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

import atoll
from atoll.client.addresses import SERVICE, hub_address, page_of
from atoll.client.asking import Broken, answered, ask, ask_text, http_of, not_understood
from atoll.client.keeping import kept
from atoll.client.models import (
    Launched,
    Me,
    People,
    Server,
    Shared,
    Started,
    Titled,
    Told,
    Volume,
)
from atoll.client.streams import messages
from atoll.errors import Refused, Unreachable
from atoll.events import Tell

INTERFACE = 1  # of the hubs that this one understands
PAUSES = (1, 1, 2, 4, 8, 15, 30, 30, 30, 30, 60, 60)  # seconds, until we believe that it is gone

Some = TypeVar("Some")


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub at *address*, asked with somebody's token.

    Whatever it is asked raises `Unreachable` where it does not answer, or not as an Atoll would,
    and what it says is wrong as the error of the same name.
    """

    address: str
    http: httpx2.Client = field(repr=False)

    @classmethod
    def at(cls, address: str, token: str) -> Hub:
        """Return the hub at *address*, which `hub_address` returned, for whoever has *token*."""
        return cls(address, http_of(address, token))

    def close(self) -> None:
        """Hang up."""
        self.http.close()

    def page(self, path: str) -> str:
        """Return the address of a page at *path*, as this hub says it; never one elsewhere."""
        return page_of(self.address, path)

    def own_page(self, *words: str) -> str:
        """Return the address of one of Atoll's own pages there."""
        return f"{self.address}{SERVICE}{'/'.join(quote(word, safe='') for word in words)}"

    def me(self) -> Me:
        """Return whose token it is, if the hub is of a version that we understand."""
        me = self.ask(Me, "GET", "me")
        if me.interface != INTERFACE:
            message = f"The hub runs Atoll {me.atoll[:40]}, and this is {atoll.__version__}."
            newer = me.interface > INTERFACE
            hint = "Install the newer one here." if newer else "Ask its operator for a newer one."
            raise Unreachable(message, hint=hint)
        return me

    def launch(self, form: Mapping[str, Any]) -> Launched:
        """Begin a launch of what *form*'s fields say; see ``POST api/launches``."""
        return self.ask(Launched, "POST", "launches", json=dict(form))

    def answer(self, launch: str, how: str) -> Launched:
        """Begin a launch that goes on where *launch* asked, by *how*: update, new or leave."""
        return self.ask(Launched, "POST", f"launches/{_part(launch)}/answer", json={"how": how})

    def follow(self, launch: Launched, tell: Tell) -> Launched:
        """Tell what happens until it is over, and return how it ended.

        A connection that breaks is made anew, and nothing is told twice.
        """
        seen, failures = "", 0
        while True:
            try:
                headers = {"Accept": "text/event-stream", "Last-Event-ID": seen}
                path = f"launches/{_part(launch.id)}/events"
                with answered(self.http, "GET", path, headers=headers) as answer:
                    for message in messages(answer):
                        failures = 0
                        if message.event == "over":
                            return self.read(Launched, message.data)
                        seen = message.id if re.fullmatch(r"[\w.-]{1,100}", message.id) else seen
                        tell(self.read(Told, message.data).event)
                broke = Broken(f"{self.address} tells no more of it.", hint="Look there later.")
            except Broken as error:
                broke = error
            if failures == len(PAUSES):
                raise broke
            time.sleep(PAUSES[failures])
            failures += 1

    def servers(self) -> list[Server]:
        """Return the person's own servers."""
        return self.ask(list[Server], "GET", "servers")

    def shared(self) -> list[Shared]:
        """Return the servers that others let the person into."""
        return self.ask(list[Shared], "GET", "shared")

    def start(self, name: str) -> Started:
        """Start a server of one's own, as it was."""
        return self.ask(Started, "POST", f"servers/{_part(name)}/start", json={})

    def update(self, name: str, *, version: str = "", look: bool = False) -> Launched:
        """Begin a launch of what the repository of a server of one's own is now, or at *version*.

        With *look* nothing is done but to say how it differs.
        """
        sent = {"version": version, "look": look}
        return self.ask(Launched, "POST", f"servers/{_part(name)}/update", json=sent)

    def retitle(self, name: str, title: str) -> Titled:
        """Have a server of one's own called by *title*, or by its name again if that is ""."""
        return self.ask(Titled, "POST", f"servers/{_part(name)}/title", json={"title": title})

    def stop(self, name: str) -> None:
        """Stop a server of one's own."""
        ask(self.http, "POST", f"servers/{_part(name)}/stop", json={})

    def delete(self, name: str) -> None:
        """Delete a stopped server of one's own, and its files."""
        ask(self.http, "POST", f"servers/{_part(name)}/delete", json={})

    def log(self, name: str) -> str:
        """Return what a server of one's own that runs has printed."""
        return ask_text(self.http, f"servers/{_part(name)}/log")

    def people(self, owner: str, name: str) -> People:
        """Return who is let into a server."""
        return self.ask(People, "GET", f"servers/{_part(owner)}/{_part(name)}/people")

    def people_deed(self, owner: str, name: str, deed: str, **sent: str | bool) -> People:
        """Let somebody in or no more, as ``POST api/servers/…/people/DEED`` has it."""
        path = f"servers/{_part(owner)}/{_part(name)}/people/{deed}"
        return self.ask(People, "POST", path, json=sent)

    def volumes(self, *, everybodys: bool = False) -> list[Volume]:
        """Return the volumes that the person has, or may read; everybody's, for operators."""
        query = {"all": ""} if everybodys else {}
        return self.ask(list[Volume], "GET", "volumes", params=query)

    def volume_deed(self, deed: str, sent: Mapping[str, Any]) -> Volume:
        """Do *deed* with a volume, as ``POST api/volumes/DEED`` has it; return it as it is then."""
        return self.ask(Volume, "POST", f"volumes/{deed}", json=dict(sent))

    def ask(self, kind: type[Some], method: str, path: str, **sent: Any) -> Some:
        """Return what the hub answers at *path* of its API, if it has the form of *kind*."""
        return self.read(kind, ask(self.http, method, path, **sent))

    def read(self, kind: type[Some], told: Any) -> Some:
        """Return what the hub has *told*, if it has the form of *kind*."""
        try:
            return TypeAdapter(kind).validate_python(told)
        except ValidationError as error:
            raise not_understood(self.http) from error


def known_hub(text: str, token: str = "") -> Hub:
    """Return the hub that *text* names, for whoever has *token*, or has signed in to it.

    Raises `BadRequest` for what is no hub's address, `Refused` without a token.
    """
    signed_in = {one.address: one for one in kept()}
    anyhow = hub_address(text, plain_http=True)
    known = signed_in.get(anyhow)
    address = hub_address(text, plain_http=known.plain_http if known else False)
    if not token and known is None:
        message = f"You have not signed in to {address}"
        raise Refused(message, hint=f"To do it: atoll sign-in {address}")
    return Hub.at(address, token or (known.token if known else ""))


def dumped(value: BaseModel | list[Any]) -> Any:
    """Return *value* in JSON's own types."""
    return TypeAdapter(Any).dump_python(value, mode="json")


def _part(text: str) -> str:
    """Quote *text* so that it is one part of a path, and goes nowhere else."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if set(quoted) <= {"."} else quoted
