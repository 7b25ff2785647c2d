"""Trials: a repository's notebooks are run, in the box that its server would have.

What they give is compared in there, too (`inside/comparing.py`), since all of it is the
repository's word.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, Field

from atoll.disk import remove
from atoll.engines.local import commands, sandbox
from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.sandbox import Bind
from atoll.engines.local.volumes import fill
from atoll.engines.local.workshop import read_written
from atoll.errors import AtollError, BuildFailed
from atoll.events import Event, Tell
from atoll.names import new_id
from atoll.servers import ServerPlan
from atoll.settings import Settings

PROGRAM = f"{commands.RUN}/inside/check_notebooks.py"
TASK, FOUND = "/srv/task", "/srv/found"  # folders in the box
MOST = 100_000  # characters of a text; an image may have more
LONGEST = 24 * 3600.0  # seconds that all of a repository's notebooks may take


Text = Annotated[str, Field(max_length=MOST)]


class Shown(BaseModel):
    """An output as a page may show it: plain text, or an image in base64."""

    kind: Literal["text/plain", "image/png", "image/jpeg"]
    value: str = Field(max_length=2_000_000)


class Difference(BaseModel):
    """A cell, counted from 0 with all others, that gave something else than is stored."""

    cell: int
    source: Text
    why: Text
    stored: tuple[Shown, ...]
    found: tuple[Shown, ...]


class Found(BaseModel):
    """What came of running a notebook, as `inside/check_notebooks.py` tells.

    Of one that fails, ``cell`` is where, with its ``source``, if it came that far, and ``error``
    is why. ``cells`` are those with code, ``compared`` those of which something is stored; of the
    ``differing`` ones, ``differences`` tells the first.
    """

    notebook: str
    state: Literal["same", "differs", "runs", "fails"]
    error: Text = ""
    missing_module: Text = ""
    missing_file: Text = ""
    cell: int | None = None
    source: Text = ""
    cells: int = 0
    compared: int = 0
    differing: int = 0
    differences: tuple[Difference, ...] = ()
    seconds: float = 0.0


async def try_notebooks(
    settings: Settings,
    plan: ServerPlan,
    notebooks: Sequence[str],
    tell: Tell,
    seconds: float,
    whole: float = LONGEST,
) -> tuple[Found, ...]:
    """Run *notebooks*, paths in *plan*'s content, one after another in a copy of that.

    *seconds* is what a cell may take, *whole* what a notebook may. Returns what came of each, in
    their order: the repository's word, of which nothing more is known than that it has this shape.
    """
    owner = person_owner(settings, plan.owner.name)
    with _folder(settings.data / "trials") as root:
        task, found, sockets = (root / name for name in ("task", "found", "sockets"))
        for folder in (task, found, sockets):
            folder.mkdir(mode=0o755)
        for folder in (found, sockets):
            give(folder, owner)
        asked = {"notebooks": list(notebooks), "timeout": seconds, "whole": whole}
        (task / "task.json").write_text(json.dumps(asked))
        await asyncio.to_thread(fill, root / "home", commands.content(plan), owner)
        box = commands.box(settings, plan, {}, root / "home", sockets, owner)
        more = (Bind(task, TASK), Bind(found, FOUND, writable=True))
        words = (sys.executable, "-s", PROGRAM, f"{TASK}/task.json", f"{FOUND}/found.jsonl")
        box = replace(box, command=words, binds=(*box.binds, *more))
        failed = ""

        def say(line: str) -> None:
            tell(Event("check", line, detail=True))

        try:
            await sandbox.run(box, say, timeout=LONGEST)
        except BuildFailed as error:  # its time was up: what is found by then counts
            failed = str(error)
        return tuple(_told(found, notebooks, failed))


def _told(folder: Path, notebooks: Sequence[str], failed: str) -> Iterator[Found]:
    """Yield what was found of each notebook; where nothing was, the box has ended before."""
    known = {}
    with contextlib.suppress(AtollError, ValueError):
        for line in read_written(folder, "found.jsonl").splitlines():
            one = Found.model_validate_json(line)
            known[one.notebook] = one
    why = failed or "The box ended before it was done; it may have needed more memory."
    for path in notebooks:
        yield known.get(path) or Found(notebook=path, state="fails", error=why)


@contextlib.contextmanager
def _folder(trials: Path) -> Iterator[Path]:
    """Make a folder for one trial, and remove it at the end, as all that killed ones left."""
    trials.mkdir(mode=0o711, exist_ok=True)
    for left in trials.glob("*.lock"):
        with contextlib.suppress(Timeout), FileLock(left, timeout=0):
            _remove(left)
    root = trials / new_id()
    with FileLock(root.with_suffix(".lock")) as lock:
        root.mkdir(mode=0o711)
        try:
            yield root
        finally:
            _remove(Path(lock.lock_file))


def _remove(lock: Path) -> None:
    if lock.with_suffix("").exists():
        remove(lock.with_suffix(""))
    lock.unlink(missing_ok=True)
