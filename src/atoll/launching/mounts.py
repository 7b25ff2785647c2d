"""Mounts: what a volume would hide of the content that a server opens with."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from atoll.errors import BadRequest
from atoll.volumes import Mount


def check_hidden(checkout: Path, mounts: Iterable[Mount]) -> None:
    """Raise `BadRequest` where one of *mounts* would be over files of *checkout*'s own."""
    for mount in mounts:
        if not mount.point.startswith("/") and _there(checkout, mount.point):
            message = f"The repository has “{mount.point}” itself, which the volume would hide."
            raise BadRequest(message, hint="Mount the volume at another folder.")


def _there(checkout: Path, point: str) -> bool:
    """Say whether *point*, or something else than a folder on the way to it, is in *checkout*."""
    at = checkout
    for part in point.split("/"):
        at /= part
        try:
            if not stat.S_ISDIR(at.lstat().st_mode):
                return True
        except FileNotFoundError:
            return False
    return True
