"""Journal: everything that the processes of `atoll up` say, in one structured log."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

Say = Callable[[str], None]

LARGEST = 20 * 1024**2  # bytes of one file; five are kept
LEVELS = {"D": "debug", "I": "info", "W": "warning", "E": "error", "C": "critical"}
LOUD = {"error", "critical"}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# "[I 2026-01-31 12:00:00.000 JupyterHub app:3990] Starting", as JupyterHub writes
HUB_LINE = re.compile(r"\[([DIWEC]) \S+ \S+ \S+ ([^\]]+)\] (.*)", re.DOTALL)
# "12:00:00.000 [ConfigProxy] info: Adding route /", as configurable-http-proxy writes
PROXY_LINE = re.compile(r"\S+ \[ConfigProxy\] (\w+): (.*)", re.DOTALL)
# "INFO:     Started server process [7]", as uvicorn and Python's logging write
PYTHON_LINE = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL):\s*(.*)", re.DOTALL)
TRACEBACK = "Traceback (most recent call last):"


def read_line(line: str, before: str) -> tuple[str, str, dict[str, Any]]:
    """Return the level, the message and the other fields of what a process printed.

    A line in no form that we know goes on with what came *before*, whose level it gets.
    """
    text = COLOURS.sub("", line).rstrip()
    if text.startswith("{"):
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = {}
        if isinstance(told.get("event"), str):
            event = told.pop("event").encode("utf-8", "replace").decode()
            return str(told.pop("level", "info")), event, told
    if hub := HUB_LINE.match(text):
        return LEVELS[hub[1]], hub[3], {"where": hub[2]}
    if proxy := PROXY_LINE.match(text):
        level = "warning" if proxy[1] == "warn" else proxy[1]
        return level, proxy[2], {}
    if python := PYTHON_LINE.match(text):
        return python[1].lower(), python[2], {}
    return "error" if text == TRACEBACK else before, text, {}


class _Private(RotatingFileHandler):
    """One whose files, each new one too, only we can read."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)


@dataclass(slots=True)
class Journal:
    """One JSON object a line in *file*; what a person should know at once goes to *say* too.

    ``secrets`` never get there: some programs, asked to explain why they cannot reach a database,
    print its whole address.
    """

    file: Path
    say: Say
    secrets: Collection[str] = ()
    _handler: logging.Handler = field(init=False)

    def __post_init__(self) -> None:
        self._handler = _Private(
            self.file,
            maxBytes=LARGEST,
            backupCount=4,
            encoding="utf-8",
            errors="backslashreplace",
        )

    def tell(self, process: str, event: str, level: str = "info", /, **fields: Any) -> None:
        """Write that *process* said *event*; what is an error is said aloud as well."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        ours = {"timestamp": at, "level": level, "process": process, "event": event}
        # Ours twice: they come first, and nobody speaks for another process.
        line = json.dumps({**ours, **fields, **ours}, ensure_ascii=False)
        self._handler.emit(logging.LogRecord("atoll", 0, "", 0, line, None, None))
        if level in LOUD:
            # What a process prints may come from a repository: no orders for the terminal.
            self.say(f"{process}: " + "".join(c if c.isprintable() else " " for c in event))

    def mask(self, text: str) -> str:
        """Return *text* without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "•••")
        return text

    def close(self) -> None:
        """Write nothing more."""
        self._handler.close()
