"""Verifying: what a repository's own `verify` says, in the very box of its server."""

from __future__ import annotations

from dataclasses import replace

from atoll.engines.local import commands, sandbox
from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.volumes import fill


async def verify(atoll, plan, folder, *, timeout=120):
    """Run `./verify` where *plan*'s server would run, with its files in *folder*.

    Returns the exit code and the lines that it printed.
    """
    owner = person_owner(atoll.settings, plan.owner.name)
    home, sockets = folder / "home", folder / "sockets"
    sockets.mkdir()
    give(sockets, owner)
    fill(home, commands.content(plan), owner)
    box = commands.box(atoll.settings, plan, {}, home, sockets, owner)
    words = ("./verify",)
    if plan.start:
        words = ("/bin/bash", "-c", commands.START, plan.start, *words)
    lines = []
    code = await sandbox.run(replace(box, command=words), lines.append, timeout=timeout)
    return code, lines
