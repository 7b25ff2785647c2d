"""Binder: a launch's events in the words of BinderHub's build stream. Pure functions.

Format: https://binderhub.readthedocs.io/en/latest/api.html; phases waiting, fetching, building,
built, launching, ready, failed. Every message ends with a line feed, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.events import Event
from atoll.launching.desk import Launch
from atoll.plain import plain
from atoll.sources import RepoRef
from atoll.sources.deposits import PROVIDER, page_of
from atoll.sources.mercurial import PROVIDER as MERCURIAL
from atoll.sources.mercurial import url_of
from atoll.web.links import binder_path

PHASES = {
    "resolve": "waiting",
    "fetch": "fetching",
    "build": "building",
    "wait": "waiting",
    "start": "launching",
}


@dataclass(slots=True)
class Translator:
    """Turns events, in order, into Binder's; remembers only whether "built" has been said."""

    image: str = ""
    built: bool = False

    def messages(self, event: Event) -> list[dict[str, Any]]:
        """Return what Binder would say; the last word (ready, failed) is left to the caller."""
        phase = PHASES.get(event.phase)
        if phase is None:
            return []
        said: list[dict[str, Any]] = []
        if phase == "launching" and not self.built:
            self.built = True
            message = "Built image, launching...\n"
            said.append({"phase": "built", "message": message, "imageName": self.image})
        said.append({"phase": phase, "message": plain(event.message) + "\n"})
        return said


def failed(message: str, status: int | None = None) -> dict[str, Any]:
    """Return Binder's last word of a launch that came to nothing."""
    told: dict[str, Any] = {"phase": "failed", "message": plain(message).rstrip("\n") + "\n"}
    return told | ({"status_code": status} if status else {})


def ready(
    launch: Launch, *, url: str, token: str, home: str, facts: Mapping[str, str]
) -> dict[str, Any]:
    """Return Binder's last word of a launch that worked.

    *url* is the server's, absolute, with a slash at its end; *home* is ours.
    """
    repo, environment = launch.request.repo, launch.request.environment
    asked = f"v2/{facts['prefix']}/{facts['spec']}" if "prefix" in facts else binder_path(repo)
    if environment:
        asked = binder_path(repo, environment)
        environment = _pinned(environment, launch.environment_ref)
    return {
        "phase": "ready",
        "message": f"server running at {url}\n",
        "url": url,
        "token": token,
        "image": image_of(launch),
        "repo_url": ref_url(repo, "") if repo.provider == PROVIDER else url_of(repo.locator),
        "binder_ref_url": ref_url(repo, launch.ref),
        "binder_launch_host": home,
        "binder_request": asked,
        "binder_persistent_request": binder_path(_pinned(repo, launch.ref), environment),
    }


def _pinned(repo: RepoRef, version: str) -> RepoRef:
    return RepoRef(repo.provider, repo.locator, version or repo.version)


def image_of(launch: Launch) -> str:
    """Return what stands for an image's name: the environment's key."""
    return f"atoll/{launch.key}" if launch.key else "atoll"


def ref_url(repo: RepoRef, commit: str) -> str:
    """Return the address at which a person can look at *commit*."""
    if repo.provider == PROVIDER:
        return page_of(RepoRef(PROVIDER, repo.locator, commit or repo.version))
    if repo.provider == MERCURIAL:
        return f"{url_of(repo.locator)}/rev/{commit}"
    locator = repo.locator.removesuffix(".git")
    if locator.startswith("https://github.com/"):
        return f"{locator}/tree/{commit}"
    if locator.startswith("https://gitlab.com/"):
        return f"{locator}/-/tree/{commit}"
    if locator.startswith("https://gist.github.com/"):
        return f"{locator}/{commit}"
    return repo.locator
