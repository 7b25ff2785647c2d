"""`atoll infer`: what a repository's code imports, as a requirements.txt."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from atoll.app import opened
from atoll.cli.common import as_json, laptop, show
from atoll.cli.progress import Progress
from atoll.cli.run import understood
from atoll.errors import NotFound
from atoll.launching import Clock
from atoll.launching.proposals import propose_for
from atoll.settings import Settings


@click.command()
@click.argument("reference")
@as_json
@click.pass_obj
def infer(settings: Settings, reference: str, *, as_json: bool) -> None:
    """Print what the notebooks and scripts of REFERENCE import, as a requirements.txt.

    It is a guess, for you to check; `atoll run --infer` builds with it, as of the commit's date,
    where the repository says nothing itself.
    """
    found = asyncio.run(_infer(settings, reference))
    show(found, as_json=as_json, text=lambda: click.echo(found["requirements"], nl=False))


async def _infer(settings: Settings, reference: str) -> dict[str, Any]:
    machine = laptop(settings)
    target = understood(reference)
    async with opened(machine.atoll):
        with Progress() as progress:
            repo = target.environment or target.repo
            checkout = await machine.atoll.launcher.check_out(repo, progress.tell, Clock())
    proposal = await asyncio.to_thread(propose_for, checkout)
    if proposal is None:
        message = f"No notebook or script of {repo} imports a package."
        raise NotFound(message, hint="The default environment is enough for it.")
    return {
        "requirements": proposal.text,
        "packages": dict(proposal.packages),
        "as_of": checkout.ref.date.date().isoformat(),
    }
