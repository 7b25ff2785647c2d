"""Checkouts: work trees of one changeset each, made aside, published whole, shared by all.

A checkout is a normal clone of its mirror, whose ``default`` is the real remote, so that people can
pull once it has been copied into their home. Its files are written by ``hg archive``, which follows
no subrepository, where ``hg update`` would clone whatever ``.hgsub`` says.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from atoll.errors import Unreachable
from atoll.events import Tell
from atoll.providers.flights import Flights
from atoll.providers.making import in_time, make_once, mark
from atoll.providers.mercurial.commands import HgFailed, hg
from atoll.providers.mercurial.mirrors import Changeset, Mirrors
from atoll.providers.notes import date_of, read_checkout, take_notes
from atoll.providers.programs import Limit
from atoll.sources import Checkout, ResolvedRef
from atoll.sources.mercurial import url_of

CLONE = ("clone", "--quiet", "--noupdate", "--")
LEFT_OUT = {
    ".hgsub": "Its subrepositories (.hgsub) were left out: they are not fetched.",
    ".hglf": "Its large files (.hglf) were left out: what is kept apart is not fetched.",
}


@dataclass(frozen=True, slots=True)
class Checkouts:
    """All work trees below ``folder``. ``most`` is in bytes, ``timeout`` in seconds."""

    folder: Path
    mirrors: Mirrors
    most: int
    timeout: float
    flights: Flights = field(default_factory=Flights)

    async def get(self, ref: ResolvedRef, changeset: Changeset, tell: Tell) -> Checkout:
        """Return the work tree of *ref*, which is *changeset*; make it if need be."""
        name = mark(ref.repo.locator, ref.version, trusted=self.mirrors.gate.trusted)
        home = self.folder / name

        async def make(aside: Path, _: Tell) -> None:
            async with in_time(ref.repo.locator, self.timeout):
                await self._make(ref, changeset, aside)

        await make_once(home, make, self.flights, tell)
        return await asyncio.to_thread(read_checkout, ref, home)

    async def _make(self, ref: ResolvedRef, changeset: Changeset, aside: Path) -> None:
        mirror, tree = self.mirrors.path(ref.repo.locator), aside / "tree"
        limit = Limit(aside, self.most)
        try:
            async with self.mirrors.alone(ref.repo.locator):
                await hg(*CLONE, str(mirror), str(tree), limit=limit)
            await _write(mirror, tree, changeset, limit)
        except HgFailed as error:
            raise Unreachable(
                f"{ref.repo.locator} could not be checked out: {error.sentence}."
            ) from error
        (tree / ".hg" / "hgrc").write_text(f"[paths]\ndefault = {url_of(ref.repo.locator)}\n")
        await take_notes(aside, _left_out(tree), lambda path: _changed(mirror, changeset.id, path))


async def _write(mirror: Path, tree: Path, changeset: Changeset, limit: Limit) -> None:
    """Put the files of *changeset* into *tree*, a clone of *mirror*."""
    where = str(tree).replace("%", "%%")  # it may be a pattern
    files = ("archive", "--type=files", f"--rev={changeset.id}", "--", where)
    await hg(*files, repository=mirror, limit=limit)
    await hg("debugrebuilddirstate", f"--rev={changeset.id}", repository=tree)
    if changeset.branch != "default":
        await hg("branch", "--quiet", "--force", "--", changeset.branch, repository=tree)


def _left_out(tree: Path) -> list[str]:
    return [said for name, said in LEFT_OUT.items() if os.path.lexists(tree / name)]


async def _changed(mirror: Path, node: str, path: str) -> datetime | None:
    """Return when *path* last changed in the history of *node*."""
    asked = ("log", "--follow", f"--rev={node}", "--limit=1", "--template={date|hgdate}")
    try:
        said = await hg(*asked, "--", f"path:{path}", repository=mirror)
    except HgFailed:
        return None
    return date_of(said.partition(" ")[0]) if said else None
