"""Common: what several verbs share."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shlex
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from atoll.app import Atoll, opened, wire
from atoll.engines.local.records import Record
from atoll.engines.local.runner import LocalRunner
from atoll.engines.local.volumes import kept_home
from atoll.errors import Cancelled, NotFound
from atoll.names import default_name
from atoll.people import Person
from atoll.quantities import parse_size
from atoll.settings import Settings
from atoll.sources.parsing import parse

INTERRUPTED = 130  # the exit code after Ctrl-C, as shells have it

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # without all of these there is no browser


class Interrupted(Cancelled):
    """A signal ended it before it had done what was asked."""

    exit_code = INTERRUPTED


@dataclass(frozen=True, slots=True)
class Laptop:
    """The installation of whoever runs the command, and the engine that it uses."""

    atoll: Atoll
    runner: LocalRunner

    def running(self, name: str) -> Record | None:
        """Return the running server called *name*, if there is one."""
        for record, alive in self.runner.records.all():
            if alive and record.owner == me().name and name in {record.name, record.handle}:
                return record
        return None

    def find(self, name: str) -> Record:
        """Return the running server called *name*, or raise `NotFound`."""
        if record := self.running(name):
            return record
        raise asyncio.run(self._why_not(name))

    async def _why_not(self, name: str) -> NotFound:
        async with opened(self.atoll):
            kept, _ = (await self.atoll.store.plans.latest(me().name)).get(name, (None, None))
        if kept is None or kept.content.temporary:
            return NotFound(f"No server called “{name}” is running.", hint="See `atoll list`.")
        command = command_of(kept.reference, name)
        return NotFound(f"“{name}” is stopped.", hint=f"To start it: {command}")

    def home(self, record: Record) -> Path:
        """Return where the files of a server are."""
        if record.temporary:
            return self.atoll.settings.data / "servers" / record.handle / "home"
        return kept_home(self.atoll.settings, record.owner, record.name)


def laptop(settings: Settings) -> Laptop:
    """Wire the installation for its own user, who may open local folders."""
    installed = wire(settings, trusted=True)
    if not isinstance(installed.runner, LocalRunner):  # pragma: no cover - only one engine so far
        raise TypeError
    return Laptop(installed, installed.runner)


def me() -> Person:
    """Return the person at the terminal."""
    return Person(getpass.getuser(), admin=True)


def command_of(reference: str, name: str) -> str:
    """Return the command that starts the server *name* of *reference* again."""
    words = ["atoll", "run", reference]
    if name != default_name(parse(reference).repo.locator):
        words += ["--name", name]
    return shlex.join(words)


def show(value: Any, *, as_json: bool, text: Callable[[], None]) -> None:
    """Print *value* as JSON, or call *text* to print it for people."""
    if as_json:
        click.echo(json.dumps(value, indent=2, default=str))
    else:
        text()


def browse(url: str) -> None:
    """Open *url* in a browser, or say that there is none; never one that takes the terminal."""
    if not any(map(os.environ.get, DISPLAYS)) or not webbrowser.open(url):
        click.echo("No browser was found here; open that address in yours.", err=True)


def a_size(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Return the bytes that an option means by *text* (“20G”): a click callback."""
    try:
        return parse_size(text) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def print_table(table: Table) -> None:
    """Print *table*, as wide as a terminal allows; into a pipe or a file with nothing cut."""
    Console(width=None if sys.stdout.isatty() else 1000).print(table)


def human_size(size: float) -> str:
    """Write a number of bytes for people, in decimal units."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - a decimal prefix
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
