"""Boxes: runs Python in a real box, as the engine would, and returns what it printed."""

import os
import sys
from pathlib import Path

from atoll.engines.local.commands import runtime
from atoll.engines.local.owners import FIRST, give
from atoll.engines.local.sandbox import HOME, Bind, Box, run
from atoll.servers import Limits, Network

OWNER = FIRST + 77 if os.getuid() == 0 else None


async def in_box(
    code,
    *,
    home=None,
    network=Network.NONE,
    limits=None,
    binds=(),
    environ=None,
    timeout=60,
    owner=OWNER,
):
    """Run the Python *code* in a box; return its exit code and its lines."""
    lines = []
    mounts = [Bind(Path(one), one) for one in runtime()] + list(binds)
    if home:
        give(home, owner)
        mounts.append(Bind(home, HOME, writable=True))
    box = Box(
        command=(sys.executable, "-I", "-c", code),
        binds=tuple(mounts),
        environ={"PATH": "/usr/bin:/bin", **(environ or {})},
        network=network,
        limits=limits or Limits(),
        owner=owner,
    )
    status = await run(box, lines.append, timeout=timeout)
    return status, "\n".join(lines)
