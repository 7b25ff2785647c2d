"""`atoll build`: make an environment without starting anything."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from atoll.app import opened
from atoll.cli.common import as_json, laptop, show
from atoll.cli.progress import Progress
from atoll.cli.run import understood
from atoll.environments.reading import index_day
from atoll.launching import Building, Clock
from atoll.settings import Settings


@click.command()
@click.argument("reference")
@click.option("--at", default="", metavar="DATE", help="Build as of DATE (2021-03-04) or 'today'.")
@click.option("--retry", is_flag=True, help="Build again what failed before.")
@click.option("--rebuild", is_flag=True, help="Build it anew, even if it is there.")
@as_json
@click.pass_obj
def build(
    settings: Settings, reference: str, at: str, *, retry: bool, rebuild: bool, as_json: bool
) -> None:
    """Build the environment of REFERENCE, unless it is there already, and say where it is."""
    made = asyncio.run(_build(settings, reference, at, Building(retry, rebuild)))

    def text() -> None:
        words = "was there already" if made["cached"] else f"built in {made['seconds']} s"
        as_of = f", as of {made['as_of']}" if made["as_of"] else ""
        click.echo(f"{made['key']} {words}: Python {made['python']}{as_of}, at {made['path']}")
        for note in made["notes"]:
            click.echo(note)

    show(made, as_json=as_json, text=text)


async def _build(settings: Settings, reference: str, at: str, how: Building) -> dict[str, Any]:
    launcher = (machine := laptop(settings)).atoll.launcher
    begun = time.monotonic()
    async with opened(machine.atoll):
        with Progress() as progress:
            index_day(at)  # what is wrong with it is said before anything is looked up
            target = understood(reference)
            repo = target.environment or target.repo
            checkout = await launcher.check_out(repo, progress.tell, Clock())
            spec = launcher.read(checkout, at)
            built = await launcher.build(spec, checkout, progress.tell, how)
            made = built.environment
    return {
        "key": made.key,
        "engine": made.engine,
        "cached": built.cached,
        "seconds": round(time.monotonic() - begun, 2),
        "python": made.python,
        "as_of": made.as_of.isoformat() if made.as_of else None,
        "path": made.handle,
        "notes": list(built.notes),
    }
