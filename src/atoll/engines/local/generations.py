"""Generations: an environment made anew, and those of before that servers still run in.

The new one takes the place of the old in one step. A box goes on seeing the folder that was
mounted into it, whatever that is called, as long as its files are there. So the old one is only
renamed, and removed once every server has stopped that began before.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from atoll.names import new_id

SETTLED = 300.0  # seconds after which whoever was about to start in one runs, or never will
OLD = re.compile(r"\.before-(?P<at>\d+)-[0-9a-f]+-(?P<key>.+)")
# fcntl.h and linux/fs.h
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def publish(made: Path, target: Path) -> None:
    """Have the folder *made* appear at *target*, whole; what was there stays beside it."""
    if not target.exists():
        made.rename(target)
        return
    aside = target.with_name(f".before-{time.time():.0f}-{new_id()}-{target.name}")
    made.rename(aside)
    if not _exchange(aside, target):  # a file system that cannot: for an instant, nothing is there
        old = aside.with_name(f"{aside.name}.old")
        target.rename(old)
        aside.rename(target)
        old.rename(aside)


def unused(environments: Path, running: Callable[[], Iterable[tuple[str, float]]]) -> list[Path]:
    """Return what was kept aside and no server uses any more.

    *running* returns, of every server that runs, its environment's key and when it was started.
    """
    named = [(one, OLD.match(one.name)) for one in environments.glob(".before-*")]
    aside = [(one, found["key"], int(found["at"]) + SETTLED) for one, found in named if found]
    used = list(running()) if aside else []
    return [
        one
        for one, key, until in aside
        if until < time.time() and not any(key == theirs and at < until for theirs, at in used)
    ]


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; return whether that can be done here."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done: int = rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    return done == 0
