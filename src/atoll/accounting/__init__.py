"""Accounting: one record for every launch, with Binder's own fields among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

# The names that BinderHub's launch events use for where a repository comes from
# (event schema binderhub.jupyter.org/launch, version 6), and ours for what it does not have.
BINDER_PROVIDERS: Mapping[str, str] = {
    "gh": "GitHub",
    "gl": "GitLab",
    "gist": "Gist",
    "git": "Git",
    "hg": "Mercurial",
    "zenodo": "Zenodo",
    "figshare": "Figshare",
    "dataverse": "Dataverse",
    "hydroshare": "Hydroshare",
    "ckan": "CKAN",
    "swh": "SWHID",
    "doi": "DOI",
    "url": "URL",
    "upload": "Upload",
}


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """What a launch was, how it went and how long each phase took (in seconds).

    ``provider``, ``spec``, ``ref``, ``status``, ``build_token``, ``origin`` and
    ``request_origin`` are the fields of Binder's launch event, version 6; ``origin`` is the host
    name that was asked, ``request_origin`` the site whose page asked (or "").
    Where the environment is another repository's, ``environment`` is that one, and
    ``environment_ref`` its version; ``spec`` and ``ref`` are the content's.
    """

    id: str
    at: datetime
    person: str
    reference: str
    provider: str
    spec: str
    status: str
    ref: str = ""
    key: str = ""
    cached: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    origin: str = ""
    request_origin: str = ""
    build_token: bool = False
    environment: str = ""
    environment_ref: str = ""

    def binder_event(self) -> dict[str, Any]:
        """Return the record as a line of Binder's public archive, minute-precise as there."""
        return {
            "timestamp": self.at.replace(second=0, microsecond=0).isoformat(),
            "schema": "binderhub.jupyter.org/launch",
            "version": 6,
            "provider": self.provider,
            "spec": self.spec,
            "ref": self.ref,
            "status": self.status,
            "build_token": self.build_token,
            "origin": self.origin,
            "request_origin": self.request_origin,
        }


class Records(Protocol):
    """Where launch records are kept."""

    async def add(self, record: LaunchRecord) -> None:
        """Keep *record*."""
        ...

    async def newest(self, *, limit: int = 100, person: str = "") -> list[LaunchRecord]:
        """Return the newest *limit* records, of *person* only if one is named."""
        ...
