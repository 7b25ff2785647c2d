"""Confirming: what of somebody else's link a person is asked about before it runs, and what not.

A link runs code with a person's servers, and whoever made it chose what. So it is shown first, in
plain words. A person may say that of this repository no more is asked; then a link of it runs at
once, unless it asks for something that the repository's owners alone did not choose.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Protocol

from atoll.allowances import ends, shorter
from atoll.launching.wishes import Wishes, usual_limits
from atoll.people import Person
from atoll.servers import Ends, Network
from atoll.settings.sections import ServerSettings
from atoll.sources import RepoRef, Target

WIDER = (Network.NONE, Network.INTERNET, Network.FULL)  # each reaches more than the one before
HARMLESS = ("name", "temporary", "memory", "cpus", "at")  # wishes that reach nothing
_FILES = re.compile(r"(lab|tree|doc/tree|notebooks)?(/[^?#]*)?")
_ANYBODYS = re.compile(r"refs/(?!heads/|tags/).*|pull/.*|merge-requests/.*")


class Trusts(Protocol):
    """Where it is remembered which links of whom run without a question."""

    async def put(self, person: str, what: str) -> None:
        """Remember that *person* wants no question about *what*, as `marks` names it."""
        ...

    async def all(self, person: str) -> Collection[str]:
        """Return what *person* wants no question about, in the order of the alphabet."""
        ...

    async def drop(self, person: str, what: str) -> None:
        """Ask about *what* again; it may be forgotten already."""
        ...


def marks(target: Target) -> tuple[str, ...]:
    """Return what is to be trusted for *target* to run without a question.

    It is a version of a repository, or of two. One version says nothing about others: a commit of
    anybody's fork can be named as if it were the repository's own.
    """
    return tuple(map(_mark, filter(None, (target.repo, target.environment))))


def may_be_trusted(target: Target, wishes: Wishes, rules: ServerSettings) -> bool:
    """Whether a link to *target* with *wishes* asks for nothing beyond what is trusted.

    What asks for more than is usual, for a volume, or for others to be let in, is asked about each
    time; so is an address in the server that is not a file's, and a version that others than the
    repository's owners can move.
    """
    request = wishes.request(target, Person(""), rules, typed="")
    usual, limits = usual_limits(rules), request.limits
    more = limits.memory > usual.memory or limits.cpus > usual.cpus
    reach = WIDER.index(request.network) > WIDER.index(Network(rules.network))
    plain = _FILES.fullmatch(target.opening) and ".." not in target.opening
    theirs = any(
        _ANYBODYS.fullmatch(one.version) for one in (target.repo, target.environment) if one
    )
    beyond = limits.gpus or request.credentials or _lives_longer(request.ends, rules)
    opens_up = request.mounts or request.invited.anybody
    return not (more or beyond or reach or theirs or opens_up) and bool(plain)


def _lives_longer(asked: Ends, rules: ServerSettings) -> bool:
    """Say whether *asked* has a server run on for longer than one that nobody asks for."""
    longer = zip(ends(rules, asked.lifetime, asked.idle), ends(rules), strict=True)
    return any(now != usual == shorter(now, usual) for now, usual in longer)


def unasked(wishes: Wishes) -> Wishes:
    """Return what of a link's *wishes* is taken where nobody is shown them: by a program.

    Not what reaches files, people or networks: whoever made the link would choose it.
    """
    asked = wishes.asked()
    return Wishes(**{name: asked[name] for name in HARMLESS if name in asked})


def _mark(repo: RepoRef) -> str:
    return f"{repo.locator}@{repo.version}"
