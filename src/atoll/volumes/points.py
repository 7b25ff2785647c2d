"""Points: where in a server volumes can be mounted, and how people write that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from atoll.errors import BadRequest
from atoll.volumes import Wish

PLACES = ("/data", "/mnt")  # absolute points are below one of these
LONGEST, DEEPEST = 200, 8  # bytes and folders of a point
# Not hidden: who mounts over .local or .jupyter decides what runs, and nobody sees it.
PART = re.compile(r"\w[\w.+ -]*")
HINT = "Write a folder below the home, such as data or shared/course, or one below /data or /mnt."


def wish(text: str) -> Wish:
    """Return what ``VOLUME[:POINT][:ro]`` means, which docker's and podman's users know.

    Without a point, it is the volume's name. Raises `BadRequest`.
    """
    volume, *more = text.split(":")
    mode = more.pop() if more and more[-1] in {"ro", "rw"} else "rw"
    if not volume or len(more) > 1:
        raise BadRequest(
            f"“{text}” is not a volume and where to mount it.",
            hint="Write VOLUME:FOLDER, such as thesis:data or ada/course:shared/course:ro.",
        )
    point = more[0] if more else volume.rpartition("/")[2]
    return Wish(point, volume, read_only=mode == "ro")


def check_points(points: Iterable[str]) -> tuple[str, ...]:
    """Return *points* as they are kept, or raise `BadRequest` for the first that cannot be."""
    found: list[str] = []
    for text in points:
        point = _checked(text)
        for other in found:
            if point == other:
                raise BadRequest(f"Two volumes cannot both be at “{point}”.", hint=HINT)
            if _below(point, other) or _below(other, point):
                message = f"Of “{other}” and “{point}”, one is inside the other."
                raise BadRequest(message, hint="Mount them side by side.")
        found.append(point)
    return tuple(found)


def _checked(text: str) -> str:
    bad = BadRequest(f"“{text[:LONGEST]}” cannot be a mount point.", hint=HINT)
    point = text.rstrip("/").removeprefix("~/")
    if not point or len(point.encode(errors="replace")) > LONGEST:
        raise bad
    parts = point.split("/")
    if point.startswith("/"):
        parts = parts[2:]
        if not point.startswith(tuple(f"{place}/" for place in PLACES)):
            raise bad
    if not 1 <= len(parts) <= DEEPEST:
        raise bad
    if not all(PART.fullmatch(part) and part == part.strip() for part in parts):
        raise bad
    return point


def _below(point: str, other: str) -> bool:
    return PurePosixPath(point).is_relative_to(other)
