"""Found: what the files of a repository have said so far of its environment, as they are read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Found:
    """What has been read so far. ``used`` are the paths whose dates count."""

    folder: str
    files: dict[str, bytes] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    python: str = ""
    tree: bool = False
    package: bool = False
    pinned: bool = False
    conda: bool = False
    notes: tuple[str, ...] = ()


def path_in(folder: str, name: str) -> str:
    """Return the path of *name* in *folder*, which may be "": the top."""
    return f"{folder}/{name}" if folder else name


def from_top(folder: str, name: str) -> str:
    """Return *name*, relative to *folder*, as a path from the top ("../x" leaves a folder)."""
    return name.removeprefix("../") if name.startswith("../") else path_in(folder, name)
