"""Hgservers: real Mercurial repositories, and Mercurial's own server on loopback.

node = make_hg(root / "course", {"requirements.txt": "six\n"})
with serve_hg(root) as served:
    ...  # f"hg+{served.base}/course" is a repository
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atoll.providers.mercurial.commands import find_hg
from support.gitservers import Link, wait_until, write

DATE = "2024-05-06 12:00 +0200"
HOSTILE = """
from mercurial import context, registrar
cmdtable = {}
command = registrar.command(cmdtable)

@command(b"hostile", [], b"")
def hostile(ui, repo, target, *names):
    '''Commit files of these names, unlooked at; one without a slash is a link to target.'''
    def made(repo, ctx, path):
        link = b"/" not in path
        return context.memfilectx(repo, ctx, path, target if link else b"x", islink=link)
    parents = (repo[b"tip"].node(), bytes(20))
    repo.commitctx(context.memctx(repo, parents, b"x", list(names), made, b"ada", b"0 0"))
"""


@dataclass(frozen=True)
class Served:
    """A running server: its address, and the folder of its repositories."""

    base: str
    root: Path

    def seen(self, name: str) -> list[str]:
        """Return what it was asked so far about the repository *name*."""
        return [line for line in self.log.read_text().splitlines() if f"/{name}?" in line]

    @property
    def log(self) -> Path:
        """The file of all that it was asked."""
        return self.root / "access.log"


def environment() -> dict[str, str]:
    """Return an environment without this machine's configuration."""
    return {"PATH": os.environ["PATH"], "HGRCPATH": "", "HGPLAIN": "1", "LC_ALL": "C.UTF-8"}


def run_hg(folder: Path, *arguments: str, config: Sequence[str] = ()) -> str:
    """Run hg in *folder*; *config* are ``section.key=value`` settings, for a process of its own."""
    if not config:
        return _command_server().run("--cwd", str(folder), *arguments)
    settings = [word for one in config for word in ("--config", one)]
    command = [find_hg(os.environ["PATH"]), *settings, *arguments]
    env = {**environment(), "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"hg {arguments}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


class CommandServer:
    """One hg for many commands: each process takes a third of a second to begin.

    The format: https://wiki.mercurial-scm.org/CommandServer.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [find_hg(os.environ["PATH"]), "serve", "--cmdserver", "pipe"],
            env=environment(), cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.read()  # it says hello
        atexit.register(self.end)

    def run(self, *arguments: str) -> str:
        """Run one command, and return what it printed."""
        assert self.process.stdin
        body = "\0".join(arguments).encode()
        self.process.stdin.write(b"runcommand\n" + struct.pack(">I", len(body)) + body)
        self.process.stdin.flush()
        said = {b"o": b"", b"e": b""}
        while (answer := self.read())[0] != b"r":
            said[answer[0]] += answer[1]
        if struct.unpack(">i", answer[1])[0]:
            raise AssertionError(f"hg {arguments}: {said[b'e'].decode()}")
        return said[b"o"].decode().strip()

    def read(self) -> tuple[bytes, bytes]:
        assert self.process.stdout
        channel, length = struct.unpack(">cI", self.process.stdout.read(5))
        return channel, self.process.stdout.read(length)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


_command_server = functools.cache(CommandServer)


def make_hg(
    folder: Path,
    files: Mapping[str, str | bytes | Link | None],
    date: str = DATE,
    branch: str = "",
) -> str:
    """Add a changeset with *files* to the repository in *folder*, made if need be; return its id.

    ``None`` removes a file. With *branch*, that branch begins here.
    """
    if not (folder / ".hg").exists():
        folder.mkdir(parents=True)
        run_hg(folder, "init")
    for name, body in files.items():
        write(folder / name, body)
    if branch:
        run_hg(folder, "branch", branch)
    run_hg(folder, "commit", "--addremove", "--message=x", "--user=ada", f"--date={date}")
    return run_hg(folder, "log", "--rev=.", "--template={node}")


def make_hostile(folder: Path, target: Path, *names: str) -> str:
    """Add a changeset with files of *names*, as no honest hg would; return its id."""
    extension = folder.with_suffix(".py")
    extension.write_text(HOSTILE)
    run_hg(folder, "hostile", str(target), *names, config=[f"extensions.hostile={extension}"])
    return run_hg(folder, "log", "--rev=tip", "--template={node}")


@contextlib.contextmanager
def serve_hg(
    root: Path, certificate: Path | None = None, config: Sequence[str] = ()
) -> Iterator[Served]:
    """Serve every repository in *root*, over https with a *certificate* that holds its key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = root / "web.conf"
    web.write_text(f"[paths]\n/ = {root}/*\n[web]\nrefreshinterval = 0\n")
    served = Served(f"http{'s' * bool(certificate)}://127.0.0.1:{port}", root)
    command = [find_hg(os.environ["PATH"]), "serve", "--address=127.0.0.1", f"--port={port}"]
    command += [f"--web-conf={web}", f"--accesslog={served.log}"]
    command += [f"--certificate={certificate}"] if certificate else []
    command += [word for one in config for word in ("--config", one)]
    server = subprocess.Popen(
        command, env=environment(), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port) or server.poll() is not None)
        yield served
    finally:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
