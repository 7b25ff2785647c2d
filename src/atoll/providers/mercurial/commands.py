"""Commands: how hg is run so that nothing in a repository, a URL or a server's answer steers it.

No configuration but ours is read, so no extension is loaded and no hook runs; nothing that is
written for people changes what we read. Names of versions go to servers as they are, never to
hg's language for sets of revisions.
"""

from __future__ import annotations

import os
import ssl
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from atoll.errors import Lacking
from atoll.providers import programs
from atoll.providers.programs import NEUTRAL, Limit, Say

ALWAYS = (
    "ui.interactive=False",
    "ui.clonebundles=False",  # a server's list of other places to download from
    "ui.archivemeta=False",
    "subrepos.allowed=False",
    "extensions.largefiles=!",  # a person's own would mark the mirror as one that …
    "extensions.lfs=!",  # … nobody else can read
    "progress.assume-tty=True",
    "progress.delay=1",  # seconds
    "progress.format=topic number unit",
)
OURS = {
    "LC_ALL": "C.UTF-8",
    "HGENCODING": "UTF-8",
    "HGENCODINGMODE": "replace",
    "HGPLAIN": "+strictflags",  # only what stands before the command is taken for --config
    "HGPLAINEXCEPT": "progress",
    "SSH_ASKPASS": "/bin/false",
}
NOBODYS = {"HOME": "/nonexistent", "HGRCPATH": ""}


class HgFailed(Exception):
    """Hg said no; ``lines`` are the last that it wrote to stderr. Never leaves this provider."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)

    @property
    def text(self) -> str:
        """All that hg wrote, in lower case."""
        return "\n".join(self.lines).lower()

    @property
    def sentence(self) -> str:
        """What hg itself says is the matter, in one line."""
        for line in self.lines:
            if line.startswith("abort: "):
                return line.removeprefix("abort: ").removeprefix("error: ").strip(" .!")
        return (self.lines or ["hg failed without a word"])[-1].strip(" .!")


async def hg(
    *arguments: str,
    repository: Path | None = None,
    config: Sequence[str] = (),
    persons: bool = False,
    say: Say | None = None,
    limit: Limit | None = None,
) -> str:
    """Run hg, about the *repository* on this disk if there is one, and return what it printed.

    *config* are ``section.key=value`` settings. *persons* keeps the environment and the
    configuration of whoever runs this process, credentials and ssh agent with them; only remotes
    are asked that way, never is a work tree made. Every line of stderr is told to *say*.
    Raises `HgFailed`, `TooLarge`, and `Lacking` where there is no Mercurial.
    """
    environ = programs.environment(persons=persons) | OURS
    if persons and "HGRCPATH" in os.environ:
        environ["HGRCPATH"] = os.environ["HGRCPATH"]
    elif not persons:
        environ |= NOBODYS
    program = find_hg(environ.get("PATH", ""))
    believed = () if persons else _believed()
    settings = [word for one in (*ALWAYS, *believed, *config) for word in ("--config", one)]
    where = ("--repository", str(repository)) if repository else ()
    command = (program, *settings, *where, *arguments)
    ran = await programs.run(command, environ, folder=NEUTRAL, say=say, limit=limit)
    if ran.code:
        raise HgFailed(ran.lines)
    return ran.out.decode("utf-8", "replace")


def _believed() -> tuple[str, ...]:
    """Name the system's authorities, or ``$SSL_CERT_FILE``, to hg, which has others in mind."""
    file = ssl.get_default_verify_paths().cafile
    return (f"web.cacerts={file}",) if file else ()


def find_hg(path: str) -> str:
    """Return the hg that came with Atoll, else one on the *path*; raises `Lacking`."""
    scripts = sysconfig.get_path("scripts")
    if found := which("hg", path=os.pathsep.join((scripts, path))):
        return found
    raise Lacking(
        "There is no Mercurial here, which this repository needs.",
        hint="Install it beside Atoll (pip install mercurial), or the system's package mercurial.",
    )
