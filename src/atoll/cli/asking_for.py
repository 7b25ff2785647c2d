"""Asking for: what the options of `atoll run` ask for, here or on a hub."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from atoll.errors import BadRequest
from atoll.launching.wishes import Wishes


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
