"""Heritage: what Software Heritage has archived, by its intrinsic identifiers (SWHIDs).

API: ``/revision/``, ``/release/``, ``/snapshot/``, ``/content/`` and the vault, which packs a
directory when it is asked to (https://archive.softwareheritage.org/api/1/). A directory's id is the
name that git gives to such a tree, so that what arrives can be checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from atoll.errors import NotFound, Unreachable
from atoll.events import Event, Tell
from atoll.providers.deposits.client import Client
from atoll.providers.deposits.deposit import Deposit, DepositFile, date_in, shown, size_in

DEEPEST = 6  # objects that lead to one another: a snapshot to a release to a release to …
LOOKS = (2.0, 5.0, 10.0)  # seconds between two looks whether the vault is done; the last for ever
KINDS = {"directory": "dir", "revision": "rev", "release": "rel", "content": "cnt"}


async def look_up(client: Client, api: str, number: str, version: str) -> Deposit:
    """Return what the SWHID *number* identifies: a directory, or a single file."""
    core, _, anchor = number.partition(";anchor=")
    kind, digits = core.split(":")[2:]
    date, title = None, ""
    if anchor:
        _, _, date, title = await _directory(client, api, *anchor.split(":")[2:])
    if kind not in {"dir", "cnt"}:
        kind, digits, date, title = await _directory(client, api, kind, digits)
    if version not in {"HEAD", digits}:
        raise NotFound(f"{core} is one version, and it is not “{version}”.")
    if kind == "cnt":
        about = await client.json(f"{api}/content/sha1_git:{digits}/")
        sums = about.get("checksums") or {}
        url = f"{api}/content/sha1_git:{digits}/raw/"
        file = DepositFile("content", url, size_in(about.get("length")), f"sha1:{sums['sha1']}")
        return Deposit(title, digits, date, (file,))
    file = DepositFile("directory.tar.gz", f"{_vault(api, digits)}raw/")
    return Deposit(title, digits, date, (file,), git_tree=digits)


async def prepare(client: Client, api: str, deposit: Deposit, tell: Tell) -> None:
    """Have the vault pack *deposit*'s directory, and wait until it has."""
    if not deposit.git_tree:
        return
    address = _vault(api, deposit.git_tree)
    answer = await client.json(address, method="POST")
    looks = list(LOOKS)
    while (status := answer.get("status")) != "done":
        if status not in {"new", "pending"}:
            said = shown(answer.get("progress_message") or "it says no more")
            raise Unreachable(f"Software Heritage could not pack it: {said}.")
        tell(Event("fetch", "Software Heritage packs it; that may take minutes", detail=True))
        await asyncio.sleep(looks.pop(0) if len(looks) > 1 else looks[0])
        answer = await client.json(address)


def git_tree(folder: Path) -> str:
    """Return the name that git gives to the content of *folder*, empty folders included."""
    lines: list[tuple[bytes, bytes]] = []
    for entry in os.scandir(os.fsencode(folder)):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            kind, name = b"40000", git_tree(Path(os.fsdecode(entry.path)))
        elif stat.S_ISLNK(mode):
            kind, name = b"120000", _git_name(b"blob", os.readlink(entry.path))  # noqa: PTH115 - its very bytes
        else:
            kind = b"100755" if mode & 0o100 else b"100644"
            name = _blob(Path(os.fsdecode(entry.path)))
        order = entry.name + b"/" * stat.S_ISDIR(mode)
        lines.append((order, kind + b" " + entry.name + b"\0" + bytes.fromhex(name)))
    return _git_name(b"tree", b"".join(line for _, line in sorted(lines)))


async def _directory(
    client: Client, api: str, kind: str, digits: str
) -> tuple[str, str, datetime | None, str]:
    """Return the directory (or file) that an object leads to, with the date and title it has."""
    date, title = None, ""
    for _ in range(DEEPEST):
        if kind == "rev":
            found = await client.json(f"{api}/revision/{digits}/")
            date = date or date_in(found.get("committer_date")) or date_in(found.get("date"))
            title = title or shown(found.get("message") or "").partition("  ")[0]
            kind, digits = "dir", str(found["directory"])
        elif kind == "rel":
            found = await client.json(f"{api}/release/{digits}/")
            date, title = date_in(found.get("date")), shown(found.get("name") or "")
            kind, digits = KINDS[found["target_type"]], str(found["target"])
        elif kind == "snp":
            target = await _head(client, api, digits)
            kind, digits = KINDS[target["target_type"]], str(target["target"])
        else:
            return kind, digits, date, title
    raise Unreachable("Software Heritage's answers lead from one to the next without end.")


async def _head(client: Client, api: str, digits: str) -> dict[str, Any]:
    """Return what the branch HEAD of a snapshot leads to."""
    name = "HEAD"
    for _ in range(DEEPEST):
        address = f"{api}/snapshot/{digits}/?branches_from={quote(name, safe='')}&branches_count=1"
        found = (await client.json(address))["branches"].get(name)
        if not found:
            raise NotFound("This snapshot has no main branch.", hint="Take a revision's SWHID.")
        if found["target_type"] != "alias":
            return dict(found)
        name = str(found["target"])
    raise NotFound("This snapshot's main branch leads nowhere.", hint="Take a revision's SWHID.")


def _vault(api: str, digits: str) -> str:
    return f"{api}/vault/flat/swh:1:dir:{digits}/"


def _blob(file: Path) -> str:
    size = file.stat().st_size
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with file.open("rb") as stream:
        while part := stream.read(1024**2):
            digest.update(part)
    return digest.hexdigest()


def _git_name(kind: bytes, body: bytes) -> str:
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(body), body), usedforsecurity=False).hexdigest()
