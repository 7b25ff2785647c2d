"""Status: what other programs ask about the service, in BinderHub's shapes."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from atoll import __version__
from atoll.sources.binder import REPOSITORIES
from atoll.web.site import STATIC, Site, site_of

FRESH = 15.0  # seconds for which an answer about health is good
DISK = "Disk"
PATIENCE = 5.0  # seconds until a part that does not answer counts as ill
ROOM = 1024**3  # bytes of disk under which nothing can be built
QUOTED = {"gl", "git", "hg", "hydroshare", "ckan", "url"}  # whose spec is one quoted part of a path
ANY = {"Access-Control-Allow-Origin": "*"}


def _provider(
    kind: str, name: str, label: str, example: str, spec: str, site: str = ""
) -> dict[str, Any]:
    """Return one provider as Binder's own pages read it; *site* is a host, or "" for any.

    Where a spec's parts cannot be counted, ``urlEncode`` makes a single one of the address.
    """
    detect = {"detect": {"regex": f"^(https?://{site}/)?(?<repo>.*[^/])/?"}} if site else {}
    return {
        "displayName": name,
        "id": kind,
        "spec": {"validateRegex": spec},
        **detect,
        "repo": {"label": label, "placeholder": example, "urlEncode": kind in QUOTED},
        "ref": {"enabled": True, "default": "HEAD"} if kind in REPOSITORIES else {"enabled": False},
    }


DOI = r"10\.\d+\/(.)+"
PROVIDERS = [
    _provider(
        "gh",
        "GitHub",
        "A GitHub repository: its address, or owner/name",
        "owner/repository",
        r"[^/]+/[^/]+/.+",
        "github.com",
    ),
    _provider(
        "gl",
        "GitLab",
        "A GitLab repository: its address, or group/name",
        "group/repository",
        r"[^/]+/.+",
        "gitlab.com",
    ),
    _provider(
        "gist",
        "Gist",
        "A gist: its address, or user/id",
        "user/id",
        r"[^/]+/[^/]+(/[^/]+)?",
        "gist.github.com",
    ),
    _provider(
        "git",
        "Git repository",
        "The address of any git repository",
        "https://git.example.org/repository",
        r"[^/]+/.+",
    ),
    _provider(
        "hg",
        "Mercurial repository",
        "The address of any Mercurial repository",
        "https://hg.example.org/repository",
        r"[^/]+/.+",
    ),
    _provider("zenodo", "Zenodo", "A Zenodo DOI", "10.5281/zenodo.3242074", DOI),
    _provider("figshare", "Figshare", "A Figshare DOI", "10.6084/m9.figshare.9782777.v1", DOI),
    _provider("dataverse", "Dataverse", "A Dataverse DOI", "10.7910/DVN/TJCLKP", DOI),
    _provider(
        "hydroshare",
        "HydroShare",
        "A HydroShare resource: its address, or its id",
        "8f7c2f0341ef4180b0dbe97f59130756",
        r"[^/]+",
    ),
    _provider(
        "ckan",
        "CKAN",
        "The address of a dataset of any CKAN",
        "https://demo.ckan.org/dataset/sample-dataset",
        r"[^/]+",
    ),
    _provider("swh", "Software Heritage", "A SWHID", f"swh:1:rev:{'0a' * 20}", r"swh:1:.+"),
    _provider("doi", "DOI", "The DOI of any of these", "10.22002/d1.1235", DOI),
    _provider(
        "url",
        "Web archive",
        "The address of a .zip or .tar.gz",
        "https://example.org/files.zip",
        r"[^/]+",
    ),
]


@dataclass(slots=True)
class Health:
    """Asks the parts of the installation how they are, at most every `FRESH` seconds."""

    site: Site
    at: float = float("-inf")
    told: tuple[bool, list[dict[str, Any]]] = (True, [])

    async def check(self) -> tuple[bool, list[dict[str, Any]]]:
        """Return whether all is well, and BinderHub's list of what was checked."""
        if time.monotonic() - self.at > FRESH:
            self.at = time.monotonic()
            checks = [
                {"service": "JupyterHub API", "ok": await _well(self.site.hub.healthy())},
                {"service": "Database", "ok": await _well(self._database())},
                self._disk(),
            ]
            self.told = (all(one["ok"] for one in checks), checks)
        return self.told

    async def _database(self) -> bool:
        await self.site.atoll.store.records.newest(limit=1)
        return True

    def _disk(self) -> dict[str, Any]:
        free = shutil.disk_usage(self.site.atoll.settings.data).free
        return {"service": DISK, "ok": free > ROOM, "free_bytes": free}


async def _well(answer: Awaitable[bool]) -> bool:
    try:
        return await asyncio.wait_for(answer, PATIENCE)
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is "not well"
        return False


async def show_health(request: Request) -> Response:
    """GET or HEAD /health: 200 if all is well, else 503."""
    ok, checks = await request.app.state.health.check()
    return JSONResponse({"ok": ok, "checks": checks}, 200 if ok else 503, headers=ANY)


async def show_ready(request: Request) -> Response:
    """GET or HEAD /health/ready: whether people can be served, for a load balancer.

    Where the disk is nearly full, nothing can be built, but all that is there still works.
    """
    _, checks = await request.app.state.health.check()
    ok = all(one["ok"] for one in checks if one["service"] != DISK)
    return JSONResponse({"ok": ok}, 200 if ok else 503)


async def show_live(request: Request) -> Response:  # noqa: ARG001
    """GET or HEAD /health/live: 200 as long as this is answered at all; nothing is looked at."""
    return JSONResponse({"ok": True})


async def show_versions(request: Request) -> Response:  # noqa: ARG001
    """GET /versions."""
    told = {
        "builder_info": {"builder": "atoll", "build_image": f"atoll:{__version__}"},
        "builder": f"atoll:{__version__}",
        "binderhub": f"atoll {__version__}",
        "atoll": __version__,
    }
    return JSONResponse(told, headers=ANY)


async def show_providers(request: Request) -> Response:  # noqa: ARG001
    """GET /api/repoproviders: what Binder's own pages and JupyterLab extensions ask for."""
    return JSONResponse(PROVIDERS, headers=ANY)


async def show_badge(request: Request) -> Response:  # noqa: ARG001
    """GET /badge_logo.svg and /badge.svg."""
    return FileResponse(
        str(STATIC / "badge.svg"),
        media_type="image/svg+xml",
        headers=ANY | {"Cache-Control": "public, max-age=86400"},
    )


async def to_about(request: Request) -> Response:
    """GET /about."""
    return RedirectResponse(f"{site_of(request).place.prefix}about", 302)
