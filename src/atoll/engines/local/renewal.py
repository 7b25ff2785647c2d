"""Renewal: a repository's newer files are brought into a kept home, in a box of its owner's.

What is in a home, and in a repository, is hostile: what reads and merges them sees nothing else
(`inside/renew_files.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from atoll.engines.local import commands, sandbox
from atoll.engines.local.commands import built_content
from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.sandbox import HOME, Bind, Box
from atoll.engines.local.volumes import copy_for, kept_home, made_by, note_origin
from atoll.engines.local.workshop import read_written
from atoll.errors import BuildFailed, StartFailed
from atoll.settings import Settings
from atoll.volumes.renewal import NOTHING, Fate, FileChange, Renewal, Tree

PROGRAM = f"{commands.RUN}/inside/renew_files.py"
TASK, FOUND, BASE, NEW = "/srv/task", "/srv/found", "/srv/base", "/srv/new"  # in the box
LONGEST = 300.0  # seconds that it may take

Name = Annotated[str, Field(max_length=4096)]


class _Found(BaseModel):
    changes: tuple[tuple[Name, Name, Name, Name], ...] = Field(max_length=1000)
    count: int = Field(ge=0)


async def renew(
    settings: Settings,
    whose: tuple[str, str],
    old: Tree,
    new: Tree,
    *,
    look: bool,
) -> Renewal:
    """Bring what differs between *old* and *new* into the home of *whose* server.

    *whose* is a person's name and a server's. With *look* nothing is done, and said what would be.
    What the build of an environment has made of the files counts as the repository's, if *new* says
    which environment it is; else it is let alone.
    Raises `StartFailed` when it cannot be done; what was done by then stays, and doing it again
    goes on from there.
    """
    home, owner = kept_home(settings, *whose), person_owner(settings, whose[0])
    noted = made_by(home)
    was, made = (noted, made_of(new.environment)) if new.environment else ("", "")
    if (old.version, was) == (new.version, made):
        return NOTHING
    with _folders(settings, owner) as (task, found):
        base = await _readable(old, _built(settings, was), task.with_name("base"), owner)
        newer = await _readable(new, _built(settings, made), task.with_name("new"), owner)
        asked = {"old": old.version, "now": new.version, "look": look}
        (task / "task.json").write_text(json.dumps(asked))
        box = Box(
            command=(
                sys.executable,
                "-s",
                PROGRAM,
                f"{TASK}/task.json",
                f"{FOUND}/found.json",
            ),
            binds=(
                *(Bind(Path(one), one) for one in commands.runtime()),
                Bind(commands.INSIDE, f"{commands.RUN}/inside"),
                Bind(base, BASE),
                Bind(newer, NEW),
                Bind(home, HOME, writable=True),
                Bind(task, TASK),
                Bind(found, FOUND, writable=True),
            ),
            environ={"PATH": commands.SYSTEM_PATH, "HOME": HOME, "LC_ALL": "C.UTF-8"},
            owner=owner,
        )
        told: list[str] = []
        try:
            status = await sandbox.run(box, told.append, timeout=LONGEST)
            if status == 0:
                done = _told(read_written(found, "found.json"))
                if not look:
                    note_origin(home, new.version, made if new.environment else noted)
                return done
        except (BuildFailed, ValidationError, OSError) as error:
            told.append(str(error))
    message = f"The newer files could not be brought in: {''.join(told[-1:]) or 'it was ended'}."
    raise StartFailed(message, hint="Is the disk full? Nothing of yours is lost; try again.")


def made_of(handle: str) -> str:
    """Return the name of the environment *handle* if its build has worked in the files, or ""."""
    return Path(handle).name if built_content(handle) else ""


def _built(settings: Settings, name: str) -> Path | None:
    """Return the content as the build of the environment *name* left it, if that is there still."""
    return built_content(str(settings.data / "environments" / name)) if name else None


async def _readable(tree: Tree, built: Path | None, aside: Path, owner: int | None) -> Path:
    """Return a folder with *tree*'s files, *built* if that is not ``None``, which *owner* may read.

    A checkout may be read by everybody; what a build has left need not, and is copied to *aside*.
    """
    if built is None or owner is None:
        return built or tree.folder
    await asyncio.to_thread(copy_for, owner, built, aside)
    return aside


@contextlib.contextmanager
def _folders(settings: Settings, owner: int | None) -> Iterator[tuple[Path, Path]]:
    """Lend one folder that the box of *owner* reads, and one that it writes to."""
    with TemporaryDirectory(dir=settings.data, prefix="renewing-") as made:
        root = Path(made)
        root.chmod(0o711)  # the box is another user's
        task, found = root / "task", root / "found"
        for folder in (task, found):
            folder.mkdir(mode=0o755)
        give(found, owner)
        yield task, found


def _told(body: bytes) -> Renewal:
    found = _Found.model_validate_json(body)
    changes = tuple(
        FileChange(path, Fate(fate), beside, theirs) for path, fate, beside, theirs in found.changes
    )
    return Renewal(changes, found.count)
