"""Copying: a visitor's copy of what another person's server has saved becomes a home of its own.

What is hidden stays where it is: keys, passwords, histories and what programs remember are in files
whose names begin with a dot. Of these a copy has only what the repository, or its build, brought.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from atoll.disk import remove
from atoll.engines.local import commands, room, sandbox
from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.sandbox import Bind, Box
from atoll.engines.local.volumes import fill, kept_home
from atoll.errors import AtollError, StartFailed
from atoll.servers import ServerPlan
from atoll.settings import Settings
from atoll.volumes import Copied, written

PROGRAM = f"{commands.RUN}/inside/copy_files.py"
LONGEST = 60.0  # seconds that it may take
TOO_LARGE = 3  # what the program ends with then
BROUGHT = (".binder", ".ipython", ".jupyter", ".local")  # by the repository, never by its person


def fill_copy(settings: Settings, plan: ServerPlan, home: Path, owner: int | None) -> None:
    """Make *home* a copy, owned by *owner*, of what the server that *plan* copies has saved.

    It appears whole or not at all. Where that server has nothing saved yet, it is the repository's.
    Raises `StartFailed`.
    """
    copied, content = plan.content.copied, commands.content(plan)
    if copied is None or not kept_home(settings, copied.owner, copied.server).is_dir():
        fill(home, content, owner)
        return
    making = home.with_name(f".{home.name}.making")
    making.mkdir(mode=0o700)
    try:
        asyncio.run(_copy(settings, copied, making))
        _bring(content, making)
        give(making, owner)
        making.rename(home)
    except BaseException:
        remove(making)
        raise


async def _copy(settings: Settings, copied: Copied, making: Path) -> None:
    """Copy in a box of the files' owner: a running server may change them meanwhile, to links."""
    most = int(settings.access.copy_size)
    left = max(0, room.beyond(settings.data))
    theirs = person_owner(settings, copied.owner)
    give(making, theirs)
    box = Box(
        command=(sys.executable, "-I", PROGRAM, str(min(most, left))),
        binds=(
            *(Bind(Path(one), one) for one in commands.runtime()),
            Bind(commands.INSIDE, f"{commands.RUN}/inside"),
            Bind(kept_home(settings, copied.owner, copied.server), "/srv/from"),
            Bind(making, "/srv/to", writable=True),
        ),
        environ={"PATH": commands.SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
        workdir="/",
        owner=theirs,
    )
    said: list[str] = []
    try:
        status = await sandbox.run(box, said.append, timeout=LONGEST)
    except AtollError as error:
        status, said = 1, [str(error)]
    if status == TOO_LARGE and left < most:
        raise room.none_aside()
    if status == TOO_LARGE:
        message = f"The files of {copied.owner}'s server take more than {written(most)}."
        hint = f"Visitors may copy no more here. {copied.owner} can move large data to a volume."
        raise StartFailed(message, hint=hint)
    if status:
        message = f"The files could not be copied: {''.join(said[-1:]) or 'it was ended'}."
        raise StartFailed(message, hint="Try again in a minute.")


def _bring(content: Path, making: Path) -> None:
    """Copy what *content* has of `BROUGHT` into *making*, where nothing of such names is yet."""
    found = [str(content / name) for name in BROUGHT if (content / name).is_dir()]
    if not found:
        return
    copy = [
        "cp",
        "--archive",
        "--no-preserve=ownership",
        "--reflink=auto",
        "--",
        *found,
        str(making),
    ]
    if subprocess.run(copy, capture_output=True, check=False).returncode:
        message = "The repository's files could not be copied."
        raise StartFailed(message, hint="Is the disk full? `atoll doctor` tells.")
