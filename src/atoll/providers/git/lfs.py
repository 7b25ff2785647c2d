"""Large files: what Git LFS keeps beside the repository, fetched by git-lfs where it is there.

git-lfs speaks HTTP to whatever address a repository's ``.lfsconfig``, or its server's answer,
names. For strangers from the web it is therefore run only against the big forges and hosts
that the operator lists, whose answers are not written by whoever owns the repository.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from atoll.errors import TooLarge
from atoll.events import Event, Tell
from atoll.providers.addresses import Gate, is_forge, local_path
from atoll.providers.git.commands import GitFailed, git
from atoll.providers.programs import Limit
from atoll.sources.locators import clone_url

FILTER = (
    "filter.lfs.smudge=git-lfs smudge -- %f",
    "filter.lfs.clean=git-lfs clean -- %f",
    "filter.lfs.process=git-lfs filter-process",
    "lfs.transfer.maxretries=1",
    "lfs.dialtimeout=20",  # seconds
    "lfs.activitytimeout=60",
)


async def fetch_large_files(
    locator: str, tree: Path, gate: Gate, limit: Limit, tell: Tell
) -> list[str]:
    """Replace the pointers in *tree* by the files; return a warning for the person if it cannot.

    Raises `TooLarge`.
    """
    names = await _pointers(tree)
    if not names:
        return []
    count = (
        f"{len(names)} large file{'s' * (len(names) > 1)} ({names[0]}{', …' * (len(names) > 1)})"
    )
    if not shutil.which("git-lfs"):
        return [f"{count} are missing: git-lfs is not installed here."]
    if not (gate.trusted or is_forge(locator) or gate.lists(locator) or local_path(locator)):
        return [f"{count} are missing: Git LFS is not used with this server."]
    config: tuple[str, ...] = FILTER
    if not gate.trusted:  # goes before the repository's own .lfsconfig
        config = (*FILTER, f"lfs.url={clone_url(locator)}/info/lfs")
    tell(Event("fetch", f"Fetching {count}"))
    try:
        await git(
            "lfs", "pull", "origin",
            folder=tree, config=config, protocols="https:http:ssh:file", persons=gate.trusted,
            limit=limit, say=lambda line: tell(Event("fetch", line, detail=True)),
        )  # fmt: skip
    except TooLarge:
        raise
    except GitFailed as error:
        return [f"{count} could not be fetched: {error.sentence}."]
    return []


async def _pointers(tree: Path) -> list[str]:
    """Return the files that ``.gitattributes`` gives to Git LFS."""
    listed = await git("ls-files", "-z", "--", ":(attr:filter=lfs)", folder=tree)
    names = [name.decode("utf-8", "replace") for name in listed.split(b"\0") if name]
    return [re.sub(r"[^\x20-\x7e]", "?", name) for name in names]
