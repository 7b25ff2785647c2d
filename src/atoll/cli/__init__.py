"""Cli: the `atoll` command. Each verb is told in a module of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

import atoll
from atoll.access import VERBS, Role
from atoll.cli.admin import admin
from atoll.cli.backup import backup, restore
from atoll.cli.build import build
from atoll.cli.check import check
from atoll.cli.common import INTERRUPTED
from atoll.cli.doctor import doctor
from atoll.cli.environments import environments
from atoll.cli.infer import infer
from atoll.cli.run import run
from atoll.cli.seam import Meant, reaches_hubs
from atoll.cli.servers import list_servers, logs, open_server, remove, retitle, stop
from atoll.cli.sign_in import sign_in, sign_out
from atoll.cli.there.run import start
from atoll.cli.there.sharing import share
from atoll.cli.up import up
from atoll.cli.update import update
from atoll.cli.volumes import volumes
from atoll.errors import AtollError, BadRequest
from atoll.folders import check_ours
from atoll.settings import load_settings

KNOWS_HUBS = ("sign-in", "sign-out")  # whose hub is an argument
INSTEAD = {  # what to do where there is a hub, and a verb is about this machine
    "build": "A hub builds what is launched there: atoll --hub ADDRESS run REFERENCE.",
    "check": "Without --hub the notebooks are run here, in the same environment.",
    "infer": "Without --hub it is read here; on a hub, atoll --hub ADDRESS run --infer takes it.",
}


class _Group(click.Group):
    """Reports our own errors as a message, a hint and an exit code, never as a traceback.

    With ``--json``, they are JSON on standard output, too, where a script expects an answer.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Note whether the chosen command is to answer in JSON: its options may be mistaken."""
        ctx.meta["atoll.json"] = "--json" in args
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except AtollError as error:
            click.secho(f"Error: {error}", fg="red", err=True)
            if error.hint:
                click.echo(error.hint, err=True)
            _end(ctx, str(error), error.hint, error.exit_code)
        except click.UsageError as error:
            if not ctx.meta.get("atoll.json"):
                raise
            error.show()
            _end(ctx, error.format_message(), "", error.exit_code)
        except (KeyboardInterrupt, asyncio.CancelledError, click.Abort):
            click.echo("Stopped.", err=True)
            _end(ctx, "Stopped.", "", INTERRUPTED)


def _end(ctx: click.Context, error: str, hint: str, exit_code: int) -> None:
    if ctx.meta.get("atoll.json"):
        click.echo(json.dumps({"error": error, "hint": hint, "exit_code": exit_code}))
    ctx.exit(exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(atoll.__version__, prog_name="atoll")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file, instead of $ATOLL_CONFIG or atoll.toml in the data folder.",
)
@click.option(
    "--hub",
    envvar="ATOLL_HUB",
    metavar="ADDRESS",
    help="Not here, but on the hub at ADDRESS, as `atoll sign-in` or $ATOLL_TOKEN knows it.",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None, hub: str | None) -> None:
    """Open a repository, get a running JupyterLab, keep what you did.

    \b
    atoll run gh:binder-examples/requirements       open somebody's repository
    atoll run .                                     open the folder you are in
    atoll run 'https://mybinder.org/v2/gh/o/r/main' open a Binder link at home
    atoll list                                      what you have, running or not
    atoll up                                        serve a hub for many people
    atoll --hub hub.example.org run gh:o/r          the same on a hub; first: atoll sign-in
    """  # noqa: D301 - click's own mark
    if hub and ctx.invoked_subcommand not in KNOWS_HUBS:
        verb = ctx.invoked_subcommand or ""
        if not reaches_hubs(main.get_command(ctx, verb)):
            hint = INSTEAD.get(verb, "Leave --hub out, and unset ATOLL_HUB.")
            raise BadRequest(f"`atoll {verb}` is about this machine.", hint=hint)
        ctx.obj = Meant(hub)
        return
    ctx.obj = settings = load_settings(config)
    verbs = [verb for verb in VERBS if verb.split()[0] == ctx.invoked_subcommand]
    if not any(Role.STRANGER in VERBS[verb] for verb in verbs):
        check_ours(settings)


for command in (
    *(run, build, infer, check, environments, list_servers, open_server, logs, stop, update),
    *(
        remove,
        retitle,
        start,
        share,
        up,
        volumes,
        admin,
        backup,
        restore,
        doctor,
        sign_in,
        sign_out,
    ),
):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
