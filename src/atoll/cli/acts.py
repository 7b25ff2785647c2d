"""What commands do is written down, as what people do by pages and programs is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from atoll.acts import Act, Acts, Way, note
from atoll.cli.common import me
from atoll.settings import Settings
from atoll.stores.sql import open_store


async def note_command(
    acts: Acts,
    deed: str,
    kind: str,
    what: str,
    detail: Mapping[str, str] | None = None,
    *,
    must: bool = False,
) -> None:
    """Write down that whoever is at the terminal did *deed*; see `atoll.acts.note`."""
    server = what if kind == "server" else ""
    act = Act(me().name, deed, kind, what, server, Way.COMMAND, detail=detail or {})
    await note(acts, act, must=must)


def note_alone(settings: Settings, deed: str, kind: str, what: str) -> None:
    """Write it down where nothing else of the store is needed, and no table is to be changed."""

    async def write() -> None:
        store = open_store(settings)
        if store.database.exists():
            await note_command(store.acts, deed, kind, what)
            await store.close()

    asyncio.run(write())
