"""Sshserver: a real sshd on loopback, for whoever runs the tests, with keys of its own.

with serve_ssh(tmp_path / "ssh") as server:
    ...  # f"{server.url}/srv/course" is that folder's repository; server.client is an ssh config
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.gitservers import wait_until

ALIAS = "forge"  # a host that only the person's ssh configuration knows
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PermitUserEnvironment no
ForceCommand exec env -i PATH="$PATH" HOME={folder} sh -c "$SSH_ORIGINAL_COMMAND"
"""
CLIENT = """
Host {alias}
  HostName 127.0.0.1
  Port {port}
Host *
  IdentityFile {folder}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking ask
"""


@dataclass(frozen=True)
class SshServer:
    """``client`` is the person's ssh configuration, in the folder of their keys."""

    folder: Path
    port: int
    user: str

    @property
    def url(self) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    @property
    def client(self) -> Path:
        return self.folder / "config"

    def know(self, key: str = "host") -> None:
        """Make the person know the server by *key*, a file of the folder."""
        public = (self.folder / f"{key}.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")


def new_key(path: Path, passphrase: str = "") -> None:
    """Make the key *path*, and its public half beside it."""
    path.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def serve_ssh(folder: Path) -> Iterator[SshServer]:
    """Run sshd until the end of the block; the person knows it and has a key that it takes."""
    folder.mkdir(mode=0o700)
    for name in ("host", "key"):
        new_key(folder / name)
    shutil.copy(folder / "key.pub", folder / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, locks itself in
    server = SshServer(folder, port, getpass.getuser())
    (folder / "sshd_config").write_text(SERVER.format(port=port, folder=folder))
    server.client.write_text(CLIENT.format(alias=ALIAS, port=port, folder=folder))
    server.know()
    program = shutil.which("sshd") or "/usr/sbin/sshd"  # it wants its whole path
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log
        )
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
