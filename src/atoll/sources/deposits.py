"""Deposits: the texts that name what was published once: DOIs, records' pages, SWHIDs, archives.

Each has one locator, however it was typed: ``doi:10.1234/x``, ``swh:1:dir:…``, a URL, or, of a file
that somebody sent here, ``upload:SHA256/NAME``. Where a DOI says by itself whose it is, as Zenodo's
and Figshare's do, nobody need be asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from atoll.errors import BadReference
from atoll.sources import RepoRef, Target
from atoll.sources.checking import check_version, path_opening
from atoll.sources.locators import climbs

PROVIDER = "deposits"
UPLOADED = "upload"
ARCHIVE = r"\.(?:zip|tar|tgz|tbz2?|txz|tar\.(?:gz|bz2|xz))"
# What Crossref recommends to find DOIs by, and "+"; any other character is in none of a repository.
DOI = re.compile(r"10\.\d{4,9}(?:\.\d+)*/[-._;()/:+A-Za-z0-9]+")
SWHID = re.compile(r"swh:1:(cnt|dir|rev|rel|snp):([0-9a-f]{40})")
VERSIONED = re.compile(r"(.+)@(\w[\w.-]*)")
ZENODO = re.compile(r"10\.5281/zenodo\.(\d+)", re.IGNORECASE)
FIGSHARE = re.compile(r"10\.6084/m9\.figshare\.(\d+)(?:\.v(\d+))?", re.IGNORECASE)
HYDROSHARE = re.compile(r"10\.4211/hs\.([0-9a-f]{32})", re.IGNORECASE)
OSF = re.compile(r"10\.17605/osf\.io/([a-z0-9]{5})", re.IGNORECASE)


class Kind(Enum):
    """What kind of place a deposit is at; each is asked in its own way."""

    DOI = "DOI"
    INVENIO = "InvenioRDM record"
    ZENODO = "Zenodo record"
    FIGSHARE = "Figshare article"
    DATAVERSE = "Dataverse dataset"
    HYDROSHARE = "HydroShare resource"
    CKAN = "CKAN dataset"
    OSF = "OSF project"
    HERITAGE = "Software Heritage"
    ARCHIVE = "Archive"
    UPLOAD = "Upload"


SITE = r"(?P<site>https?://[^/?#]+)"
LOCATORS = (  # the first that fits says what a locator's place is
    (Kind.ZENODO, r"doi:10\.5281/zenodo\.(?P<id>\d+)"),
    (Kind.FIGSHARE, r"doi:10\.6084/m9\.figshare\.(?P<id>\d+)"),
    (Kind.DOI, r"doi:(?P<id>10\..+)"),
    (Kind.HERITAGE, r"(?P<id>swh:1:.+)"),
    (Kind.UPLOAD, rf"{UPLOADED}:(?P<id>[0-9a-f]{{64}}/[A-Za-z0-9_][A-Za-z0-9_.-]{{0,99}})"),
    (Kind.ARCHIVE, rf"(?i:(?P<id>{SITE}/[^?#]+{ARCHIVE}(?:\?[^#]*)?))"),
    (Kind.OSF, r"https://osf\.io/(?P<id>[a-z0-9]{5})"),
    (Kind.HYDROSHARE, r"https://www\.hydroshare\.org/resource/(?P<id>[0-9a-f]{32})"),
    (Kind.INVENIO, rf"{SITE}/records/(?P<id>[a-z0-9-]+)"),
    (Kind.DATAVERSE, rf"{SITE}/[^?#]*\?persistentId=(?P<id>[^&#]+)"),
    (Kind.CKAN, r"(?P<site>https?://[^?#]+)/dataset/(?P<id>[^/?#]+)"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a locator says: the kind of place, its address ("" for the one there is), and the id."""

    kind: Kind
    id: str
    site: str = ""


def place_of(locator: str) -> Place:
    """Take a deposit's *locator* apart; raises `BadReference` for one that is none."""
    for kind, pattern in LOCATORS:
        if found := re.fullmatch(pattern, locator):
            return Place(kind, found["id"], found.groupdict().get("site", ""))
    raise BadReference(f"“{locator[:80]}” is not a deposit.")


def page_of(repo: RepoRef) -> str:
    """Return the address at which a person can look at the deposit *repo*."""
    place = place_of(repo.locator)
    if place.kind is Kind.ZENODO:
        number = repo.version if repo.version.isdigit() else place.id
        return f"https://zenodo.org/records/{number}"
    if place.kind is Kind.FIGSHARE:
        version = f".v{repo.version}" if repo.version.isdigit() else ""
        return f"https://doi.org/10.6084/m9.figshare.{place.id}{version}"
    if place.kind is Kind.HERITAGE:
        return f"https://archive.softwareheritage.org/{place.id}"
    return f"https://doi.org/{place.id}" if place.kind is Kind.DOI else repo.locator


