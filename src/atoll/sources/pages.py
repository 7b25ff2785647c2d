"""Pages: the deposit that a web address shows, on the well-known hosts and on anybody's.

Dataverse, InvenioRDM and CKAN run in many places; what their addresses look like tells them from
git repositories, and whether the software is really there is asked when one is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, unquote, urlencode

from atoll.errors import BadReference
from atoll.sources import Target
from atoll.sources.checking import path_opening
from atoll.sources.deposits import (
    ARCHIVE,
    ZENODO,
    hydroshare,
    parse_doi,
    parse_swhid,
    split_version,
    target,
)
from atoll.sources.locators import climbs, locate_site

OTHER_ARCHIVES = re.compile(r"\.(?:7z|rar|zst|tar\.\w+|gz|bz2|xz)", re.IGNORECASE)
RECORD = re.compile(r"/records?/(\d+|[a-z0-9]{5}-[a-z0-9]{5})(?:/(.*))?")
PERSISTENT = re.compile(r"[a-z]+:[-._;()/:+\w]+")
HERITAGE = "archive.softwareheritage.org"
BROWSED = {"directory": "dir", "revision": "rev", "release": "rel", "snapshot": "snp"}


def parse_page(url: SplitResult) -> Target | None:
    """Return the deposit that the web address *url* shows, or None if it looks like none.

    Raises `BadReference` for pages of the well-known hosts that show none.
    """
    host = (url.hostname or "").removeprefix("www.")
    if archive := parse_archive(url):
        return archive
    text, version = split_version(_path_and_query(url))
    path, _, query = text.partition("?")
    if host in {"doi.org", "dx.doi.org"}:
        return parse_doi(url.path.strip("/"))
    if re.search(rf"{OTHER_ARCHIVES.pattern}$", path, re.IGNORECASE):
        raise BadReference(
            f"“{path.rpartition('/')[2][-80:]}” is not an archive that is unpacked here.",
            hint="There are .zip, .tar, .tar.gz, .tar.bz2 and .tar.xz.",
        )
    if (known := HOSTS.get("figshare.com" if host.endswith(".figshare.com") else host)) is None:
        return _any_host(url, path, query, version)
    page, looks = known
    if found := page(path.rstrip("/"), version):
        return found
    raise BadReference(f"This page of {host} shows no deposit.", hint=f"One is at {looks}.")


def parse_archive(url: SplitResult) -> Target | None:
    """Return the archive at *url*, or None if it ends as none does; a version is its SHA-256."""
    text = _path_and_query(url)
    found = re.fullmatch(r"(.+)@([0-9a-f]{64})", text)
    path, _, query = (found[1] if found else text).partition("?")
    if not re.search(rf"{ARCHIVE}$", path, re.IGNORECASE):
        return None
    if climbs(path) or re.search(r"[\s\\\"<>]", path + query):
        raise BadReference(f"“{path[:80]}” does not name an archive.")
    query = f"?{query}" if query else ""
    locator = locate_site(url) + (path + query).replace("@", "%40")
    return target(locator, found[2] if found else "")


def _zenodo(path: str, version: str) -> Target | None:
    if found := RECORD.fullmatch(path):
        rest = unquote(found[2] or "")
        opening = path_opening(file) if (file := rest.removeprefix("files/")) != rest else ""
        return target(f"doi:10.5281/zenodo.{found[1]}", version, opening)
    found = re.fullmatch(rf"/(?:doi|badge/DOI|badge/doi)/({ZENODO.pattern}?)(?:\.svg)?", path)
    return parse_doi(found[1]) if found else None


def _figshare(path: str, version: str) -> Target | None:
    found = re.search(r"/articles/(?:[^/]+/)*?(\d+)(?:/(\d+))?$", path)
    if not found:
        return None
    return target(f"doi:10.6084/m9.figshare.{found[1]}", version or found[2] or "")


def _hydroshare(path: str, version: str) -> Target | None:
    found = re.match(r"/resource/([0-9a-f]{32})(?:/|$)", path)
    return target(hydroshare(found[1]), version) if found else None


def _osf(path: str, version: str) -> Target | None:
    found = re.match(r"/([a-z0-9]{5})(?:/|$)", path.lower())
    return target(f"https://osf.io/{found[1]}", version) if found else None


def _heritage(path: str, _version: str) -> Target | None:
    if path.startswith("/swh:"):
        return parse_swhid(path.strip("/"))
    found = re.fullmatch(r"/browse/(\w+)/([0-9a-f]{40})(?:/.*)?", path)
    if not found or found[1] not in BROWSED:
        return None
    return parse_swhid(f"swh:1:{BROWSED[found[1]]}:{found[2]}")


Page = Callable[[str, str], Target | None]
HOSTS: dict[str, tuple[Page, str]] = {  # who reads a page's path, and what one looks like
    "zenodo.org": (_zenodo, "https://zenodo.org/records/NUMBER"),
    "figshare.com": (_figshare, "https://figshare.com/articles/dataset/TITLE/NUMBER"),
    "hydroshare.org": (_hydroshare, "https://www.hydroshare.org/resource/ID"),
    "osf.io": (_osf, "https://osf.io/ABCDE"),
    HERITAGE: (_heritage, f"https://{HERITAGE}/swh:1:dir:…, the permalink of its pages"),
}


def _any_host(url: SplitResult, path: str, query: str, version: str) -> Target | None:
    """Return the deposit on a page of software that anybody may install."""
    words = parse_qs(query)
    page = path.rstrip("/").rpartition("/")[2]
    if page in {"dataset.xhtml", "citation", "file.xhtml"} and (ids := words.get("persistentId")):
        asked = words.get("version", [""])[0]
        numbered = asked if re.fullmatch(r"\d+(?:\.\d+)?", asked) else ""
        query = urlencode({"persistentId": ids[0]}, safe=":/")
        if not PERSISTENT.fullmatch(ids[0]) or climbs(ids[0]):
            raise BadReference(f"“{ids[0][:80]}” is not a persistent identifier.")
        return target(f"{locate_site(url)}{path}?{query}", version or numbered)
    if found := RECORD.fullmatch(path.rstrip("/")):
        return target(f"{locate_site(url)}/records/{found[1]}", version)
    above, is_dataset, rest = path.rpartition("/dataset/")
    name, _, history = rest.strip("/").partition("/")
    if is_dataset and re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) and not climbs(above):
        activity = words.get("activity_id", [history.removeprefix("history/")])[0]
        known = activity if re.fullmatch(r"[0-9a-f-]{36}", activity) else ""
        return target(f"{locate_site(url)}{above}/dataset/{name}", version or known)
    return None


def _path_and_query(url: SplitResult) -> str:
    return f"{url.path}?{url.query}" if url.query else url.path
