"""Commands: how git is run so that nothing in a repository, a URL or a server's answer steers it.

No configuration but ours is read, no hook runs, no program is asked for a password, no protocol is
spoken but those named.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from atoll.errors import Lacking
from atoll.providers import programs
from atoll.providers.programs import KEPT, NEUTRAL, PERSONS, SSH, Limit, Say

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
NOBODY = "-F none -o IdentityFile=none -o IdentityAgent=none"  # it uses no key of this machine's
COMPLAINTS = {"fatal", "error", "ssh"}


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
    ran = await programs.run(
        (program, *settings, *arguments), environ, folder=folder, say=say, limit=limit
    )
    if ran.code:
        raise GitFailed(ran.lines)
    return ran.out


def environment(folder: Path, protocols: str, *, persons: bool) -> dict[str, str]:
    """Return the environment of a git process."""
    found = programs.environment(persons=persons)
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
