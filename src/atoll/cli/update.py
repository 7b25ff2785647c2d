"""`atoll update`: a repository's newer files reach a server in which somebody has worked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import click

from atoll.app import opened
from atoll.cli.common import Laptop, as_json, command_of, laptop, me, show
from atoll.cli.progress import Progress
from atoll.cli.seam import or_there
from atoll.cli.there.run import update as update_there
from atoll.errors import BadRequest, Cancelled, NotFound
from atoll.launching import Clock
from atoll.launching.renewal import renew
from atoll.servers import SHORT, ServerPlan
from atoll.settings import Settings
from atoll.sources import Checkout
from atoll.volumes.renewal import Renewal, Tree


@click.command()
@click.argument("name")
@click.option(
    "--to", "version", default="", metavar="VERSION", help="Not the newest, but this one."
)
@click.option("--look", is_flag=True, help="Only say what would happen.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@or_there(update_there)
def update(
    settings: Settings, name: str, *, version: str, look: bool, yes: bool, as_json: bool
) -> None:
    """Bring the repository's newer files into those of your server NAME, and lose none of yours.

    What only the repository has changed is taken, and what only you have changed stays. Where both
    have changed a file, text is merged by lines and notebooks by cells; where these are the same
    ones, yours stay. Whatever of yours is replaced is kept beside, under a name with “before”.
    The server may run. Its environment stays: `atoll run --existing update` builds the new
    version's, and brings in what its postBuild makes.
    """
    asyncio.run(_update(laptop(settings), name, version, ask=not yes, look=look, as_json=as_json))


async def _update(
    machine: Laptop, name: str, version: str, *, ask: bool, look: bool, as_json: bool
) -> None:
    async with opened(machine.atoll):
        plan = await _plan(machine, name)
        wanted = plan.ref.repo
        if version:
            wanted = replace(wanted, version=version, path_follows=False)
        with Progress() as progress:
            newest = await machine.atoll.launcher.check_out(wanted, progress.tell, Clock())
        would = await _renewed(machine, plan, newest, look=True)
        if look or not would.count:
            _show(would, newest, done=False, as_json=as_json)
            return
        if ask and as_json:
            raise BadRequest("Nobody can be asked.", hint="Say --look, or --yes.")
        if ask:
            _show(would, newest, done=False, as_json=False)
            if not click.confirm("Do it?"):
                raise Cancelled("Nothing was changed.")
        done = await _renewed(machine, plan, newest, look=False)
        _show(done, newest, done=True, as_json=as_json)
    if not as_json:
        again = f"{command_of(plan.reference, name)} --existing update"
        click.echo(f"`{again}` opens it, in the environment of that version.", err=True)


async def _plan(machine: Laptop, name: str) -> ServerPlan:
    plan, _ = (await machine.atoll.store.plans.latest(me().name)).get(name, (None, None))
    if plan is None or plan.content.temporary:
        raise NotFound(f"You have no server called “{name}”.", hint="See `atoll list`.")
    if not await machine.runner.origin(me().name, name):
        message = f"It is not known of which version the files of “{name}” are."
        raise BadRequest(message, hint="Run the repository under another --name.")
    return plan


async def _renewed(machine: Laptop, plan: ServerPlan, newest: Checkout, *, look: bool) -> Renewal:
    whose = (plan.owner.name, plan.name)
    new = Tree(newest.ref.version, newest.path)
    return await renew(machine.runner, machine.atoll.source, whose, newest.ref, new, look=look)


def _show(renewal: Renewal, newest: Checkout, *, done: bool, as_json: bool) -> None:
    version = newest.ref.version
    answer: dict[str, Any] = {
        "version": version,
        "done": done,
        "count": renewal.count,
        "changes": [
            {"path": one.path, "fate": one.fate.value, "beside": one.beside, "theirs": one.theirs}
            for one in renewal.changes
        ],
    }

    def text() -> None:
        short = f"version {version[:SHORT]} of {newest.ref.date:%Y-%m-%d}"
        if not renewal.count:
            click.echo(f"Your files have all that is in {short}.")
            return
        head = f"{renewal.count} of your files"
        click.echo(f"{head} are now as in {short}:" if done else f"With {short}, {head} change:")
        for sentence in renewal.said():
            click.echo(f"  {sentence}")

    show(answer, as_json=as_json, text=text)
