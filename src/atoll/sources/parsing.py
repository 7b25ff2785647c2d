"""Parsing: one field that understands anything one can paste.

Nothing here looks at a disk or a network: what a text means never depends on where it is read
(but for ``~`` and relative folders, which the command line has always resolved by itself).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit, urlunsplit

from atoll.errors import BadReference
from atoll.sources import RepoRef, Target
from atoll.sources.binder import binder_spec, parse_binder, parse_link
from atoll.sources.checking import (
    check_opening,
    check_text,
    check_version,
    check_version_and_path,
    path_opening,
)
from atoll.sources.deposits import parse_name
from atoll.sources.locators import (
    FORGES,
    LOCAL,
    SCHEMES,
    SCP,
    SHORT,
    VERSION,
    locate,
    split_version,
)
from atoll.sources.mercurial import parse_hgweb, parse_mercurial
from atoll.sources.pages import HOSTS as PAGES_OF
from atoll.sources.pages import parse_page
from atoll.sources.pairs import halves, pair, parse_pull

__all__ = [
    "Target",
    "binder_spec",
    "check_opening",
    "check_version",
    "parse",
    "parse_binder",
    "path_opening",
]

VCS_URL = re.compile(r"git\+(?=[a-z]+://)", re.IGNORECASE)  # what pip calls a URL of git's
HOSTS = (*FORGES, "mybinder.org", "doi.org", "dx.doi.org", *PAGES_OF)
ALIASES = {"github": "gh", "gitlab": "gl", "bitbucket": "bb"}
FORMS = (
    "Paste a repository's URL or a DOI, or write gh:OWNER/REPOSITORY, "
    "or a folder such as ./project."
)
FILE = re.compile(r"/[^/]+/[^/]+/releases/download/|/-/releases/[^/]+/downloads/|/downloads/")
GITHUBS = re.compile(r"/([^/]+/[^/]+)/archive/(?:refs/(?:heads|tags)/)?(.+?)\.(?:zip|tar\.gz)")
GITLABS = re.compile(r"/(.+)/-/archive/([^/]+)/[^/]+\.(?:zip|tar|tar\.gz|tar\.bz2)")
NAMES = ("doi", "zenodo", "swh", "upload")
PAGES = {"tree", "blob", "raw", "blame", "edit", "commit", "commits"}


def parse(text: str, version: str = "") -> Target:
    """Return what *text* points at; *version*, if given, wins over one in the text.

    Of a pair, *version* is the content's.

    Raises `BadReference`, whose hint says what was probably meant.
    """
    text = check_text(text)
    try:
        target = _parse_pair(text)
    except ValueError as error:  # urlsplit's, of “http://[”
        raise BadReference(f"“{text[:80]}” is not a URL.", hint=FORMS) from error
    if version.strip():
        version = check_version(version.strip())
        repo = replace(target.repo, version=version, path_follows=False)
        return replace(target, repo=repo)
    return target


def _parse_pair(text: str) -> Target:
    found = halves(text)
    if len(found) == 1:
        return _parse(text)
    if len(found) > 2 or not all(found):  # noqa: PLR2004 - an environment and a content
        raise BadReference(
            "A “+” stands between two repositories.",
            hint="Write gh:OWNER/ENVIRONMENT + gh:OWNER/CONTENT.",
        )
    return pair(*map(_parse, found))


def _parse(text: str) -> Target:
    if not text:
        raise BadReference("There is no repository.", hint=FORMS)
    if LOCAL.match(text):
        return _plain(*_split_folder(text))
    text = VCS_URL.sub("", text)
    short, colon, rest = text.partition(":")
    if colon and short.lower() in SHORT:
        return _parse_short(short.lower(), rest)
    if named := parse_name(text) or parse_mercurial(text):
        return named
    if text.split("/", 1)[0].lower().removeprefix("www.") in HOSTS:
        text = f"https://{text}"
    if re.match(r"https?://", text, re.IGNORECASE):
        return _parse_web(text)
    if "://" in text and short.lower() in SCHEMES:
        scheme, _, place = text.partition("://")
        host, slash, path = place.partition("/")
        path, version = split_version(path)
        return _plain(f"{scheme.lower()}://{host}{slash}{path}", version)
    if (scp := SCP.fullmatch(text)) and "::" not in text:
        path, version = split_version(scp["path"])
        return _plain(f"{scp['user']}@{scp['host']}:{path}", version)
    raise _not_understood(text)


def _plain(locator: str, version: str) -> Target:
    return Target(RepoRef("git", locate(locator), check_version(version)))


def _split_folder(text: str) -> tuple[str, str]:
    """Split a folder at the first ``@`` of its last part: its parents may be ``/home/me@work``.

    A slash ends a name that holds an ``@`` itself, as in ``/srv/r@2/`` and ``/srv/r@2/@main``.
    """
    parent, slash, last = text.rpartition("/")
    name, at, version = last.partition("@")
    if not at:
        return text, "HEAD"
    return f"{parent}{slash}{name}", re.sub("%2f", "/", version, flags=re.IGNORECASE)


def _parse_short(short: str, rest: str) -> Target:
    path, version = split_version(rest)
    parts = path.strip("/").split("/")
    if short == "gist" and len(parts) != 2:  # noqa: PLR2004 - user and id
        raise BadReference(f"“{path[:80]}” is not a gist.", hint="Write gist:USER/ID.")
    try:
        return _plain(f"{SHORT[short]}/{path.strip('/')}", version)
    except BadReference as error:
        hint = f"Write {short}:OWNER/REPOSITORY, or …@VERSION."
        raise BadReference(str(error), hint=error.hint or hint) from error


def _parse_web(text: str) -> Target:
    if link := parse_link(text):
        return link
    url = urlsplit(text)
    if pull := parse_pull(url):
        return pull
    host = (url.hostname or "").lower().removeprefix("www.")
    if forge := _split_archive(host, url.path):
        return _plain(f"https://{host}/{forge[0]}", forge[1])
    known_by_host = host in FORGES and not FILE.search(url.path)
    if not known_by_host and (found := parse_page(url) or parse_hgweb(url)):
        return found
    parts = [part for part in url.path.split("/") if part]
    site = f"{url.scheme.lower()}://{url.netloc}"
    page = _split_page(host, parts)
    if page and not VERSION.search("/".join(page[0])):  # in o/r@a/tree/b, all from a on is a branch
        repo, rest = page
        return _at_page(f"{site}/{'/'.join(repo)}", rest)
    if host in FORGES:
        url = url._replace(query="", fragment="")  # “?tab=readme-ov-file#install”
    path, version = split_version(url.path)
    return _plain(urlunsplit(url._replace(scheme=url.scheme.lower(), path=path)), version)


def _split_archive(host: str, path: str) -> tuple[str, str] | None:
    """Split the address of an archive that GitHub or GitLab make of any version of a repository."""
    made = {"github.com": GITHUBS, "gitlab.com": GITLABS}.get(host)
    found = made.fullmatch(path) if made else None
    return (found[1], unquote(found[2])) if found else None


def _split_page(host: str, parts: list[str]) -> tuple[list[str], list[str]] | None:
    """Split the path of a browser's URL into the repository and what it shows of it.

    The forms are GitHub's, GitLab's (``/-/tree/``), Bitbucket's (``/src/``) and Gitea's
    (``/src/branch/``), on any host, since all but Bitbucket can be installed anywhere.
    """
    if "-" in parts:
        at = parts.index("-")
        return (
            (parts[:at], parts[at + 2 :])
            if parts[at + 1 : at + 2] and parts[at + 1] in PAGES
            else None
        )
    if host == "gist.github.com" and len(parts) == 3:  # noqa: PLR2004 - user, id and revision
        return parts[:2], parts[2:]
    kind = parts[2] if len(parts) > 3 else ""  # noqa: PLR2004 - owner, name, kind, version
    if kind in PAGES or (kind == "src" and host == "bitbucket.org"):
        return parts[:2], parts[3:]
    if kind == "src" and parts[3] in {"branch", "tag", "commit"}:
        return parts[:2], parts[4:]
    if kind == "releases" and parts[3] == "tag":
        return parts[:2], ["/".join(parts[4:])]
    return None


def _at_page(locator: str, rest: list[str]) -> Target:
    text = unquote("/".join(rest)) or "HEAD"
    if len(rest) > 1:
        return Target(
            RepoRef("git", locate(locator), check_version_and_path(text), path_follows=True)
        )
    return _plain(locator, text)


def _not_understood(text: str) -> BadReference:
    word, colon, rest = text.partition(":")
    if "::" in text:
        return BadReference(f"“{word}::” addresses run programs.", hint="Use an https:// address.")
    if re.fullmatch(r"[\w.-]+/[\w.-]+(?:@.*)?", text):
        return BadReference(
            f"“{text[:80]}” may be many things.",
            hint=f"Did you mean gh:{text} on GitHub, or the folder ./{text}?",
        )
    known = {**{name: name for name in (*SCHEMES, *SHORT, *NAMES)}, **ALIASES}
    if colon and (close := difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)):
        return BadReference(
            f"“{text[:80]}” is not understood.", hint=f"Did you mean {known[close[0]]}:{rest}?"
        )
    if re.match(r"[\w-]+(\.[\w-]+)+(:\d+)?/.", text):
        return BadReference(
            f"“{text[:80]}” is not understood.", hint=f"Did you mean https://{text}?"
        )
    return BadReference(f"“{text[:80]}” is not a reference to a repository.", hint=FORMS)
