"""`atoll environments pin` and `unpin`: which environments are never pruned."""

from __future__ import annotations

import asyncio
import re
import shlex
from typing import TypeVar

import click

from atoll.app import opened
from atoll.cli.acts import note_command
from atoll.cli.common import Laptop, laptop
from atoll.cli.progress import Progress
from atoll.cli.run import understood
from atoll.environments import Environment, EnvKey
from atoll.errors import NotFound
from atoll.launching import Clock
from atoll.settings import Settings

KEY = re.compile(r"[0-9a-f]{1,20}")
T = TypeVar("T")

of_date = click.option("--at", default="", metavar="DATE", help="REFERENCE as of DATE or 'today'.")


@click.command("pin")
@click.argument("environment", metavar="KEY|REFERENCE")
@of_date
@click.pass_obj
def pin(settings: Settings, environment: str, at: str) -> None:
    """Never prune the environment KEY (its first letters are enough), or that of REFERENCE."""
    key = asyncio.run(_pin(laptop(settings), environment, at, pinned=True))
    click.echo(f"{key} is pinned: it is not pruned until you unpin it.")


@click.command("unpin")
@click.argument("environment", metavar="KEY|REFERENCE")
@of_date
@click.pass_obj
def unpin(settings: Settings, environment: str, at: str) -> None:
    """Let a pinned environment be pruned again."""
    key = asyncio.run(_pin(laptop(settings), environment, at, pinned=False))
    click.echo(f"{key} is not pinned any more.")


def only(found: list[T], key: str) -> T:
    """Return the one environment that was *found* for *key*, or raise `NotFound`."""
    if len(found) != 1:
        many = "There are several environments" if found else "There is no environment"
        raise NotFound(f"{many} whose key begins with {key}.", hint="atoll environments list")
    return found[0]


async def _pin(machine: Laptop, text: str, at: str, *, pinned: bool) -> EnvKey:
    async with opened(machine.atoll):
        shelf = machine.atoll.store.shelf
        if KEY.fullmatch(text):
            shelved = [one.environment for one in await shelf.all()]
            found = only([one for one in shelved if one.key.startswith(text)], text)
        else:
            found = await _referred(machine, text, at)
        await shelf.pin(found.key, found.engine, pinned=pinned)
        deed = "pin" if pinned else "unpin"
        await note_command(machine.atoll.store.acts, deed, "environment", found.key)
    return found.key


async def _referred(machine: Laptop, reference: str, at: str) -> Environment:
    """Return the environment that *reference* is launched in, or raise `NotFound`."""
    launcher = machine.atoll.launcher
    target = understood(reference)
    with Progress() as progress:
        repo = target.environment or target.repo
        checkout = await launcher.check_out(repo, progress.tell, Clock())
    if known := await launcher.find(launcher.read(checkout, at), checkout):
        return known
    command = ["atoll", "build", reference, *(["--at", at] if at else [])]
    message = f"The environment of {reference} is not there."
    raise NotFound(message, hint=f"First: {shlex.join(command)}")
