"""Processes: one program that is kept running, started again when it dies, and heard."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from atoll.errors import StartFailed
from atoll.hub.journal import Journal, read_line

PATIENCE = 60.0  # seconds that a process may take until it answers
POLL = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0  # seconds before the second and before a late start
STABLE = 60.0  # a process that lived for so many seconds is started again without delay
LONGEST_LINE = 64 * 1024
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


async def _nothing() -> None:
    return


@dataclass(slots=True, kw_only=True)
class Process:
    """One program that is kept running.

    ``healthy`` says whether it answers; ``risen`` is awaited each time it does so anew.
    ``socket`` is where it listens, if an earlier one may have left that behind.
    """

    name: str
    command: list[str]
    environ: Mapping[str, str]
    healthy: Callable[[], Awaitable[bool]]
    socket: Path | None
    journal: Journal
    risen: Callable[[], Awaitable[None]] = _nothing
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = None
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    _ending: bool = False

    async def keep(self) -> None:
        """Start it, and again whenever it dies, until `end`.

        Raises `StartFailed` when it dies, or answers to nobody, before it ever was healthy.
        """
        pause = FIRST_PAUSE
        while not self._ending:
            born = time.monotonic()
            process = self._process = await self._start()
            heard = asyncio.create_task(self._hear(process))
            if await self._answers(process):
                self.journal.tell(self.name, "is up", pid=process.pid)
                with contextlib.suppress(StartFailed):
                    await self.risen()
                self.ready.set()
            status = await process.wait()
            await heard
            if self._ending:
                return
            if not self.ready.is_set():
                raise StartFailed(
                    f"The {self.name} did not start (exit status {status}).\n" + self.last_words(),
                    hint=f"All that it said is in {self.journal.file}.",
                )
            pause = FIRST_PAUSE if time.monotonic() - born > STABLE else pause
            self.journal.tell(self.name, f"ended with status {status}; starting it again", "error")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def end(self, seconds: float = 10) -> None:
        """Ask it to stop, wait so many seconds, and then make it."""
        self._ending = True
        self.signal(signal.SIGTERM)
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
            self.kill()

    def kill(self) -> None:
        """End it at once and for good."""
        self._ending = True
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send *number* to it alone: what it started (servers above all) is not meant."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def last_words(self) -> str:
        """Return the last lines it printed."""
        return "\n".join(f"  {line}" for line in self._last)

    async def _start(self) -> asyncio.subprocess.Process:
        if self.socket is not None:
            self.socket.unlink(missing_ok=True)
        return await asyncio.create_subprocess_exec(
            *self.command,
            env=dict(self.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A session has a processor share of its own (sched_autogroup), which a page needs while
            # people arrive; and a terminal's Ctrl-C is the supervisor's to answer.
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )

    async def _answers(self, process: asyncio.subprocess.Process) -> bool:
        late = time.monotonic() + PATIENCE
        while process.returncode is None and not self._ending:
            if await self.healthy():
                return True
            if time.monotonic() > late:
                self.journal.tell(self.name, f"did not answer for {PATIENCE:.0f} s", "error")
                self.signal(signal.SIGKILL)
                return False
            await asyncio.sleep(POLL)
        return False

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stdout
        if stream is None:
            return
        level, rest = "info", b""
        while chunk := await stream.read(LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                level = self._note(line, level)
        self._note(rest, level)

    def _note(self, line: bytes, before: str) -> str:
        text = self.journal.mask(line.decode("utf-8", "replace"))
        level, event, fields = read_line(text, before)
        if event:
            self._last.append(event)
            if self._ending and level != "info":
                level = "warning"  # JupyterHub calls it critical that it is asked to stop
            self.journal.tell(self.name, event, level, **fields)
        return level


def die_with(parent: int) -> Callable[[], None]:
    """Return what a child runs before it becomes the program: it dies when *parent* does.

    At once and unasked, so that whoever starts the supervisor again finds nothing in the way;
    every one of our programs stands that.
    """

    def tether() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return tether
