"""Commands: how git is run so that nothing in a repository, a URL or a server's answer steers it.

Arguments are lists, never a shell line. No configuration but ours is read, no hook runs, no
program is asked for a password, no protocol is spoken but those named. Every process leads a
group of its own, which is killed at the end of its time, when it takes too much disk, and
when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

from atoll.errors import Lacking, TooLarge
from atoll.providers.sizes import size_of

Say = Callable[[str], None]

ALWAYS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.unpackLimit=1",  # one pack, not ten thousand files, whose sizes are watched
    "http.lowSpeedLimit=500",  # bytes a second; a dripping server is given up after …
    "http.lowSpeedTime=60",  # … so many seconds
    "advice.detachedHead=false",
    "init.defaultBranch=main",
)
KEPT = ("PATH", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
PERSONS = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
SSH = "-o BatchMode=yes -o ConnectTimeout=20"  # it never asks anybody anything
NOBODY = "-F none -o IdentityFile=none -o IdentityAgent=none"  # it uses no key of this machine's
NEUTRAL = Path("/")  # a command about no repository must not find one where we happen to stand
LONGEST_ANSWER = 64 * 1024**2  # bytes; `ls-remote` of the largest public repositories says 30 MB
# Bytes, of each process of git's: a few small trees that name one another stand for more files than
# there is room to list. A program sets it: in a fork of ours that costs three times all the rest.
MEMORY = 4 * 1024**3
COMPLAINTS = {"fatal", "error", "ssh"}
LINES_KEPT = 50
PASSING = 0.5  # seconds between two told states of a line that git rewrites, at least
GLANCE = 0.3  # seconds between two looks at how much disk is used, at least


class GitFailed(Exception):
    """Git said no; ``lines`` are the last that it wrote to stderr. Never leaves this provider."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)

    @property
    def text(self) -> str:
        """All that git wrote, in lower case, without the lines that only show progress."""
        return "\n".join(line for line in self.lines if "%" not in line).lower()

    @property
    def sentence(self) -> str:
        """What git itself says is the matter, in one line: its first complaint is the cause."""
        for line in self.lines:
            mark, _, said = line.removeprefix("remote: ").partition(": ")
            if mark.lower() in COMPLAINTS:
                return said.strip().rstrip(".")
        return (self.lines or ["git failed without a word"])[-1].strip().rstrip(".")


@dataclass(frozen=True, slots=True)
class Limit:
    """How large *folder* may grow, in bytes, while a command runs; all of it counts."""

    folder: Path
    most: int


async def git(
    *arguments: str,
    folder: Path = NEUTRAL,
    config: Sequence[str] = (),
    protocols: str = "",
    persons: bool = False,
    say: Say | None = None,
    limit: Limit | None = None,
) -> bytes:
    """Run git in *folder* and return what it wrote to stdout.

    *config* are ``key=value`` settings; *protocols*, with ":" between them, are all that it may
    speak. *persons* keeps the environment and the configuration of whoever runs this process,
    their credential helpers and ssh agent with them; only remotes are asked that way, never is
    a work tree made. Every line of stderr is told to *say*.
    Raises `GitFailed`, `TooLarge`, and `Lacking` where there is no git.
    """
    settings = [word for one in (*ALWAYS, *config) for word in ("-c", one)]
    environ = environment(folder, protocols, persons=persons)
    program = which("git", path=environ.get("PATH"))
    if program is None:
        raise Lacking("There is no git here.", hint="Install git 2.37 or newer.")
    try:
        process = await asyncio.create_subprocess_exec(
            *("prlimit", f"--data={MEMORY}", program),
            *settings,
            *arguments,
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
    if process.returncode:
        failed = GitFailed(lines)
        if "out of memory" in failed.text:
            raise TooLarge(
                f"The repository is too much for git, which may use {MEMORY / 1024**3:.3g} GB."
            )
        raise failed
    return out


def environment(folder: Path, protocols: str, *, persons: bool) -> dict[str, str]:
    """Return the environment of a git process."""
    kept = (*KEPT, *PERSONS, *PROXIES) if persons else KEPT
    found = {name: os.environ[name] for name in kept if name in os.environ}
    if "SSL_CERT_FILE" in found:  # OpenSSL's name for it, which git does not know
        found.setdefault("GIT_SSL_CAINFO", found["SSL_CERT_FILE"])
    own = {
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": f"{_persons_ssh()} {SSH}" if persons else f"ssh {NOBODY} {SSH}",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    if not persons:
        own |= {
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
        }
    return found | own


def _persons_ssh() -> str:
    """Return the shell command by which whoever runs this process has told git to run ssh."""
    if command := os.environ.get("GIT_SSH_COMMAND"):
        return command
    if program := os.environ.get("GIT_SSH"):
        return shlex.quote(program)
    return _configured_ssh(tuple((one, os.environ.get(one)) for one in (*KEPT, *PERSONS))) or "ssh"


@functools.cache
def _configured_ssh(environ: tuple[tuple[str, str | None], ...]) -> str:
    """Ask git, which would read its setting after our variable; "" if there is none."""
    ran = subprocess.run(
        ["git", "config", "--get", "core.sshCommand"],
        cwd=NEUTRAL,
        env={name: value for name, value in environ if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.strip()


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
