"""Seam: a command is done on this machine, or, with `atoll --hub`, on a hub; it is chosen here."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import click

from atoll.client import Hub, known_hub
from atoll.errors import BadRequest

Deed = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Meant:
    """The hub at *address*, which is looked up once it is known what to ask: help needs none."""

    address: str

    def hub(self) -> Hub:
        """Return it with ``$ATOLL_TOKEN`` if that is set, else with what `atoll sign-in` kept."""
        return known_hub(self.address, checked_token(os.environ.get("ATOLL_TOKEN", "")))


def checked_token(text: str) -> str:
    """Return the token *text*, or raise `BadRequest`, which does not say it, for what is none."""
    if not re.fullmatch(r"[!-~]*", text):
        raise BadRequest("That is no token.", hint="Copy it from the hub's page, and try again.")
    return text


def or_there(there: Deed) -> Callable[[Deed], Deed]:
    """Make of a command what is done here with the settings, and *there* with the hub.

    It takes the place of ``click.pass_obj``; both are called with the same options.
    """

    def decorate(here: Deed) -> Deed:
        def choose(*args: Any, **options: Any) -> Any:
            where = click.get_current_context().obj
            if not isinstance(where, Meant):
                return here(where, *args, **options)
            with contextlib.closing(where.hub()) as hub:
                return there(hub, *args, **options)

        choose.reaches_hubs = True  # type: ignore[attr-defined]
        return update_wrapper(choose, here)

    return decorate


def only_there(there: Deed) -> Deed:
    """Make of *there* a command that is of use on a hub alone, and says so elsewhere."""

    def here(_: object, /, **options: Any) -> None:  # noqa: ARG001 - whatever it is asked
        verb = click.get_current_context().info_name
        raise BadRequest(
            f"`atoll {verb}` is for servers on a hub.",
            hint=f"Name the hub: atoll --hub ADDRESS {verb} …",
        )

    return or_there(there)(update_wrapper(here, there))


def reaches_hubs(command: click.Command | None) -> bool:
    """Say whether *command*, or each of those in it, can be done on a hub."""
    if isinstance(command, click.Group):
        return all(map(reaches_hubs, command.commands.values()))
    return hasattr(getattr(command, "callback", None), "reaches_hubs")
