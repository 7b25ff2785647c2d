"""Neighbours: servers that write to one volume, and where they note which documents are open.

Two people who edit one notebook, each in a server of their own, are told of each other (see
`inside/neighbours.py`). The notes are no part of the volume: for each volume there is a folder in
the run folder. All of its servers read it; each may write to one file in it, its own note, and to
nothing else. Whose note that is stands in a file that no box may write to.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from atoll.disk import locked
from atoll.engines.local.mounting import Mounted
from atoll.engines.local.owners import give
from atoll.engines.local.sandbox import Bind
from atoll.folders import run_folder
from atoll.servers import ServerPlan
from atoll.settings import Settings

VARIABLE = "ATOLL_NEIGHBOURS"
TARGET = "/run/atoll/neighbours"
NOTE, WHO = ".open", ".who"  # what the files of a server end with


def introduce(
    settings: Settings, plan: ServerPlan, handle: str, person: int | None, mounted: Mounted
) -> tuple[tuple[Bind, ...], dict[str, str]]:
    """Make the notes of the server *handle*; return what mounts them, and the variable for it.

    There is one for each volume that it may write to; *person* is the host's user that its box runs
    as, if we are root. The variable tells, by mount point, the path of the server's own note
    without its ending. A repository's own Lab has none, since it would not know what to do with it.
    """
    found: list[Bind] = []
    notes: dict[str, str] = {}
    for bind, volume in zip(mounted.binds, mounted.ids, strict=True):
        if not bind.writable or plan.environment.own_lab:
            continue
        note = _make(settings, volume, handle, plan)
        give(note, person)
        target = f"{TARGET}/{len(notes)}"
        found += (Bind(note.parent, target), Bind(note, f"{target}/{note.name}", writable=True))
        notes[bind.target] = f"{target}/{handle}"
    return tuple(found), {VARIABLE: json.dumps(notes)} if notes else {}


def _make(settings: Settings, volume: str, handle: str, plan: ServerPlan) -> Path:
    """Make the note of the server *handle* in the folder of *volume*, and tell beside it whose."""
    with _turn(settings) as place:
        folder = place / volume
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # its readers are other users, and only boxes get here
        note, who = (folder / f"{handle}{kind}" for kind in (NOTE, WHO))
        who.write_text(json.dumps({"owner": plan.owner.name, "server": plan.name}))
        note.touch()
    for file in (note, who):
        file.chmod(0o644)
    return note


def forget(settings: Settings, handle: str) -> None:
    """Remove the notes of a server that has ended, and the folders that then are empty."""
    with _turn(settings) as place:
        for file in list(place.glob(f"*/{handle}.*")):
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others have notes there
                file.parent.rmdir()


@contextlib.contextmanager
def _turn(settings: Settings) -> Iterator[Path]:
    """Keep others from making and removing folders meanwhile; give the one that they are in."""
    place = run_folder(settings) / "neighbours"
    place.mkdir(mode=0o700, exist_ok=True)
    with locked(place.with_suffix(".lock"), alone=True):
        yield place
