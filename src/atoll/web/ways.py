"""Ways: the same launch on other hubs, and at home; what cannot be there is said. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from atoll.launching.wishes import Wishes
from atoll.settings.sections import ElsewhereSettings
from atoll.sources import RepoRef, Target
from atoll.sources.deposits import UPLOADED
from atoll.sources.parsing import binder_spec
from atoll.web.links import binder_path

BINDERS = frozenset(  # what BinderHub has providers for
    {"gh", "gl", "git", "gist", "zenodo", "figshare", "hydroshare", "dataverse", "ckan"}
)
HERE = frozenset({"volumes", "people", "visitors"})  # wishes that name what is on one hub alone
WORDS = {"cpus": "processors", "at": "the day of its packages"}
OF_NONE = frozenset({"name", "temporary", "title"})  # at a Binder all are temporary, and nameless


@dataclass(frozen=True, slots=True)
class Way:
    """The same launch on the hub *name*: its address, or "" where it cannot be opened there.

    ``said`` is half a sentence: what is left out, or why it cannot be; "" if all is there.
    """

    name: str
    url: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same launch on each of the hubs that the operator lists; and ``command``, for home."""

    ways: tuple[Way, ...]
    command: str
    said: str = ""


NOWHERE = Elsewhere((), "")


def elsewhere(
    target: Target, wishes: Wishes, home: str, hubs: Mapping[str, ElsewhereSettings]
) -> Elsewhere:
    """Return how *target*, with *wishes*, is opened on each of *hubs*, and by the command line.

    *home* is our own public address, with its "/".
    """
    asked = wishes.asked()
    there = replace(wishes, **dict.fromkeys(asked.keys() & HERE, ""))
    path = binder_path(target.repo, target.environment, target.opening, there)
    said = _without(asked.keys() & HERE)
    if why := _only_here(target):
        return Elsewhere(tuple(Way(name, "", why) for name in hubs), "", why)
    ways = tuple(
        _at_binder(name, hub.address, target, asked)
        if hub.kind == "binder"
        else Way(name, f"{hub.address.rstrip('/')}/{path}", said)
        for name, hub in hubs.items()
    )
    return Elsewhere(ways, shlex.join(["atoll", "run", home + path]), said)


def _at_binder(name: str, address: str, target: Target, asked: Mapping[str, str]) -> Way:
    """Return the way to a Binder, which knows a repository and what opens, and nothing else."""
    built = target.environment or target.repo
    if binder_spec(built)[0] not in BINDERS:
        return Way(name, "", "a Binder cannot open this")
    opening = "" if target.environment else target.opening  # which is in the other's files
    path = binder_path(built, opening=opening)
    files = "the files of the second repository" if target.environment else ""
    said = _without(asked.keys() - OF_NONE, files)
    return Way(name, f"{address.rstrip('/')}/{path}", said)


def _only_here(target: Target) -> str:
    """Return why *target* is nowhere but on this hub, "" if it is elsewhere, too."""
    repos: list[RepoRef] = [one for one in (target.repo, target.environment) if one]
    if any(one.locator.startswith(UPLOADED) for one in repos):
        return "what was uploaded is on this hub alone"
    if any(one.locator.startswith(("/", "file:")) for one in repos):
        return "a folder of this hub is on this hub alone"
    return ""


def _without(asked: set[str], *more: str) -> str:
    left = sorted(WORDS.get(name, name) for name in asked)
    words = [*filter(None, more), *left]
    return f"without {', '.join(words)}" if words else ""
