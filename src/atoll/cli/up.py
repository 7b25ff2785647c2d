"""`atoll up`: serve a hub."""

from __future__ import annotations

import asyncio

import click

from atoll.settings import Settings


@click.command()
@click.pass_obj
def up(settings: Settings) -> None:
    """Serve Atoll for many people: JupyterHub, its proxy and Atoll's pages, until Ctrl-C.

    People's servers go on running when it ends, and are found again when it comes back.
    """
    from atoll.app import wire
    from atoll.hub.supervisor import up as supervise  # JupyterHub takes a second to import

    companions = wire(settings, trusted=False).runner.companions()
    raise SystemExit(asyncio.run(supervise(settings, say=click.echo, companions=companions)))
