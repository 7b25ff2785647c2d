"""Binder: its links and specs, so that ten thousand READMEs work by changing nothing.

The format of a link is BinderHub's: ``/v2/PROVIDER/SPEC?urlpath=…|filepath=…|labpath=…``, where
SPEC is ``owner/repo/version`` for GitHub, ``QUOTED-NAMESPACE/version`` for GitLab,
``QUOTED-URL/version`` for any git server, ``user/id[/version]`` for a gist, a DOI for Zenodo,
Figshare and Dataverse, an id for HydroShare and a quoted URL for CKAN. ``swh`` (a SWHID), ``doi``
(any DOI), ``url`` (the quoted URL of a page or an archive) and ``hg`` (as ``git``, of a Mercurial
repository) are Atoll's own. So is
``content=PROVIDER/SPEC``, which names the files that are opened in the environment of the link's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from atoll.errors import BadReference
from atoll.sources import RepoRef, Target
from atoll.sources.checking import IN_URL_PATHS, check_opening, check_text, check_version
from atoll.sources.deposits import (
    PROVIDER,
    UPLOADED,
    Kind,
    hydroshare,
    parse_doi,
    parse_swhid,
    parse_upload,
    place_of,
    split_version,
    target,
)
from atoll.sources.locators import SHORT, host_of, locate, path_parts
from atoll.sources.mercurial import PROVIDER as MERCURIAL
from atoll.sources.mercurial import mercurial_target, url_of
from atoll.sources.pages import parse_page
from atoll.sources.pairs import pair, pulled

REPOSITORIES = ("gh", "gl", "git", "gist", "hg")
DEPOSITS = ("zenodo", "figshare", "dataverse", "hydroshare", "ckan", "swh", "doi", "url", "upload")
BY_ID = {Kind.HYDROSHARE: "hydroshare", Kind.HERITAGE: "swh", Kind.UPLOAD: UPLOADED}
PROVIDERS = (*REPOSITORIES, *DEPOSITS)
LINK = re.compile(rf"(?:/[^?#]*?)?/v2/({'|'.join(PROVIDERS)})/(.+)")


def parse_binder(provider: str, spec: str, query: Mapping[str, str]) -> Target:
    """Return what BinderHub would launch for ``/v2/PROVIDER/SPEC?QUERY``.

    *spec* is as it stands in the URL, still quoted; *query* is decoded. With a ``content``
    (``PROVIDER/SPEC``), or where nbgitpuller is opened, it is a pair. Raises `BadReference`.
    """
    found = pulled(_parse_repository(provider, spec, query))
    if not query.get("content"):
        return found
    theirs, _, spec = query["content"].partition("/")
    content = _parse_repository(theirs, spec, {})
    return pair(found, replace(content, opening=found.opening or content.opening))


def _parse_repository(provider: str, spec: str, query: Mapping[str, str]) -> Target:
    spec = check_text(spec).strip("/")
    if provider in DEPOSITS:
        try:
            found = _parse_deposit(provider, spec)
        except ValueError as error:  # urlsplit's, of “http://[”
            raise BadReference(f"“{spec[:80]}” is not a URL.") from error
        return Target(found.repo, opening_of(query) or found.opening)
    if provider not in PROVIDERS:
        raise BadReference(
            f"There is no provider “{provider[:20]}”.", hint=f"There are {', '.join(PROVIDERS)}."
        )
    locator, version = _read_spec(provider, spec)
    if provider == "hg":
        return Target(mercurial_target(locator, version).repo, opening_of(query))
    return Target(RepoRef("git", locate(locator), check_version(version)), opening_of(query))


def parse_link(url: str) -> Target | None:
    """Return what the Binder link *url* launches, whatever its host, or None if it is none."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if found := LINK.fullmatch(parts.path):
        return parse_binder(found[1], found[2], query)
    if parts.hostname in {"mybinder.org", "beta.mybinder.org"}:
        if old := re.fullmatch(r"/repo/([^/]+)/([^/]+)(?:/(.*))?", parts.path):  # until 2017
            return parse_binder("gh", f"{old[1]}/{old[2]}/HEAD", query)
        raise BadReference(
            "This Binder link names no repository.",
            hint="It looks like https://HOST/v2/gh/OWNER/REPOSITORY/VERSION.",
        )
    return None


def query_of(text: str) -> dict[str, str]:
    """Return what the link *text* says after its "?", if it is one for launching; else nothing."""
    try:
        return dict(parse_qsl(urlsplit(text).query)) if parse_link(text) else {}
    except (ValueError, BadReference):  # urlsplit's, of “http://[”; or it names nothing
        return {}


def opening_of(query: Mapping[str, str]) -> str:
    """Return where *query* wants to land: labpath wins over filepath wins over urlpath."""
    if path := query.get("labpath", ""):
        return check_opening("doc/tree/" + quote(path.lstrip("/"), safe=IN_URL_PATHS))
    if path := query.get("filepath", ""):
        return check_opening("tree/" + quote(path.lstrip("/"), safe=IN_URL_PATHS))
    return check_opening(query.get("urlpath", ""))


