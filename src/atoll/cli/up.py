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
    from atoll.app import Atoll, opened, wire
    from atoll.hub.preparation import become_supervisor, claim

    async def bring_up_to_date(atoll: Atoll) -> None:
        async with opened(atoll):
            pass

    places = claim(settings)
    atoll = wire(settings, trusted=False)
    asyncio.run(bring_up_to_date(atoll))  # here, as what migrations need would stay in memory
    become_supervisor(settings, places, companions=atoll.runner.companions())
