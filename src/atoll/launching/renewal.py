"""Renewal: a repository's newer files reach somebody who has worked in older ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from atoll.errors import AtollError
from atoll.events import Event, Tell
from atoll.servers import SHORT, Running, ServerPlan
from atoll.sources import ResolvedRef, Source
from atoll.volumes.renewal import NOTHING, Renewal, Tree


class Homes(Protocol):
    """Where the files of servers are kept; a `Runner` is such a place."""

    async def running(self) -> Collection[Running]:
        """Return every server that runs now."""
        ...

    async def origin(self, owner: str, name: str) -> str:
        """Return the version of which the kept files of *owner*'s server *name* are, or ""."""
        ...

    async def renew(
        self, owner: str, name: str, old: Tree, new: Tree, *, look: bool = False
    ) -> Renewal:
        """Bring what differs between *old* and *new* into the kept files; see `Runner.renew`."""
        ...


async def look(
    homes: Homes, source: Source, whose: tuple[str, str], ref: ResolvedRef, new: Tree
) -> Renewal:
    """Return what *new*, the files of *ref*, would change in the files of *whose* server.

    *whose* is a person's name and a server's. Where nothing can be told, nothing is.
    """
    try:
        return await renew(homes, source, whose, ref, new, look=True)
    except AtollError:  # it is said when it is to be done
        return NOTHING


async def bring(
    homes: Homes,
    source: Source,
    whose: tuple[str, str],
    ref: ResolvedRef,
    new: Tree,
    tell: Tell,
) -> Renewal:
    """Do what `look` tells, telling *tell* what was done, and if it cannot be, why.

    Then nothing is lost, and the files stay as they are.
    """
    try:
        done = await renew(homes, source, whose, ref, new, look=False)
    except AtollError as error:
        tell(Event("start", f"Your files stay as they are: {error}", note=True))
        return NOTHING
    if done.count:
        tell(Event("start", f"{done.count} of your files are now of version {ref.version[:SHORT]}"))
    for sentence in done.said():
        tell(Event("start", sentence, note=True))
    return done


async def renew(
    homes: Homes,
    source: Source,
    whose: tuple[str, str],
    ref: ResolvedRef,
    new: Tree,
    *,
    look: bool,
) -> Renewal:
    """Do it, or with *look* only tell.

    Raises what fetching the version raises that the files are of, and `StartFailed`.
    """
    version = await homes.origin(*whose)
    if not version or (version == new.version and not new.environment):
        return NOTHING
    was = replace(ref.repo, version=version, path_follows=False)
    old = await source.fetch(await source.resolve(was, _quiet), _quiet)
    return await homes.renew(*whose, Tree(version, old.path), new, look=look)


def tree_of(plan: ServerPlan) -> Tree:
    """Return the files of *plan*'s version; the environment of a pair makes none of them."""
    made = "" if plan.environment_ref else plan.environment.handle
    return Tree(plan.ref.version, Path(plan.content.checkout), made)


def _quiet(event: Event) -> None:
    """Tell nobody: the older version is nothing that was asked for."""