def parse_name(text: str) -> Target | None:
    """Return the deposit that *text* names without being a URL, or None if it names none.

    Raises `BadReference` for what is nearly such a name.
    """
    word, colon, rest = text.partition(":")
    word, rest = word.strip().lower(), rest.strip()
    if word == UPLOADED and colon:
        return parse_upload(rest)
    if re.match(r"10\.\d{4,9}[\d.]*/", text):
        return parse_doi(text)
    if not colon or word not in {"doi", "zenodo", "swh"}:
        return None
    if word == "swh":
        return parse_swhid(text)
    if word == "doi":
        url = re.match(r"(?:https?://)?(?:dx\.|www\.)?doi\.org/", rest, re.IGNORECASE)
        return parse_doi(rest[url.end() :] if url else rest)
    number = rest.removeprefix("10.5281/").removeprefix("zenodo.")
    if not re.fullmatch(r"\d+(?:@\w[\w.-]*)?", number):
        raise BadReference(
            f"“{rest[:80]}” is not a Zenodo record.", hint="Write zenodo:NUMBER, or paste its DOI."
        )
    return parse_doi(f"10.5281/zenodo.{number}")


def parse_doi(text: str) -> Target:
    """Return the deposit with the DOI *text*, which may have ``@VERSION`` behind it."""
    text = unquote(text).strip().rstrip(".,;/")
    doi, version = split_version(text)
    if not DOI.fullmatch(doi) or climbs(doi):
        raise BadReference(
            f"“{doi[:80]}” is not a DOI of a repository.",
            hint="A DOI looks like 10.5281/zenodo.3242074.",
        )
    if found := ZENODO.fullmatch(doi):
        return target(f"doi:10.5281/zenodo.{int(found[1])}", version)
    if found := FIGSHARE.fullmatch(doi):
        return target(f"doi:10.6084/m9.figshare.{int(found[1])}", version or found[2] or "")
    if found := HYDROSHARE.fullmatch(doi):
        return target(hydroshare(found[1]), version)
    if found := OSF.fullmatch(doi):
        return target(f"https://osf.io/{found[1].lower()}", version)
    return target(f"doi:{doi}", version)


def parse_swhid(text: str) -> Target:
    """Return what the SWHID *text* identifies, with its qualifiers.

    A file that stands in an ``anchor`` is opened in it; of a directory, an ``anchor`` tells the
    date. What else a qualifier says is only for people.
    """
    text, version = split_version(unquote(text).strip())
    core, *words = text.split(";")
    found = SWHID.fullmatch(core)
    if not found:
        raise _no_swhid(core)
    qualifiers = dict(word.partition("=")[::2] for word in words)
    anchor, path = qualifiers.get("anchor", ""), qualifiers.get("path", "").strip("/")
    if not SWHID.fullmatch(anchor) or ":cnt:" in anchor:
        anchor = ""
    if climbs(path):
        raise BadReference("The path in this SWHID leads out of what it identifies.")
    opening = path_opening(path) if path else ""
    if found[1] == "cnt" and anchor and path:
        return target(anchor, version, opening)
    if found[1] == "dir":
        return target(f"{core};anchor={anchor}" if anchor else core, version)
    return target(core, version, opening if found[1] != "cnt" else "")


def parse_upload(text: str) -> Target:
    """Return the upload *text*, its SHA-256 and its name; a notebook is opened."""
    text, version = split_version(unquote(text))
    locator = f"{UPLOADED}:{text}"
    try:
        place_of(locator)
    except BadReference as error:
        hint = "Upload the file again, or copy the whole of what the page gave you."
        raise BadReference(f"“{locator[:80]}” is no upload.", hint=hint) from error
    opening = path_opening(text.partition("/")[2]) if text.endswith(".ipynb") else ""
    return target(locator, version, opening)


def target(locator: str, version: str, opening: str = "") -> Target:
    """Return the deposit at *locator* in *version*, "" for whichever is the newest."""
    return Target(RepoRef(PROVIDER, locator, check_version(version or "HEAD")), opening)


def split_version(text: str) -> tuple[str, str]:
    """Split the version off at the last ``@``; it is "" where there is none."""
    found = VERSIONED.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def hydroshare(number: str) -> str:
    """Return the locator of a HydroShare resource."""
    return f"https://www.hydroshare.org/resource/{number.lower()}"


def _no_swhid(core: str) -> BadReference:
    hint = "A SWHID is swh:1:, then dir, rev, rel, snp or cnt, and 40 hexadecimal digits."
    if core.startswith("swh:1:ori:"):
        hint = "An origin is no version: take the permalink of a directory or a revision of it."
    return BadReference(f"“{core[:80]}” is not a SWHID that can be opened.", hint=hint)
