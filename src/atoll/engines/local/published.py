"""Published: what is known of an environment that was built; it stands in its ``atoll.json``."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from atoll.environments import Environment, EnvKey

METADATA = "atoll.json"


def metadata(handle: str) -> dict[str, Any]:
    """Return what is known of the environment at *handle*: the content of its ``atoll.json``.

    Raises `OSError` or `ValueError` when it is not there or broken.
    """
    told = json.loads(Path(handle, METADATA).read_text("utf-8"))
    if not isinstance(told, dict):
        raise ValueError(handle)  # noqa: TRY004 - broken content, not a wrong call
    return told


def environment_of(target: Path) -> Environment:
    """Return the published environment in the folder *target*."""
    told = metadata(str(target))
    return Environment(
        key=EnvKey(told["key"]),
        engine=told["engine"],
        handle=str(target),
        python=told["python"],
        as_of=date.fromisoformat(told["as_of"]) if told["as_of"] else None,
        notes=tuple(told["notes"]),
        own_lab=told["own_lab"],
        made=told["made"],
    )
