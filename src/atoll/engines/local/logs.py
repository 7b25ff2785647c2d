"""Logs: the whole log of a build, kept while it is told."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Self

from atoll.environments import Say

LONGEST = 16 * 1024**2  # characters


class Log:
    """A build's log: every line goes into its file at once, and to whoever listens."""

    def __init__(self, path: Path, say: Say) -> None:
        self.path = path
        self._say = say
        self._room = LONGEST

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("w", encoding="utf-8", errors="replace")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # no room for the last of it
            self._file.close()

    def __call__(self, line: str) -> None:
        """Add *line*, as long as the log is not longer than anybody reads."""
        if self._room < 0:
            return
        self._room -= len(line) + 1
        if self._room < 0:
            line = f"This log is longer than {LONGEST >> 20} MB; what follows is left out."
        with contextlib.suppress(OSError):  # a full disk, of which somebody is still to hear
            self._file.write(f"{line}\n")
            self._file.flush()
        self._say(line)
