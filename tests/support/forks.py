"""Forks: a real fork server, and Python that runs in a fork in a real box, as `boxes` runs it."""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

from atoll.engines.local import commands, sandbox
from atoll.engines.local.forking import client
from atoll.engines.local.owners import give
from atoll.engines.local.sandbox import HOME, Bind, Box
from atoll.names import new_id
from atoll.servers import Limits, Network
from atoll.settings import Settings
from support.boxes import OWNER

TESTS = Path(__file__).parents[1]


class ForkServer:
    """A fork server for the tests of one run; `serve` lets an installation use it."""

    def __init__(self, folder):
        self.settings = Settings(data=folder)
        self.path = client.place(self.settings)
        self.start()
        until = time.monotonic() + 120
        while not self.answers():
            assert self.keeper.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)

    def start(self):
        environ = {**client.ENVIRON, "PYTHONPATH": str(TESTS)}
        self.keeper = subprocess.Popen(client.command(self.settings), env=environ)

    def answers(self):
        try:
            with client.call(self.path) as caller:
                caller.shutdown(socket.SHUT_WR)
                return caller.recv(1) == b""
        except client.NotForked:
            return False

    def serve(self, settings):
        client.place(settings).symlink_to(self.path)

    def close(self):
        self.keeper.terminate()
        self.keeper.wait(10)
        self.path.unlink()

    async def run(
        self,
        code,
        *,
        home=None,
        network=Network.NONE,
        limits=None,
        binds=(),
        environ=None,
        timeout=60,
        owner=OWNER,
    ):
        """Run the Python *code* in a fork in a box; return its exit code and its lines."""
        mounts = [Bind(Path(one), one) for one in (*commands.runtime(), str(TESTS))] + list(binds)
        if home:
            give(home, owner)
            mounts.append(Bind(home, HOME, writable=True))
        box = Box(
            command=(),
            binds=tuple(mounts),
            environ={"PATH": "/usr/bin:/bin", **(environ or {})},
            network=network,
            limits=limits or Limits(),
            owner=owner,
        )
        read, write = os.pipe()
        try:
            fork = await asyncio.to_thread(
                client.start, self.settings, box, "support.script:Script", [code], write, new_id()
            )
        finally:
            os.close(write)
        assert fork is not None
        fork.caller.close()
        try:
            with open(read, "rb") as pipe:
                async with asyncio.timeout(timeout):
                    said = await asyncio.to_thread(pipe.read)
                    status = await asyncio.to_thread(fork.box.process.wait)
        finally:
            sandbox.kill(fork.box)
        lines = [*fork.box.notes, *said.decode(errors="replace").splitlines()]
        return status, "\n".join(lines)
