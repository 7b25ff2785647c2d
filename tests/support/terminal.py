"""A command as somebody at a terminal runs it, who answers its questions."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import sys
from collections.abc import Mapping

ATOLL = (sys.executable, "-m", "atoll.cli")


def at_a_terminal(
    *words: str, answers: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run ``atoll`` *words*, give *answers* to what is asked; return its status and what it wrote.

    What it leaves running may hold the terminal open, so that only its own end counts.
    """
    known = {**os.environ, "TERM": "dumb", "COLUMNS": "200", **(environ or {})}
    child, terminal = pty.fork()
    if not child:  # pragma: no cover - another process
        os.execve(ATOLL[0], [*ATOLL, *words], known)
    said, left, status = b"", dict(answers), None
    while status is None:
        ended, found = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(found) if ended else None
        with contextlib.suppress(OSError):  # how a terminal ends
            while select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096)
        for question in [one for one in left if one.encode() in said]:
            os.write(terminal, left.pop(question).encode())
    os.close(terminal)
    return status, said.decode("utf-8", "replace")
