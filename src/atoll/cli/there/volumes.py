"""`atoll --hub … volumes`: the same deeds with volumes on a hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from atoll.cli.common import show
from atoll.client import Hub, dumped

Deed = Callable[..., None]


def listing(print_rows: Callable[[list[dict[str, Any]]], None]) -> Deed:
    """Return what lists volumes there; *print_rows* is how people see them."""

    def list_volumes(hub: Hub, *, everybodys: bool = False, as_json: bool = False) -> None:
        rows = dumped(hub.volumes(everybodys=everybodys))
        show(rows, as_json=as_json, text=lambda: print_rows(rows))

    return list_volumes


def deed(name: str, said: str, question: str = "") -> Deed:
    """Return what does the deed *name* there with a volume, and says *said* when it is done.

    Both may hold the options in braces. If there is a *question*, it is asked first; of a
    deletion, only where that is for good.
    """

    def do(hub: Hub, volume: str, *, as_json: bool, yes: bool = False, **options: Any) -> None:
        told = {"volume": volume, **options}
        if question and not yes and options.get("now", True):
            click.confirm(question.format(**told), abort=True)
        if "to" in options:
            options["whom"] = options.pop("to")
        sent = {key: value for key, value in options.items() if value not in (None, "")}
        done = hub.volume_deed(name, {"volume": volume, **sent})
        text = said.format(**told, done=done.volume)
        show(dumped(done), as_json=as_json, text=lambda: click.echo(text))

    return do
