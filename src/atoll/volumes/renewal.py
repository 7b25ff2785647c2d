"""Renewal: what becomes of a home's files when the repository's newer ones are brought in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

NAMED = 5  # files of a fate that are named


class Fate(StrEnum):
    """What becomes of a file; one that nobody has changed since, or only its person, has none.

    ``MERGED``: both had changed it, and both changes are in it; as it was, it is kept beside.
    ``BESIDE``: theirs stays, as it cannot be merged, and the repository's is put beside.
    ``ASIDE``: what they had made under this name is kept beside.
    """

    ADDED = "added"
    UPDATED = "updated"
    RESTORED = "restored"
    REMOVED = "removed"
    MERGED = "merged"
    BESIDE = "beside"
    ASIDE = "aside"
    FAILED = "failed"


SAID = {
    Fate.ADDED: "New",
    Fate.UPDATED: "Newer, as you have not changed them",
    Fate.MERGED: "Changed by you and by the repository: both changes are taken",
    Fate.BESIDE: "Changed by you and by the repository: yours stay, its are put beside",
    Fate.ASIDE: "New, where you have a file of that name: yours is renamed",
    Fate.RESTORED: "Deleted by you, and back",
    Fate.REMOVED: "No longer in the repository, and not changed by you",
    Fate.FAILED: "Could not be written, and left as they were",
}


MORE = "What its postBuild makes comes as well, by the same rules; it is known once that has run."


@dataclass(frozen=True, slots=True)
class Tree:
    """A *version* of a repository's files, which are in a *folder*.

    *environment* is the handle of the one that is built of them, whose build may have made or
    changed some; "" where that is not known, or not there yet.
    """

    version: str
    folder: Path
    environment: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """That *path*, in a home, has a *fate*.

    ``beside`` is the name under which something is kept or put beside it; ``theirs`` that of the
    repository's file where a merge left some of it out, as its person had changed the same lines.
    """

    path: str
    fate: Fate
    beside: str = ""
    theirs: str = ""


@dataclass(frozen=True, slots=True)
class Renewal:
    """All that becomes of a home's files: *count* of them, of which *changes* tells the first.

    *more* says that a script of the repository's, which has not run yet, may make others.
    """

    changes: tuple[FileChange, ...] = ()
    count: int = 0
    more: bool = False

    def by_fate(self) -> Iterator[tuple[str, tuple[FileChange, ...]]]:
        """Yield each fate that some files have, as people read it, and these files."""
        for fate, sentence in SAID.items():
            if some := tuple(one for one in self.changes if one.fate is fate):
                yield sentence, some

    def said(self) -> Iterator[str]:
        """Yield a sentence for each fate that some files have, the names of a few included."""
        for sentence, some in self.by_fate():
            names = ", ".join(map(written, some[:NAMED]))
            more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
            yield f"{sentence}: {names}{more}."
        if self.more:
            yield MORE


NOTHING = Renewal()


def written(change: FileChange) -> str:
    """Return *change*'s path, and in brackets where else to look."""
    if change.fate is Fate.MERGED:
        also = f"; the repository's is {change.theirs}" if change.theirs else ""
        return f"{change.path} (yours is kept as {change.beside}{also})"
    return f"{change.path} ({change.beside})" if change.beside else change.path
