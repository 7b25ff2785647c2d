"""Cli: the `atoll` command. Each verb is told in a module of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

import atoll
from atoll.cli.build import build
from atoll.cli.doctor import doctor
from atoll.cli.environments import environments
from atoll.cli.run import run
from atoll.cli.servers import list_servers, logs, open_server, remove, stop
from atoll.cli.up import up
from atoll.errors import AtollError
from atoll.settings import load_settings


class _Group(click.Group):
    """Reports our own errors as a message, a hint and an exit code, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except AtollError as error:
            click.secho(f"Error: {error}", fg="red", err=True)
            if error.hint:
                click.echo(error.hint, err=True)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("Stopped.", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(atoll.__version__, prog_name="atoll")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file, instead of $ATOLL_CONFIG or atoll.toml in the data folder.",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Open a repository, get a running JupyterLab, keep what you did.

    \b
    atoll run gh:binder-examples/requirements       open somebody's repository
    atoll run .                                     open the folder you are in
    atoll run 'https://mybinder.org/v2/gh/o/r/main' open a Binder link at home
    atoll list                                      what you have, running or not
    atoll up                                        serve a hub for many people
    """  # noqa: D301 - click's own mark
    ctx.obj = load_settings(config)


for command in (
    *(run, build, environments, list_servers, open_server, logs, stop, remove, up, doctor),
):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
