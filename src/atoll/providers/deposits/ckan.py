"""CKAN: datasets of any CKAN.

API: ``/api/3/action/package_show`` and ``activity_data_show``
(https://docs.ckan.org/en/latest/api/). A version is an activity, where the installation keeps
them and somebody names one, else it is named by what the resources are.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import Deposit, DepositFile, date_in, digest_of, shown

ACTIVITY = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


async def look_up(client: Client, site: str, number: str, version: str) -> Deposit:
    """Return the dataset *number* at *site*, as it is now or as it was at an activity."""
    action = f"{site}/api/3/action"
    if ACTIVITY.fullmatch(version):
        address = f"{action}/activity_data_show?id={version}&object_type=package"
    else:
        address = f"{action}/package_show?id={quote(number, safe='')}"
    package = (await client.json(address))["result"]
    files: list[DepositFile] = []
    stamps: list[DepositFile] = []  # a resource's address stays when what is there changes
    for one in package.get("resources") or ():
        if file := _file(site, one, {file.path for file in files}):
            files.append(file)
            changed = one.get("last_modified") or one.get("created")
            stamps.append(DepositFile(file.path, f"{file.url} {changed}"))
    return Deposit(
        title=shown(package.get("title") or package.get("name") or ""),
        version=version if ACTIVITY.fullmatch(version) else digest_of(stamps),
        date=date_in(package.get("metadata_modified")),
        files=tuple(files),
        newest=version == "HEAD",
    )


def _file(site: str, one: dict[str, Any], taken: set[str]) -> DepositFile | None:
    """Return a resource as a file, None for one that is nowhere.

    Its ``hash`` is whatever somebody entered when it was harvested, and its ``size`` often that of
    years ago: neither can be held against what is downloaded.
    """
    if not one.get("url"):
        return None
    url = urljoin(f"{site}/", str(one["url"]))
    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]) or str(one["id"])
    name = name.replace("/", "_")
    path = f"{one['id']}-{name}" if name in taken else name
    return DepositFile(path, url, elsewhere=one.get("url_type") != "upload")
