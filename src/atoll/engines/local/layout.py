"""Layout: what bubblewrap is handed to make a box of: descriptors, and the sources of mounts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from atoll.engines.local import staging
from atoll.names import new_id

PROGRAMS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}  # where those are found that make a box
COPY, STALE = ".bwrap-", 60  # copies of bubblewrap, and the seconds after which one is left over


class Pipes:
    """The descriptors of one start, each closed exactly once whatever happens."""

    def __init__(self, undo: contextlib.ExitStack) -> None:
        self.open: list[int] = []
        undo.callback(lambda: self.close(list(self.open)))

    def pair(self) -> tuple[int, int]:
        """Return the two ends of a pipe: read, write."""
        pair = os.pipe()
        self.open += pair
        return pair

    def memory(self, content: bytes) -> int:
        """Return a descriptor from which *content* can be read, and nobody else can."""
        fd = os.memfd_create("atoll")
        self.open.append(fd)
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def close(self, fds: list[int]) -> None:
        """Close *fds*."""
        for fd in fds:
            self.open.remove(fd)
            os.close(fd)


@dataclass(slots=True)
class Layout:
    """Where bubblewrap finds the sources of mounts: at their own paths, or staged (for root)."""

    staged: bool
    pipes: Pipes
    copies: contextlib.ExitStack
    pairs: list[staging.Pair] = field(default_factory=list)

    def source(self, path: Path, shown: tuple[int, int] | None = None) -> str:
        """Return the path that bubblewrap is to use for *path*; *shown* as in `staging.Pair`."""
        if not self.staged:
            return str(path)
        self.pairs.append(staging.Pair(str(path), str(len(self.pairs)), shown))
        return f"{staging.STAGE}/{self.pairs[-1].name}"

    def own(self, program: Path) -> Path:
        """Return a copy of *program* that is removed as soon as it runs, if the file is ours.

        A box's first process is bubblewrap's, and /proc/1/exe in the box leads to its file: not
        to the box's read-only view of it. What the box could do to a file that is ours, it does to
        one that nobody else will ever run.
        """
        if program.stat().st_uid != os.getuid():
            return program
        for left in program.parent.glob(f"{COPY}*"):  # of a process that was killed
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > STALE:
                    left.unlink()
        copy = program.with_name(f"{COPY}{new_id()}")  # beside its libraries
        self.copies.callback(copy.unlink, missing_ok=True)
        # By another process: what has been open for writing here may be so, for a moment, in
        # whatever another thread starts, and then cannot be executed.
        words = ["cp", "--", str(program), str(copy)]
        subprocess.run(words, check=True, env=PROGRAMS, stdin=subprocess.DEVNULL)
        return copy

    def data(self, content: bytes) -> str:
        """Return a descriptor, as a word, from which bubblewrap reads *content*."""
        return str(self.pipes.memory(content))
