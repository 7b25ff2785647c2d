"""Mercurial: its repositories, written as pip writes them: ``hg+https://HOST/PATH@VERSION``.

Nothing in an address tells a Mercurial repository from a git one, but for hosts that are called
``hg.…``; of those, pages of hgweb, Mercurial's own web server, are understood as well
(``/file/VERSION/PATH``, ``/rev/VERSION``). So is ``hg:https://…``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlunsplit

from atoll.errors import BadReference
from atoll.sources import RepoRef, Target
from atoll.sources.checking import check_text, check_version, path_opening
from atoll.sources.locators import locate, split_version

PROVIDER = "mercurial"
PREFIX = "hg+"
TYPED = re.compile(r"^hg[+:](?=[a-z]+:/|/|\.)", re.IGNORECASE)
PAGE = re.compile(r"(?P<repo>.+?)/(?:file|rev|log|shortlog|graph)/(?P<version>[^/]+)(?P<path>/.*)?")
SCHEMES = ("https", "http", "ssh")


def parse_mercurial(text: str) -> Target | None:
    """Return the Mercurial repository that *text* names, or None if it names none.

    Raises `BadReference`.
    """
    typed = TYPED.match(text)
    if not typed:
        return None
    scheme, colon, place = text[typed.end() :].partition("://")
    host, slash, path = place.partition("/")
    path, version = split_version(path)
    return mercurial_target(f"{scheme}{colon}{host}{slash}{path}", version)


def parse_hgweb(url: SplitResult) -> Target | None:
    """Return the Mercurial repository that *url* leads to, None if its host is not called so.

    Raises `BadReference`.
    """
    if not (url.hostname or "").startswith("hg."):
        return None
    site = f"{url.scheme}://{url.netloc}"
    if page := PAGE.fullmatch(url.path):
        found = mercurial_target(f"{site}{page['repo']}", unquote(page["version"]))
        path = unquote(page["path"] or "").strip("/")
        return replace(found, opening=path_opening(path)) if path else found
    path, version = split_version(url.path)
    return mercurial_target(urlunsplit(url._replace(path=path)), version)


def mercurial_target(url: str, version: str) -> Target:
    """Return *version* of the repository at *url*; raises `BadReference`."""
    return Target(RepoRef(PROVIDER, locate_mercurial(url), check_version(version)))


def locate_mercurial(text: str) -> str:
    """Return the one locator of the Mercurial repository at the URL, or the locator, *text*.

    Raises `BadReference`.
    """
    url = TYPED.sub("", check_text(text))
    scheme, colon, place = url.partition("://")
    if not colon or scheme.lower() not in SCHEMES:
        hint = f"Write {PREFIX}https://HOST/REPOSITORY. A folder is opened by its path alone."
        raise BadReference(f"“{text[:80]}” is not a Mercurial repository's address.", hint=hint)
    return f"{PREFIX}{locate(f'{scheme.lower()}://{place}')}"


def url_of(locator: str) -> str:
    """Return what hg is asked for, for the *locator* of a Mercurial repository."""
    return locator.removeprefix(PREFIX)
