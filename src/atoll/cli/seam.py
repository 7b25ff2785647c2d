"""Seam: a command is done on this machine, or, with `atoll --hub`, on a hub; it is chosen here."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import click

from atoll.client import Hub
from atoll.errors import BadRequest

Deed = Callable[..., Any]


def or_there(there: Deed) -> Callable[[Deed], Deed]:
    """Make of a command what is done here with the settings, and *there* with the hub.

    It takes the place of ``click.pass_obj``; both are called with the same options.
    """

    def decorate(here: Deed) -> Deed:
        def choose(*args: Any, **options: Any) -> Any:
            where = click.get_current_context().obj
            return (there if isinstance(where, Hub) else here)(where, *args, **options)

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
