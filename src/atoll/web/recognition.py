"""Recognition: says in a sentence what a person has pasted, while they type. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from atoll.errors import AtollError
from atoll.launching.wishes import Wishes
from atoll.servers import SHORT
from atoll.settings.sections import ElsewhereSettings
from atoll.sources import RepoRef, Target
from atoll.sources.deposits import PROVIDER, UPLOADED, Kind, Place, place_of
from atoll.sources.mercurial import url_of
from atoll.sources.pairs import pulled
from atoll.sources.parsing import binder_spec, check_opening, parse, path_opening
from atoll.web.links import NOTHING, Links, links_for, opening_from, shown
from atoll.web.ways import NOWHERE, Elsewhere, elsewhere

LONGEST = 2000  # characters of a pasted address that we look at
OBJECTS = {
    "dir": "directory",
    "rev": "revision",
    "rel": "release",
    "snp": "snapshot",
    "cnt": "file",
}
HOSTS = {"gh": "GitHub repository", "gl": "GitLab repository", "gist": "Gist"}


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was recognised: where, which version, what opens; and the links to copy.

    ``environment`` says, of a pair, what is built and which version of it.
    """

    target: Target
    what: str
    where: str
    version: str
    opens: str
    environment: str
    links: Links
    elsewhere: Elsewhere = NOWHERE

    @property
    def sentence(self) -> str:
        """One line for a person."""
        opens = f", opens {self.opens}" if self.opens else ""
        environment = f"; in the environment of {self.environment}" if self.environment else ""
        return f"{self.what} {self.where}, {self.version}{opens}{environment}."

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script shows."""
        return {
            "ok": True,
            "what": self.what,
            "where": self.where,
            "version": self.version,
            "opens": self.opens,
            "environment": self.environment,
            "sentence": self.sentence,
            "links": asdict(self.links),
            "elsewhere": asdict(self.elsewhere),
        }


def recognise(
    text: str,
    version: str,
    opening: str,
    home: str,
    wishes: Wishes = NOTHING,
    hubs: Mapping[str, ElsewhereSettings] = MappingProxyType({}),
) -> Recognised:
    """Return what *text* is; *version*, *opening* and *wishes* are what else the form says.

    *home* is our own public address, *hubs* are others. Raises `AtollError`, mostly
    `BadReference`, with a hint.
    """
    target = target_of(text, version, opening)
    what, where = describe(target.repo)
    branch, opens = version_and_opening(target.repo, target.opening)
    return Recognised(
        target=target,
        what=what,
        where=where,
        version=describe_version(branch, target.repo),
        opens=shown(opens),
        environment=describe_environment(target.environment),
        links=links_for(replace(target, opening=opens), home, wishes),
        elsewhere=elsewhere(replace(target, opening=opens), wishes, home, hubs),
    )


def version_and_opening(repo: RepoRef, opening: str) -> tuple[str, str]:
    """Return *repo*'s version and what opens: *opening*, else the file that a pasted URL names.

    Where a branch's name ends only the remote can tell; nearly always it is one word.
    """
    version, _, path = repo.version.partition("/") if repo.path_follows else (repo.version, "", "")
    return version, opening or path_opening(path)


def target_of(text: str, version: str = "", opening: str = "") -> Target:
    """Return the repository and what opens; *opening*, if typed, wins over a pasted path."""
    target = parse(text.strip()[:LONGEST], version.strip()[:LONGEST])
    typed = opening_from(opening)
    return pulled(replace(target, opening=check_opening(typed))) if typed else target


def describe_environment(repo: RepoRef | None, commit: str = "") -> str:
    """Return what *repo*, a pair's environment, is, and which version; "" if there is none."""
    if repo is None:
        return ""
    what, where = describe(repo)
    version = describe_version(version_and_opening(repo, "")[0], repo)
    exactly = f", {commit[:SHORT]}" if commit and not commit.startswith(repo.version) else ""
    return f"{what} {where}, {version}{exactly}"


def describe(repo: RepoRef) -> tuple[str, str]:
    """Return what *repo* is and where, as ("GitHub repository", "owner/repo")."""
    if repo.provider == PROVIDER:
        return _describe_deposit(place_of(repo.locator))
    try:
        provider, spec = binder_spec(repo)
    except AtollError:
        provider, spec = "git", ""
    if provider in {"gh", "gist"}:
        owner, name = spec.split("/")[:2]
        return HOSTS[provider], f"{owner}/{name}"
    if provider == "hg":
        return "Mercurial repository", url_of(repo.locator).split("//", 1)[-1]
    if provider == "gl":
        return HOSTS[provider], repo.locator.split("//", 1)[-1].partition("/")[2]
    return "Git repository", repo.locator.removesuffix(".git").split("//", 1)[-1]


def _describe_deposit(place: Place) -> tuple[str, str]:
    """Return what a deposit is and where, as ("Zenodo record", "3242074")."""
    if place.kind is Kind.ARCHIVE:
        url = urlsplit(place.id)
        return place.kind.value, f"{unquote(url.path).rpartition('/')[2]} at {url.netloc}"
    if place.kind is Kind.UPLOAD:
        digest, _, name = place.id.partition("/")
        return place.kind.value, f"{name}, {digest[:10]}"
    if place.kind is Kind.HERITAGE:
        _, _, kind, digits = place.id.partition(";")[0].split(":")
        return f"{place.kind.value} {OBJECTS[kind]}", digits[:10]
    where = urlsplit(place.site).netloc
    return place.kind.value, f"{unquote(place.id)} at {where}" if where else place.id


def describe_version(version: str, repo: RepoRef) -> str:
    """Return in words which *version* of *repo* it is."""
    if repo.provider == PROVIDER:
        if repo.locator.startswith(UPLOADED):
            return "as it was sent here"
        return "as published" if version == "HEAD" else f"version {version[:12]}"
    if version == "HEAD":
        return "newest version"
    if re.fullmatch(r"[0-9a-f]{7,64}", version):
        return f"commit {version[:10]}"
    return f"version {version}"


def explain(error: AtollError) -> dict[str, Any]:
    """Return *error* for the page's script."""
    return {"ok": False, "error": str(error), "hint": error.hint}
