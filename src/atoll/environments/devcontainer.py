"""Devcontainer: what of a ``.devcontainer/devcontainer.json`` maps to an environment.

Source of the format: the development container specification (containers.dev), "Dev Container
metadata reference". It describes a container for an editor. The Python of an image maps, and
nothing else does without Docker: what would change the environment is named, so that nobody looks
for it in vain. It is JSON with comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from atoll.environments.tables import read_json

DEVCONTAINER = ".devcontainer/devcontainer.json"

# Images whose tags say which Python they are of, such as …/devcontainers/python:1-3.11-bookworm.
_IMAGE = re.compile(r"(?:[\w.:/-]+/)?python:(?:[\w.]+-)??(3\.\d{1,2})(?:[.-][\w.-]*)?")
_IGNORED = (
    *("build", "dockerFile", "dockerComposeFile", "features", "initializeCommand"),
    *("onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand"),
    *("containerEnv", "remoteEnv", "mounts", "runArgs"),
)


@dataclass(frozen=True, slots=True)
class Devcontainer:
    """What maps: ``python`` is a minor version or ""; ``notes`` say what does not."""

    python: str
    notes: tuple[str, ...]


def read_devcontainer(path: str, body: bytes) -> Devcontainer:
    """Read the devcontainer.json at *path*, or raise `BadSpecification`."""
    told = read_json(path, body, comments=True)
    image = told.text("image")
    python = _IMAGE.fullmatch(image)
    ignored = [name for name in _IGNORED if told.values.get(name)]
    if image and not python:
        ignored.insert(0, "image")
    names = ", ".join(f"“{name}”" for name in ignored)
    note = (
        f"What in {path} needs Docker was passed over: {names}. "
        "A requirements.txt or a postBuild script is followed here."
    )
    return Devcontainer(python[1] if python else "", (note,) if ignored else ())
