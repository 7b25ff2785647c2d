"""A real PostgreSQL server of the tests' own, on a unix socket in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg


def program(name: str) -> str:
    """Return where Debian keeps PostgreSQL's server programs, which are not on everybody's PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [shutil.which(name)]
    if not found[-1]:
        message = f"{name} is missing: scripts/prepare-tests.sh installs Debian's postgresql."
        raise RuntimeError(message)
    return str(found[-1])


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run an empty server, give its URL (``postgresql://…``), and take it down again.

    PostgreSQL refuses to run as root: then it runs as Debian's user ``postgres``.
    """
    with tempfile.TemporaryDirectory(prefix="atoll-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user: dict[str, str | int | list[str]] = {}
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = folder / "data"
        environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": name}
        _run([program("initdb"), "-D", data, "-U", "atoll", "-A", "trust", "-N"], environ, user)
        server = subprocess.Popen(
            # No TCP at all; durability is of no use to a test.
            [
                program("postgres"),
                "-D",
                data,
                "-k",
                name,
                "-h",
                "",
                "-F",
                "-c",
                "shared_buffers=16MB",
            ],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=name,
            **user,
        )
        try:
            _run([program("createdb"), "-h", name, "-U", "atoll", "atoll"], environ, user, tries=50)
            yield f"postgresql://atoll@/atoll?host={name}"
        finally:
            server.terminate()
            server.wait(20)


@contextlib.contextmanager
def fresh_database(server: str, like: str = "template1") -> Iterator[str]:
    """Make a database on *server* (a URL that `postgres` gave), and give its URL.

    It is empty, or a copy of the one *like*, which nobody may be using.
    """
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
    try:
        yield server.replace("/atoll?", f"/{name}?")
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _run(command, environ, user, *, tries: int = 1) -> None:
    for attempt in range(tries):
        done = subprocess.run(
            command,
            check=False,
            env=environ,
            cwd=environ["HOME"],
            capture_output=True,
            text=True,
            **user,
        )
        if done.returncode == 0:
            return
        if attempt + 1 < tries:
            time.sleep(0.1)
    message = f"{command[0]} failed: {done.stderr}"
    raise RuntimeError(message)
