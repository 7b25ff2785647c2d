"""Programs: how git and hg are run, which read what strangers wrote.

Arguments are lists, never a shell line; the environment is made for each command. Every process
leads a group of its own, which is killed at the end of its time, when it takes too much disk, and
when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.errors import Lacking, TooLarge
from atoll.providers.sizes import size_of

Say = Callable[[str], None]

KEPT = ("PATH", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
PERSONS = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
SSH = "-o BatchMode=yes -o ConnectTimeout=20"  # it never asks anybody anything
NEUTRAL = Path("/")  # a command about no repository must not find one where we happen to stand
LONGEST_ANSWER = 64 * 1024**2  # bytes; `ls-remote` of the largest public repositories says 30 MB
# Bytes, of each process: a few small trees that name one another stand for more files than
# there is room to list. A program sets it: in a fork of ours that costs three times all the rest.
MEMORY = 4 * 1024**3
LINES_KEPT = 50
PASSING = 0.5  # seconds between two told states of a line that is rewritten, at least
GLANCE = 0.3  # seconds between two looks at how much disk is used, at least


@dataclass(frozen=True, slots=True)
class Limit:
    """How large *folder* may grow, in bytes, while a command runs; all of it counts."""

    folder: Path
    most: int


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: its exit code, its stdout, and the last lines of its stderr."""

    code: int
    out: bytes
    lines: list[str]


async def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    folder: Path = NEUTRAL,
    say: Say | None = None,
    limit: Limit | None = None,
) -> Ran:
    """Run *command* in *folder*; every line of stderr is told to *say*.

    Raises `TooLarge`, and `Lacking` where there is no prlimit.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *("prlimit", f"--data={MEMORY}", *command),
            cwd=folder,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Lacking("There is no prlimit here.", hint="Install util-linux.") from error
    try:
        out, lines = await _attend(process, say, limit)
    finally:
        await _kill(process)
    if process.returncode and any("out of memory" in line.lower() for line in lines):
        name, most = Path(command[0]).name, f"{MEMORY / 1024**3:.3g} GB"
        raise TooLarge(f"The repository is too much for {name}, which may use {most}.")
    return Ran(process.returncode or 0, out, lines)


def environment(*, persons: bool) -> dict[str, str]:
    """Return what a program keeps of our environment; with *persons*, also who we are."""
    kept = (*KEPT, *PERSONS, *PROXIES) if persons else KEPT
    return {name: os.environ[name] for name in kept if name in os.environ}


async def _attend(
    process: asyncio.subprocess.Process, say: Say | None, limit: Limit | None
) -> tuple[bytes, list[str]]:
    assert process.stdout  # noqa: S101 - asked for
    assert process.stderr  # noqa: S101 - likewise
    work = asyncio.gather(
        _read_answer(process.stdout), _read_lines(process.stderr, say), process.wait()
    )
    watch = asyncio.ensure_future(_watch(limit)) if limit else None
    both: set[asyncio.Future[Any]] = {work, watch} if watch else {work}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if watch and watch.done():
            watch.result()  # raises TooLarge
        out, lines, _ = await work
    finally:
        work.cancel()
        if watch:
            watch.cancel()
    if limit:  # it may have been quicker than we look
        await asyncio.to_thread(size_of, limit.folder, limit.most)
    return out, lines


async def _read_answer(stream: asyncio.StreamReader) -> bytes:
    parts, size = [], 0
    while part := await stream.read(65536):
        parts.append(part)
        size += len(part)
        if size > LONGEST_ANSWER:
            raise TooLarge("The repository's list of branches and files is too long.")
    return b"".join(parts)


async def _read_lines(stream: asyncio.StreamReader, say: Say | None) -> list[str]:
    """Read stderr to its end; of a line that is being rewritten, a state now and then is told."""
    kept: deque[str] = deque(maxlen=LINES_KEPT)
    rest, told = b"", time.monotonic()
    while part := await stream.read(4096):
        *whole, rest = re.split(rb"(?<=[\r\n])", rest + part)
        rest = rest[-4096:]
        for line in whole:
            passing = line.endswith(b"\r")
            if passing and time.monotonic() - told < PASSING:
                _note(line, kept, None)
                continue
            told = time.monotonic() if passing else told
            _note(line, kept, say)
    _note(rest, kept, say)
    return list(kept)


def _note(line: bytes, kept: deque[str], say: Say | None) -> None:
    text = "".join(c for c in line.decode("utf-8", "replace").rstrip() if c.isprintable())
    if not text:
        return
    kept.append(text)
    if say:
        say(text)


async def _watch(limit: Limit) -> None:
    loop = asyncio.get_running_loop()
    while True:
        begun = loop.time()
        await asyncio.to_thread(size_of, limit.folder, limit.most)
        await asyncio.sleep(max(GLANCE, 4 * (loop.time() - begun)))


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill *process* and all that it started, unless it has ended, and wait until it is gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
