"""Existing: the server that somebody has already, where they launch its repository again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from atoll.errors import NotFound
from atoll.launching.changes import Change, Terms, as_it_runs
from atoll.launching.company import NOBODY
from atoll.launching.renewal import Homes
from atoll.launching.requests import Existing, LaunchRequest
from atoll.names import new_id
from atoll.servers import NO_ENDS, Plans, ServerPlan
from atoll.sources import RepoRef, ResolvedRef

OWN_WORD = {"title", "lifetime", "idle"}  # wishes that a server is held to as it is


async def find(plans: Plans, homes: Homes | None, owner: str, name: str) -> ServerPlan | None:
    """Return what *owner*'s server *name* runs, or would run if it were started as it is.

    The newest plan is not always what runs: an update may have been stopped half-way. A temporary
    server that has stopped is none. Return ``None`` if there is none.
    """
    newest = await plans.newest(owner, name)
    if newest is None:
        return None
    for one in await homes.running() if homes else ():
        if (one.owner, one.name) == (owner, name):
            with contextlib.suppress(NotFound):  # what a runner knows may be older than any plan
                return as_it_runs(await plans.get(one.plan, owner), newest)
            return newest
    return None if newest.content.temporary else newest


def left(kept: ServerPlan, found: Iterable[Change]) -> Iterator[str]:
    """Yield what is said where *kept*'s server is opened as it is, though it differs so."""
    differs = "; ".join(map(str, found))
    yield f"Your server {kept.called} is there already, and is opened as it is, with your files."
    yield f"What you asked for is not quite that: {differs}."
    yield (
        "To have it so, launch it with existing=update, which loses no file of yours; "
        "existing=new makes another server beside it."
    )


def as_it_is(kept: ServerPlan, opening: str, terms: Terms, *, shared: bool) -> ServerPlan:
    """Return a plan that starts *kept*'s server as it is, and opens it at *opening*.

    Its title and its ends are those of *terms*, and it is *shared* from now on, if it was not: that
    needs no other start.
    """
    return replace(
        kept,
        id=new_id(),
        opening=opening,
        title=terms.title,
        ends=terms.ends,
        shared=kept.shared or shared,
    )


def once_more(kept: ServerPlan, request: LaunchRequest) -> LaunchRequest:
    """Return the launch of just what *kept* is, for a *request* that leaves it as it is."""
    theirs = kept.environment_ref
    return replace(
        request,
        repo=pinned(kept.ref),
        environment=pinned(theirs) if theirs else None,
        wished=request.wished & OWN_WORD,
        mounts=None,
        at="",
        infer=False,
        rebuild=False,
        existing=Existing.UPDATE,
    )


def answered(request: LaunchRequest, how: Existing) -> LaunchRequest:
    """Return *request* as it goes on where its person was asked, and has said *how*.

    Who has it opened as it is has taken back all that they had asked for, whom to let in included.
    """
    if how is not Existing.LEAVE:
        return replace(request, existing=how)
    return replace(
        request,
        title="",
        ends=NO_ENDS,
        mounts=None,
        wished=frozenset(),
        invited=NOBODY,
        infer=False,
        rebuild=False,
        existing=how,
    )


def pinned(ref: ResolvedRef) -> RepoRef:
    """Return the reference to just this version."""
    return replace(ref.repo, version=ref.version, path_follows=False)
