"""Asking for: what the options of `atoll run` ask for, here or on a hub, and what it asks back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import click

from atoll.errors import BadRequest, Cancelled
from atoll.launching.requests import Existing, existing_of
from atoll.launching.wishes import Wishes

HOWS = {
    Existing.LEAVE: "open it as it is",
    Existing.UPDATE: "make it so; it is started anew if need be, and no file of yours is lost",
    Existing.NEW: "make another server beside it",
}


def wishes_of(reference: str, options: dict[str, Any]) -> Wishes:
    """Return what *options* ask for, and, where they do not, *reference* if that is a link.

    Raises `BadRequest` where they contradict one another.
    """
    asked = Wishes.of_link(reference).asked() | wishes_given(options).asked()
    return Wishes(**asked)


def wishes_given(options: dict[str, Any]) -> Wishes:
    """Return what *options* ask for, or raise `BadRequest` where they contradict one another."""
    if options["volumes"] and options["no_volumes"]:
        raise BadRequest("It has volumes, or none.", hint="Give --volume or --no-volumes.")
    if options["temporary"] and options["name"]:
        raise BadRequest("A temporary server has no name to keep.", hint="Give one of the two.")
    return Wishes.read({one.name: _text(options.get(one.name)) for one in fields(Wishes)})


def _text(option: Any) -> str:
    if isinstance(option, tuple):
        return ",".join(option)
    return "yes" if option is True else str(option or "")


def existing_from(options: dict[str, Any]) -> Existing:
    """Return what is to happen to a server that is there and differs, as *options* say it.

    If they do not, whoever sits at a terminal is asked; a script has it opened as it is.
    """
    asks = not options["as_json"] and sys.stdin.isatty()
    return existing_of(options["existing"] or "", Existing.ASK if asks else Existing.LEAVE)


def how_to_go_on(why: str, changes: Iterable[object], files: Iterable[str]) -> Existing:
    """Ask a person how to go on whose server is there already and differs; tell them *why*.

    *changes* are how it differs, and *files* sentences about what an update does to its files.
    Raises `Cancelled` where they go no further.
    """
    click.echo(f"\n{why}", err=True)
    for one in (*changes, *files):
        click.echo(f"  {one}", err=True)
    for how, sentence in HOWS.items():
        click.echo(f"{how:>8}  {sentence}", err=True)
    choice = click.Choice([*map(str, HOWS), "stop"])
    said = click.prompt("What shall be done", type=choice, default="stop", err=True)
    if said == "stop":
        raise Cancelled("Nothing was changed.")
    return Existing(said)
