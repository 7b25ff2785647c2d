"""Pairs: the environment of one repository, and the files of another.

Written ``ENVIRONMENT + CONTENT``, with white space around the ``+``, since names may have one; or
as nbgitpuller's links, which Binder's users have had for that (https://nbgitpuller.readthedocs.io):
``…/git-pull?repo=…&branch=…&urlpath=…``, at a hub's address or as what a Binder link opens.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote

from atoll.errors import BadReference
from atoll.sources import RepoRef, Target
from atoll.sources.checking import check_opening, check_version, path_opening
from atoll.sources.locators import FORGES, LOCAL, host_of, locate

PLUS = re.compile(r"(?:^|\s)\+(?:\s|$)")
REFERENCE = re.compile(rf"{LOCAL.pattern}|[\w.+@-]+:|[\w-]+(?:\.[\w-]+)+/")  # how one begins
VIEWS = "tree|notebooks|edit|view|files|render|shiny"  # what shows the file that is named behind
PULL = "git-pull"


def halves(text: str) -> list[str]:
    """Return the references in *text*, in order: one, or those of a pair.

    A folder's name may have a “ + ” in it: there, a reference must follow, and not just a word.
    """
    found: list[str] = []
    begin = 0
    for plus in PLUS.finditer(text):
        before, after = text[begin : plus.start()].strip(), text[plus.end() :].strip()
        if not LOCAL.match(before) or REFERENCE.match(after):
            found.append(before)
            begin = plus.end()
    return [*found, text[begin:].strip()]


def pair(environment: Target, content: Target) -> Target:
    """Return *content* in the environment of *environment*; raises `BadReference` for more."""
    if environment.environment or content.environment:
        raise BadReference(
            "This names more than two repositories.",
            hint="Write ENVIRONMENT + CONTENT, each a repository alone.",
        )
    if environment.repo == content.repo:
        return content
    return Target(content.repo, content.opening, environment.repo)


def pulled(target: Target) -> Target:
    """Return *target* as it is, or as a pair where it opens nbgitpuller's page."""
    path, _, query = target.opening.partition("?")
    if path.strip("/") != PULL or "repo" not in dict(parse_qsl(query)):
        return target
    return pair(target, _read_pull(query))


def parse_pull(url: SplitResult) -> Target | None:
    """Return what nbgitpuller's link *url* to any hub brings, or None if it is none.

    Which environment that hub has is not known here: the content's own files say it, then.
    """
    is_pull = url.path.rstrip("/").endswith(f"/{PULL}") and url.hostname not in FORGES
    return _read_pull(url.query) if is_pull and "repo" in dict(parse_qsl(url.query)) else None


def _read_pull(query: str) -> Target:
    """Return what nbgitpuller fetches, and opens, for *query*: its own parameters."""
    said = dict(parse_qsl(query.partition("#")[0]))
    locator = locate(said["repo"])
    if not host_of(locator):
        raise BadReference(f"“{said['repo'][:80]}” is not the address of a repository.")
    repo = RepoRef("git", locator, check_version(said.get("branch", "HEAD")))
    name = said["repo"].rstrip("/").rpartition("/")[2].removesuffix(".git")
    folder = _first(said, "targetpath").strip("/")
    if opening := _first(said, "urlpath"):
        folders = [folder] if folder else [name, f"{name}.git"]
        return Target(repo, _without(check_opening(opening), folders))
    path = _first(said, "subpath")
    return Target(repo, "" if path in {"", "."} else path_opening(path))


def _first(said: dict[str, str], name: str) -> str:
    """Return nbgitpuller's parameter *name*, which it also takes in an older spelling."""
    return said.get(name, "") or said.get(name.replace("path", "Path"), "")


def _without(opening: str, folders: list[str]) -> str:
    """Return *opening* without the folder that nbgitpuller puts the repository in.

    Here its files are the home itself.
    """
    path = re.split(r"[?#]", opening, maxsplit=1)[0]
    names = "|".join(re.escape(one) for name in folders for one in (name, quote(name)))
    inside = re.sub(rf"^((?:[^/]+/)*?(?:{VIEWS}))/(?:{names})(?=/|$)", r"\1", path, count=1)
    return ("lab" if inside.strip("/") == "lab/tree" else inside) + opening[len(path) :]
