"""Sizes: how much disk a folder takes, and when that is too much."""

from __future__ import annotations

import os
from pathlib import Path

from atoll.errors import TooLarge

BLOCK = 4096  # bytes that even an empty file costs, so that a million of them are not free


def size_of(folder: Path, most: int = 0) -> int:
    """Return how many bytes *folder* takes on disk; links are not followed.

    Raises `TooLarge` as soon as it is more than *most*, if that is not 0. What vanishes while
    we look counts nothing.
    """
    total, pending = 0, [str(folder)]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                try:
                    total += max(BLOCK, entry.stat(follow_symlinks=False).st_blocks * 512)
                except FileNotFoundError:
                    continue
                if most and total > most:
                    raise too_large(most)
    return total


def too_large(most: int) -> TooLarge:
    """Make the error that says so."""
    size = f"{most / 1024**3:.3g} GB" if most >= 1024**3 else f"{most / 1024**2:.3g} MB"
    return TooLarge(
        f"The repository is larger than {size}, the limit here.",
        hint="The operator can raise max_size in the [sources] section of atoll.toml.",
    )
