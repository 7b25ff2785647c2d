"""Dataverse: datasets of any Dataverse installation.

API: ``/api/datasets/:persistentId/versions/VERSION?persistentId=ID``, ``/api/files/…`` and
``/api/access/datafile/ID`` (https://guides.dataverse.org/en/latest/api/). Released versions, such
as 1.0, do not change.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from atoll.errors import NotFound
from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import (
    Deposit,
    DepositFile,
    checksum_of,
    date_in,
    shown,
    size_in,
    warn_of,
)


async def look_up(client: Client, site: str, number: str, version: str) -> Deposit:
    """Return the dataset with the persistent id *number* at *site*, or the one that file is in."""
    try:
        found = await _version(client, site, number, version)
    except NotFound:
        found = await _version(client, site, await _dataset_of(client, site, number), version)
    taken = f"{int(found['versionNumber'])}.{int(found['versionMinorNumber'])}"
    files = [one for one in found["files"] if not one.get("restricted")]
    closed = [str(one.get("label")) for one in found["files"] if one.get("restricted")]
    return Deposit(
        title=_title(found),
        version=taken,
        date=date_in(found.get("releaseTime")) or date_in(found.get("lastUpdateTime")),
        files=tuple(_file(site, one) for one in files),
        newest=version == "HEAD",
        warnings=warn_of(closed, "who may have it is restricted"),
    )


async def is_one(client: Client, site: str) -> bool:
    """Say whether a Dataverse answers at *site*."""
    answer = await client.json(f"{site}/api/info/version")
    return isinstance(answer, dict) and answer.get("status") == "OK"


async def _version(client: Client, site: str, number: str, version: str) -> dict[str, Any]:
    asked = ":latest-published" if version == "HEAD" else quote(version, safe="")
    address = f"{site}/api/datasets/:persistentId/versions/{asked}"
    answer = await client.json(f"{address}?persistentId={quote(number, safe=':/')}")
    data: dict[str, Any] = answer["data"]
    return data


async def _dataset_of(client: Client, site: str, number: str) -> str:
    """Return the persistent id of the dataset in which the file *number* is."""
    address = f"{site}/api/files/:persistentId?persistentId={quote(number, safe=':/')}"
    answer = await client.json(f"{address}&returnDatasetVersion=true")
    return str(answer["data"]["datasetVersion"]["datasetPersistentId"])


def _file(site: str, one: dict[str, Any]) -> DepositFile:
    """Return the file as its authors uploaded it.

    Of a table Dataverse keeps a version of its own beside the original; what its checksum and its
    size are about then differs from installation to installation.
    """
    data = one["dataFile"]
    name = data.get("originalFileName") or one.get("label") or data["filename"]
    folder = str(one.get("directoryLabel") or "")
    address = f"{site}/api/access/datafile/{int(data['id'])}"
    if data.get("originalFileFormat"):
        size = size_in(data.get("originalFileSize"))
        return DepositFile(f"{folder}/{name}", f"{address}?format=original", size)
    checksum = data.get("checksum") or {"type": "MD5", "value": data.get("md5")}
    return DepositFile(
        path=f"{folder}/{name}",
        url=address,
        size=size_in(data.get("filesize")),
        checksum=checksum_of(checksum.get("value"), str(checksum.get("type"))),
    )


def _title(found: dict[str, Any]) -> str:
    citation = (found.get("metadataBlocks") or {}).get("citation") or {}
    fields = citation.get("fields") or ()
    return shown(next((one["value"] for one in fields if one.get("typeName") == "title"), ""))
