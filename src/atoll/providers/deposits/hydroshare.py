"""HydroShare: resources, which change until they are formally published.

API: ``/hsapi/resource/ID/sysmeta/`` and ``…/files/`` (https://www.hydroshare.org/hsapi/). There is
no history: a version is named by what the files are.
"""

from __future__ import annotations

from urllib.parse import unquote, urljoin

from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import (
    Deposit,
    DepositFile,
    checksum_of,
    date_in,
    digest_of,
    shown,
    size_in,
)

MOST_PAGES = 500
CONTENTS = "/data/contents/"


async def look_up(client: Client, site: str, number: str, version: str) -> Deposit:
    """Return the resource *number* as it is now; who asks compares its version."""
    about = await client.json(f"{site}/hsapi/resource/{number}/sysmeta/")
    files = []
    url: str | None = f"{site}/hsapi/resource/{number}/files/"
    for _ in range(MOST_PAGES):
        if not url:
            break
        page = await client.json(url)
        for one in page["results"]:
            address = urljoin(url, str(one["url"]))
            path = unquote(address.partition(CONTENTS)[2]) or str(one["file_name"])
            size, checksum = size_in(one.get("size")), checksum_of(one.get("checksum"), "md5")
            files.append(DepositFile(path, address, size, checksum))
        url = urljoin(url, page["next"]) if page.get("next") else None
    changed = date_in(_iso(about.get("date_last_updated"))) or date_in(about.get("date_created"))
    return Deposit(
        title=shown(about.get("resource_title") or ""),
        version=digest_of(files),
        date=changed,
        files=tuple(files),
        newest=version == "HEAD" and not about.get("published"),
    )


def _iso(value: object) -> str:
    """Return a date as ISO 8601 has it; HydroShare has written them as MM-DD-YYYY for long."""
    parts = str(value).split("-")
    american = len(parts) == 3 and len(parts[2]) == 4  # noqa: PLR2004 - month, day, year
    return f"{parts[2]}-{parts[0]}-{parts[1]}" if american else str(value)