def binder_spec(repo: RepoRef) -> tuple[str, str]:
    """Return *repo* as Binder's provider and spec: what `parse_binder` reads back.

    Of a version that runs into a path (``path_follows``) the first part is taken.
    """
    if repo.provider == PROVIDER:
        return _deposit_spec(repo)
    version = repo.version.split("/", 1)[0] if repo.path_follows else repo.version
    version = quote(version, safe="/@+,=!$&'();")
    if repo.provider == MERCURIAL:
        return "hg", f"{quote(url_of(repo.locator), safe='')}/{version}"
    host, parts = host_of(repo.locator), path_parts(repo.locator)
    if repo.locator.startswith("https://"):
        if host == "github.com":
            return "gh", f"{'/'.join(parts)}/{version}"
        if host == "gitlab.com":
            return "gl", f"{quote('/'.join(parts), safe='')}/{version}"
        if host == "gist.github.com" and len(parts) == 2:  # noqa: PLR2004 - user and id
            return "gist", f"{'/'.join(parts)}/{version}"
    return "git", f"{quote(repo.locator, safe='')}/{version}"


def _deposit_spec(repo: RepoRef) -> tuple[str, str]:
    """Return the deposit *repo* as a provider and a spec of a ``/v2/`` link.

    They are Binder's where it has such a provider, and ours (``doi``, ``swh``, ``url``,
    ``upload``) elsewhere.
    """
    place = place_of(repo.locator)
    version = "" if repo.version == "HEAD" else repo.version
    behind = f"@{version}" if version else ""
    if place.kind is Kind.ZENODO:
        return "zenodo", f"10.5281/zenodo.{version or place.id}"
    if place.kind is Kind.FIGSHARE:
        return "figshare", f"10.6084/m9.figshare.{place.id}{f'.v{version}' if version else ''}"
    if kind := BY_ID.get(place.kind):
        return kind, place.id + behind
    if place.kind is Kind.DOI:
        return "dataverse" if "/DVN/" in place.id else "doi", place.id + behind
    if place.kind is Kind.DATAVERSE and place.id.startswith("doi:"):
        return "dataverse", place.id.removeprefix("doi:") + behind
    return "ckan" if place.kind is Kind.CKAN else "url", quote(repo.locator, safe="") + behind


def _parse_deposit(provider: str, spec: str) -> Target:
    """Return the deposit of a ``/v2/PROVIDER/SPEC`` link; *spec* is still quoted."""
    text = unquote(spec)
    if provider == "swh":
        return parse_swhid(text)
    if provider == UPLOADED:
        return parse_upload(text)
    if provider == "hydroshare":
        number = re.search(r"(?<![0-9a-f])([0-9a-f]{32})(?![0-9a-f])", text)
        if not number:
            raise BadReference(f"“{text[:80]}” is not a HydroShare resource.", hint="Write its id.")
        return target(hydroshare(number[1]), split_version(text)[1])
    if provider in {"ckan", "url"} or re.match("https?://", text):
        found = parse_page(urlsplit(check_text(text)))
        if found is None:
            raise BadReference(
                f"“{text[:80]}” is not the address of a deposit.",
                hint="Write the address of a dataset's page, or of an archive.",
            )
        return found
    return parse_doi(text)


def _read_spec(provider: str, spec: str) -> tuple[str, str]:
    """Return the locator and the version in *spec*."""
    parts = spec.split("/")
    if provider in {"gh", "gist"}:
        least = 3 if provider == "gh" else 2
        if len(parts) < least:
            raise _incomplete(provider, spec)
        version = unquote("/".join(parts[2:])) or "HEAD"
        return f"{SHORT[provider]}/{unquote(parts[0])}/{unquote(parts[1])}", version
    if len(parts) < 2:  # noqa: PLR2004 - where and which version
        raise _incomplete(provider, spec)
    if provider == "gl":
        # nobody quotes the slashes by hand: then all but the last part is the namespace
        at = 1 if "%2f" in parts[0].lower() else len(parts) - 1
        namespace, version = "/".join(parts[:at]), "/".join(parts[at:])
        return f"{SHORT['gl']}/{unquote(namespace)}", unquote(version)
    if parts[0] in {"https:", "http:", "ssh:", "git:", "file:"}:  # likewise
        return unquote("/".join(parts[:-1])), unquote(parts[-1])
    return unquote(parts[0]), unquote("/".join(parts[1:]))


def _incomplete(provider: str, spec: str) -> BadReference:
    shapes = {
        "gh": "OWNER/REPOSITORY/VERSION",
        "gl": "GROUP%2FREPOSITORY/VERSION",
        "git": "QUOTED-URL/VERSION",
        "hg": "QUOTED-URL/VERSION",
        "gist": "USER/ID",
    }
    return BadReference(
        f"“{spec[:80]}” is not complete.", hint=f"Write /v2/{provider}/{shapes[provider]}."
    )
