"""Uses: when each mirror and checkout was last needed, so that those of long ago can go.

Whoever needs one dates it first, and what was dated within a day stays: any launch is over by
then. Dating and removing exclude one another, so that nothing goes once it has been found.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from atoll.disk import hide, locked, remove
from atoll.sources import Copy

LOCK = ".uses.lock"
LEAST = timedelta(days=1)


def use(place: Path) -> bool:
    """Note that *place*, a mirror or a checkout, is needed now; return whether it is there."""
    try:
        with locked(place.parent / LOCK):
            os.utime(place)
    except FileNotFoundError:
        return False
    return True


def prune(
    folders: Iterable[Path], before: datetime, needed: Collection[str], *, dry_run: bool
) -> list[Copy]:
    """Remove what in *folders* was last needed *before* then, a day ago at least, and return it.

    What holds one of the paths *needed* stays. What a killed process left aside goes, too.
    """
    return [one for folder in folders for one in _prune(folder, before, needed, dry_run=dry_run)]


def _prune(
    folder: Path, before: datetime, needed: Collection[str], *, dry_run: bool
) -> Iterator[Copy]:
    limit = min(before, datetime.now(UTC) - LEAST)
    kept = {Path(path).parent.name for path in needed}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not place.is_dir() or place.name in kept:
            continue
        with contextlib.suppress(FileNotFoundError):  # somebody else prunes, too
            used = _used(place)
            if used <= limit and (dry_run or _remove(place, limit)):
                yield Copy(place, used)


def _remove(place: Path, limit: datetime) -> bool:
    with locked(place.parent / LOCK, alone=True):
        if _used(place) > limit:  # needed again meanwhile
            return False
        hidden = hide([place])
    for doomed in hidden:
        remove(doomed)
    return True


def _used(place: Path) -> datetime:
    return datetime.fromtimestamp(place.stat().st_mtime, UTC)
