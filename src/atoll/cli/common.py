"""Common: what several verbs share."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from atoll.app import Atoll, wire
from atoll.engines.local.runner import LocalRunner, Record
from atoll.errors import NotFound
from atoll.people import Person
from atoll.settings import Settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@dataclass(frozen=True, slots=True)
class Laptop:
    """The installation of whoever runs the command, and the engine that it uses."""

    atoll: Atoll
    runner: LocalRunner

    def find(self, name: str) -> Record:
        """Return the running server called *name*, or raise `NotFound`."""
        for record, alive in self.runner.all():
            if alive and record.owner == me().name and name in {record.name, record.handle}:
                return record
        raise NotFound(f"No server called “{name}” is running.", hint="See `atoll list`.")


def laptop(settings: Settings) -> Laptop:
    """Wire the installation for its own user, who may open local folders."""
    installed = wire(settings, trusted=True)
    if not isinstance(installed.runner, LocalRunner):  # pragma: no cover - only one engine so far
        raise TypeError
    return Laptop(installed, installed.runner)


def me() -> Person:
    """Return the person at the terminal."""
    return Person(getpass.getuser(), admin=True)


def show(value: Any, *, as_json: bool, text: Callable[[], None]) -> None:
    """Print *value* as JSON, or call *text* to print it for people."""
    if as_json:
        click.echo(json.dumps(value, indent=2, default=str))
    else:
        text()


def human_size(size: float) -> str:
    """Write a number of bytes for people, in decimal units."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - a decimal prefix
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
