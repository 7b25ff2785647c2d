"""Hosts: which repository software answers where, and so how a deposit is asked for.

Addresses of the one Zenodo, Figshare, OSF, HydroShare and Software Heritage are known; a page's own
address tells of others; where a DOI leads to a page that tells nothing, the host is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from atoll.errors import AtollError, BadReference, NotFound, Refused, Unreachable
from atoll.events import Tell
from atoll.providers.deposits import (
    ckan,
    dataverse,
    figshare,
    heritage,
    hydroshare,
    invenio,
    osf,
)
from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import Deposit, checked, shown
from atoll.sources import RepoRef
from atoll.sources.checking import check_version
from atoll.sources.deposits import Kind, Place, place_of
from atoll.sources.locators import host_of
from atoll.sources.pages import parse_page

LookUp = Callable[[Client, str, str, str], Awaitable[Deposit]]
NONSENSE = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)
KNOWN = (
    "Zenodo and other InvenioRDM sites, Figshare, Dataverse, HydroShare, CKAN, OSF and Software "
    "Heritage are known"
)


@dataclass(frozen=True, slots=True)
class Services:
    """Where those services are asked that there is one of."""

    doi: str = "https://doi.org"
    zenodo: str = "https://zenodo.org"
    figshare: str = "https://api.figshare.com/v2"
    osf: str = "https://api.osf.io/v2"
    hydroshare: str = "https://www.hydroshare.org"
    heritage: str = "https://archive.softwareheritage.org/api/1"


async def find(client: Client, services: Services, repo: RepoRef) -> Deposit:
    """Ask for the deposit that *repo* names, in its version or in the newest.

    Raises `NotFound`, `Refused`, `Unreachable`, `TooLarge`, and `BadReference` for a DOI that leads
    to no repository we know.
    """
    place, version = place_of(repo.locator), repo.version
    if place.kind is Kind.DOI:
        place, pinned = await _registered(client, services, place.id)
        version = pinned if version == "HEAD" else version
    look_up, site = _how(place, services)
    with _sense(place.kind, site):
        deposit = checked(await look_up(client, site, place.id, version))
        check_version(deposit.version)
    if version not in {"HEAD", deposit.version}:
        raise NotFound(
            f"{repo.locator} is not in version “{version[:12]}” any more.",
            hint="It keeps no older ones. Leave the version away to open it as it is now.",
        )
    if not deposit.files:
        said = f" {' '.join(deposit.warnings)}" if deposit.warnings else ""
        raise NotFound(f"{repo.locator} has no files that can be fetched.{said}")
    return deposit


async def prepare(
    client: Client, services: Services, repo: RepoRef, deposit: Deposit, tell: Tell
) -> None:
    """Have *deposit* made ready where it must be, before its files can be downloaded."""
    if place_of(repo.locator).kind is Kind.HERITAGE:
        with _sense(Kind.HERITAGE, services.heritage):
            await heritage.prepare(client, services.heritage, deposit, tell)


@contextlib.contextmanager
def _sense(kind: Kind, site: str) -> Iterator[None]:
    """Turn the mistakes that we make with an answer of nonsense into what they mean."""
    try:
        yield
    except (*NONSENSE, BadReference) as error:
        raise Unreachable(
            f"{host_of(site)} does not answer as a {kind.value} is answered for.",
            hint="Does its address lead to what it looks like?",
        ) from error


def _how(place: Place, services: Services) -> tuple[LookUp, str]:
    """Return who asks for a deposit at *place*, and at which address."""
    known: dict[Kind, tuple[LookUp, str]] = {
        Kind.ZENODO: (invenio.look_up, services.zenodo),
        Kind.INVENIO: (invenio.look_up, place.site),
        Kind.FIGSHARE: (figshare.look_up, services.figshare),
        Kind.DATAVERSE: (dataverse.look_up, place.site),
        Kind.HYDROSHARE: (hydroshare.look_up, services.hydroshare),
        Kind.CKAN: (ckan.look_up, place.site),
        Kind.OSF: (osf.look_up, services.osf),
        Kind.HERITAGE: (heritage.look_up, services.heritage),
    }
    return known[place.kind]


async def _registered(client: Client, services: Services, doi: str) -> tuple[Place, str]:
    """Return where *doi*'s registry says it is, and the version that its page names, or HEAD.

    The registry's answer is that of the Handle proxy (https://www.doi.org/the-identifier/resources/
    factsheets/doi-resolution-documentation).
    """
    try:
        answer = await client.json(f"{services.doi}/api/handles/{quote(doi, safe='/')}?type=URL")
        urls = [one["data"]["value"] for one in answer["values"] if one["type"] == "URL"]
        page = str(urls[0])
    except NotFound as error:
        raise NotFound(f"There is no DOI {doi}.", hint="Check how it is spelt.") from error
    except (KeyError, TypeError, IndexError) as error:
        raise NotFound(f"The DOI {doi} leads nowhere.") from error
    if found := _of_page(page):
        return found
    landed = await client.landing(page)
    if found := _of_page(landed):
        return found
    site = "{0.scheme}://{0.netloc}".format(urlsplit(landed))
    try:
        if await dataverse.is_one(client, site):
            return Place(Kind.DATAVERSE, f"doi:{doi}", site), "HEAD"
    except (NotFound, Refused, Unreachable):
        pass
    raise BadReference(
        f"The DOI {doi} leads to {shown(host_of(landed))}, which is no kind of repository that can "
        "be opened.",
        hint=f"{KNOWN}; of others, paste the address of an archive or of a git repository.",
    )


def _of_page(url: str) -> tuple[Place, str] | None:
    try:
        target = parse_page(urlsplit(url))
        place = place_of(target.repo.locator) if target else None
    except (AtollError, ValueError):
        return None
    if target is None or place is None or place.kind in {Kind.DOI, Kind.ARCHIVE}:
        return None
    return place, target.repo.version
