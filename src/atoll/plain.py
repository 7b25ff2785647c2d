"""Plain: what others wrote, without what a terminal or a page would obey."""

from __future__ import annotations

import re

# CSI and OSC sequences, the other control characters that a terminal would obey, and those that
# turn the text after them round.
TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def plain(line: str) -> str:
    """Return *line* without terminal sequences and control characters."""
    shown = line.rstrip("\r\n").rsplit("\r", 1)[-1]  # a progress bar draws over itself
    return TERMINAL.sub("", shown)
