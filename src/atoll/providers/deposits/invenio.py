"""Invenio: records of Zenodo and of any other InvenioRDM.

API: ``/api/records/ID`` and ``/api/records/ID/files`` (https://inveniordm.docs.cern.ch/reference/rest_api_index/).
Each version is a record of its own; the id that stands for all of them leads to the newest.
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
)


async def look_up(client: Client, site: str, number: str, version: str) -> Deposit:
    """Return the record *number* at *site*, or its *version*, another record's id."""
    record = await _record(client, site, number if version == "HEAD" else version)
    taken = str(record["id"])
    if version != "HEAD" and number not in {taken, *_all_versions(record)}:
        raise NotFound(f"Record {version} is not a version of record {number} at {site}.")
    listed = await client.json(f"{site}/api/records/{quote(taken, safe='')}/files")
    metadata = record.get("metadata") or {}
    return Deposit(
        title=shown(metadata.get("title") or record.get("title") or ""),
        version=taken,
        date=date_in(record.get("created")) or date_in(metadata.get("publication_date")),
        files=tuple(_file(site, taken, one) for one in listed.get("entries") or ()),
        newest=version == "HEAD" and taken != number,
    )


async def _record(client: Client, site: str, number: str) -> dict[str, Any]:
    """Ask for a record; of one that stands for all versions, Zenodo leads to the newest itself."""
    address = f"{site}/api/records/{quote(number, safe='')}"
    try:
        record: dict[str, Any] = await client.json(address)
    except NotFound:
        record = await client.json(f"{address}/versions/latest")
    return record


def _all_versions(record: dict[str, Any]) -> set[str]:
    """Return the ids that stand for all versions of *record*."""
    return {str(record.get("conceptrecid")), str((record.get("parent") or {}).get("id"))}


def _file(site: str, number: str, entry: dict[str, Any]) -> DepositFile:
    key = str(entry["key"])
    algorithm, _, digits = str(entry.get("checksum") or "").partition(":")
    here = f"{site}/api/records/{quote(number, safe='')}/files/{quote(key, safe='/')}/content"
    return DepositFile(
        path=key,
        url=str((entry.get("links") or {}).get("content") or here),
        size=size_in(entry.get("size")),
        checksum=checksum_of(digits, algorithm),
    )
