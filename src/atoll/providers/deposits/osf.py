"""OSF: projects, components and registrations of the Open Science Framework.

API: ``/nodes/ID/``, ``/registrations/ID/`` and ``…/files/`` (https://developer.osf.io). Projects
change, and their history cannot be asked for: a version is named by what the files are.
"""

from __future__ import annotations

from typing import Any

from atoll.errors import NotFound, TooLarge
from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import (
    Deposit,
    DepositFile,
    checksum_of,
    date_in,
    digest_of,
    shown,
    size_in,
    warn_of,
)

MOST_PAGES = 2000  # of lists of files, a folder's each
STORAGE = "osfstorage"  # OSF's own; others are people's accounts elsewhere


async def look_up(client: Client, api: str, number: str, version: str) -> Deposit:
    """Return the project *number* as it is now; who asks compares its version."""
    try:
        node = f"{api}/nodes/{number}/"
        about = (await client.json(node))["data"]["attributes"]
    except NotFound:
        node = f"{api}/registrations/{number}/"
        about = (await client.json(node))["data"]["attributes"]
    stores = [
        str(one["attributes"]["provider"]) for one in (await client.json(f"{node}files/"))["data"]
    ]
    files: list[DepositFile] = []
    dates = []
    for one in await _all(client, f"{node}files/{STORAGE}/"):
        about_file = one["attributes"]
        hashes = (about_file.get("extra") or {}).get("hashes") or {}
        checksum = checksum_of(hashes.get("sha256")) or checksum_of(hashes.get("md5"))
        path, url = str(about_file["materialized_path"]), str(one["links"]["download"])
        files.append(DepositFile(path.strip("/"), url, size_in(about_file.get("size")), checksum))
        dates.append(date_in(about_file.get("date_modified")))
    known = [date for date in dates if date]
    others = [store for store in stores if store != STORAGE]
    return Deposit(
        title=shown(about.get("title") or ""),
        version=digest_of(files),
        date=max(known) if known else date_in(about.get("date_modified")),
        files=tuple(files),
        newest=version == "HEAD" and not about.get("registration"),
        warnings=warn_of(others, "only what OSF itself stores is fetched"),
    )


async def _all(client: Client, root: str) -> list[dict[str, Any]]:
    """Return all files below the folder at *root*."""
    files: list[dict[str, Any]] = []
    pending = [root]
    for _ in range(MOST_PAGES):
        if not pending:
            return files
        page = await client.json(pending.pop())
        for one in page["data"]:
            if one["attributes"]["kind"] == "folder":
                pending.append(str(one["relationships"]["files"]["links"]["related"]["href"]))
            else:
                files.append(one)
        if following := (page.get("links") or {}).get("next"):
            pending.append(str(following))
    raise TooLarge("It has more folders than are looked through here.")
