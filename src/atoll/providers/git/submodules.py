"""Submodules: fetched by us, each with a mirror of its own, under the rules for any repository.

``git submodule update`` would clone whatever ``.gitmodules`` says; we only read that file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from atoll.errors import BadReference, Refused
from atoll.providers.addresses import local_path
from atoll.providers.git.commands import GitFailed, git
from atoll.sources.locators import FORGES, SCP, host_of, locate, path_parts

LINK = re.compile(rb"160000 ([0-9a-f]{40}) \d\t(.+)", re.DOTALL)  # mode, commit, stage, path


@dataclass(frozen=True, slots=True)
class Submodule:
    """One submodule, as the repository ``parent`` describes it; ``url`` may be "" or a trap."""

    name: str
    path: str
    url: str
    commit: str
    parent: str

    def locator(self) -> str:
        """Return where it is. Raises `BadReference` or `Refused`.

        Only a repository on this machine may lead to others on this machine. A forge's ssh
        address becomes its https one: nobody's key is here, and the public ones answer both.
        """
        if not self.url:
            raise BadReference(".gitmodules does not say where it is.")
        text = self.url
        if text.startswith(("./", "../")):
            text = _relative(self.parent, text)
        locator = locate(text)
        if local_path(locator) and not local_path(self.parent):
            raise Refused("A remote repository may not lead to folders of this machine.")
        if host_of(locator) in FORGES and not locator.startswith("https://"):
            scp = SCP.fullmatch(locator) if "://" not in locator else None
            path = scp["path"] if scp else "/".join(path_parts(locator))
            locator = locate(f"https://{host_of(locator)}/{path}")
        return locator


async def read_submodules(tree: Path, commit: str, parent: str) -> list[Submodule]:
    """Return the submodules of *commit*, which is checked out in *tree*."""
    staged = await git("ls-files", "--stage", "-z", folder=tree)
    links = [found for line in staged.split(b"\0") if (found := LINK.fullmatch(line))]
    if not links:
        return []
    described = await _read_gitmodules(tree, commit)
    modules = []
    for link in links:
        path = link[2].decode("utf-8", "surrogateescape")
        name, url = described.get(path, (path, ""))
        modules.append(Submodule(name, path, url, link[1].decode(), parent))
    return modules


async def _read_gitmodules(tree: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Return name and URL of each path in ``.gitmodules``, read from the commit, not the disk."""
    try:
        listed = await git("config", "-z", "--blob", f"{commit}:.gitmodules", "--list", folder=tree)
    except GitFailed:
        return {}
    values: dict[str, dict[str, str]] = {}
    for entry in listed.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        section, _, last = key.rpartition(".")
        kind, _, name = section.partition(".")
        if kind == "submodule" and name and re.fullmatch(r"[^\x00-\x1f=]+", name):
            values.setdefault(name, {})[last] = value
    return {
        one["path"]: (name, one.get("url", "")) for name, one in values.items() if "path" in one
    }


def _relative(parent: str, text: str) -> str:
    """Resolve *text*, which begins with ``./`` or ``../``, as git does, against *parent*."""
    base = parent.rstrip("/")
    while text.startswith(("./", "../")):
        step, _, text = text.partition("/")
        if step == "..":
            base, found, _ = base.rpartition("/")
            if not found or base.endswith(":/"):
                raise BadReference("It leads above its server.")
    return f"{base}/{text}"
