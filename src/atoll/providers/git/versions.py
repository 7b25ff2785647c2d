"""Versions: which commit a branch, a tag or the beginning of a pasted path means."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from atoll.errors import NotFound
from atoll.providers.git.mirrors import COMMIT, SHORT_COMMIT, Refs
from atoll.sources import RepoRef
from atoll.sources.checking import check_version


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reference means now.

    ``commit`` may be a short one, which only a mirror can complete; ``version`` is the branch,
    tag or commit as it was named, ``path`` what followed it. ``branch`` is "" for all but
    branches.
    """

    commit: str
    version: str
    path: str = ""
    branch: str = ""


def choose(refs: Refs, repo: RepoRef) -> Choice:
    """Return what *repo* means where *refs* are all there is, or raise `NotFound`.

    A branch goes before a tag of the same name, as on the forges. Where a path follows, the
    longest branch or tag that begins it is meant, since git lets none begin another.
    """
    if not refs.heads and not refs.tags and not refs.head:
        raise NotFound(f"{repo.locator} is empty.", hint="It needs at least one commit.")
    if not repo.path_follows:
        if found := _exactly(refs, repo.version):
            return found
        raise _no_version(refs, repo, repo.version)
    parts = repo.version.split("/")
    for end in range(len(parts), 0, -1):
        version = "/".join(parts[:end])
        if version in refs.heads or version in refs.tags or end == 1:
            check_version(version)
            if found := _exactly(refs, version):
                return Choice(found.commit, version, "/".join(parts[end:]), found.branch)
    raise _no_version(refs, repo, parts[0])


def _exactly(refs: Refs, version: str) -> Choice | None:
    if version == "HEAD":
        if not refs.head:
            return None
        return Choice(refs.head, version, branch=refs.branch)
    branch, tag = version.removeprefix("refs/heads/"), version.removeprefix("refs/tags/")
    if branch in refs.heads:
        return Choice(refs.heads[branch], version, branch=branch)
    if tag in refs.tags:
        return Choice(refs.tags[tag], version)
    name = version.lower()
    if COMMIT.fullmatch(name) or SHORT_COMMIT.fullmatch(name):
        return Choice(name, version)
    return None


def _no_version(refs: Refs, repo: RepoRef, version: str) -> NotFound:
    known = [*refs.heads, *refs.tags]
    near = difflib.get_close_matches(version, known, n=3, cutoff=0.5)
    if version == "master" and "main" in refs.heads and "main" not in near:
        near.insert(0, "main")
    hint = f"Did you mean {' or '.join(near)}?" if near else ""
    if not hint and known:
        hint = f"There are {', '.join(known[:5])}{' and more' * (len(known) > 5)}."  # noqa: PLR2004
    return NotFound(f"There is no version “{version}” of {repo.locator}.", hint=hint)
