"""Notes: what was learnt while a work tree was made, kept beside it for all who open it later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from atoll.providers.specfiles import read_files
from atoll.sources import Checkout, ResolvedRef

NOTES = "checkout.json"
Changed = Callable[[str], Awaitable[datetime | None]]


async def take_notes(home: Path, warnings: Sequence[str], changed: Changed) -> None:
    """Write down *warnings*, and when each specification file of the new work tree last changed.

    *changed* says that of a path, or None.
    """
    files = await asyncio.to_thread(read_files, home / "tree")
    dates = await asyncio.gather(*(changed(path) for path in files))
    known = {path: int(date.timestamp()) for path, date in zip(files, dates, strict=True) if date}
    notes = json.dumps({"warnings": list(warnings), "changed": known})
    (home / NOTES).write_text(notes, "utf-8")


def read_checkout(ref: ResolvedRef, home: Path) -> Checkout:
    """Return the work tree in *home*, with what was noted of it."""
    notes = json.loads((home / NOTES).read_text("utf-8"))
    tree = home / "tree"
    changed = {path: datetime.fromtimestamp(at, UTC) for path, at in notes["changed"].items()}
    return Checkout(ref, tree, read_files(tree), changed, tuple(notes["warnings"]))


def date_of(seconds: str) -> datetime:
    """Return the time that a repository has as *seconds*; one that no calendar has is the epoch."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
