"""Figshare: articles, of figshare.com and of the institutions that it hosts.

API: ``/articles/ID/versions``, ``/articles/ID/versions/N`` and ``…/files``
(https://docs.figshare.com). Versions are numbered from 1.
"""

from __future__ import annotations

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

PAGE = 1000  # files in one answer, the most there may be


async def look_up(client: Client, api: str, number: str, version: str) -> Deposit:
    """Return article *number* in *version*, or in its newest one."""
    taken = version
    if version == "HEAD":
        versions = await client.json(f"{api}/articles/{number}/versions")
        taken = str(max((int(one["version"]) for one in versions), default=0))
    if not taken.isdigit() or taken == "0":
        raise NotFound(f"There is no version “{version}” of Figshare article {number}.")
    address = f"{api}/articles/{number}/versions/{taken}"
    article = await client.json(address)
    listed = await client.json(f"{address}/files?page_size={PAGE}")
    links = [str(one["name"]) for one in listed if one.get("is_link_only")]
    return Deposit(
        title=shown(article.get("title") or ""),
        version=taken,
        date=date_in(article.get("published_date")),
        files=tuple(
            DepositFile(
                path=str(one["name"]),
                url=str(one["download_url"]),
                size=size_in(one.get("size")),
                checksum=checksum_of(one.get("computed_md5") or one.get("supplied_md5"), "md5"),
            )
            for one in listed
            if not one.get("is_link_only")
        ),
        newest=version == "HEAD",
        warnings=warn_of(links, "Figshare only links to it"),
    )
