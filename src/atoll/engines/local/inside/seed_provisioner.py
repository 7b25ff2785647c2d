"""How a Jupyter server in a box starts kernels: from the box's seed, where there is one.

The seed (`atoll.engines.local.forking.seed`) has imported ipykernel already. Whatever it is not
for, and whatever goes wrong with it, starts as kernels usually do. `jupyter_server_config.py` names
this to Labs of Atoll's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from subprocess import TimeoutExpired
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

PLACE = "\0atoll/kernels"  # where the seed listens
KERNEL = ["/srv/env/bin/python", "-m", "ipykernel_launcher"]
PATIENCE = 5.0  # seconds that the seed may take to answer
SOON = 1.0  # seconds in which a kernel mostly listens; who connects later finds it anyway


class Seeded:
    """A kernel that is a fork of the seed, with what is used of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.connection = connection

    def poll(self) -> int | None:
        """Return the exit status, or ``None`` while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once it has ended. Raises `TimeoutExpired` after some seconds."""
        status = self._ended(timeout)
        if status is None:
            raise TimeoutExpired(KERNEL, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self.connection.settimeout(timeout)
            try:
                said = self.connection.recv(4096)
            except (BlockingIOError, TimeoutError):
                return None
            except OSError:
                said = b""
            # without a word the seed is gone, and its kernels with it
            self.returncode = int(json.loads(said)["status"]) if said else -signal.SIGKILL
            self.connection.close()
        return self.returncode


def seeded(cmd: list[str], **how: Any) -> Seeded | None:
    """Return the kernel of *cmd*, started by the seed; ``None`` if it must start plainly.

    *how* is what `subprocess.Popen` would be told.
    """
    if cmd[: len(KERNEL)] != KERNEL or how.get("independent"):
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(PATIENCE)
        connection.connect(PLACE)
        asked = {
            "module": KERNEL[-1],
            "arguments": cmd[len(KERNEL) :],
            "environ": dict(how.get("env") or os.environ),
            "cwd": str(how.get("cwd") or os.getcwd()),
        }
        connection.send(json.dumps(asked).encode())
        return Seeded(json.loads(connection.recv(4096))["pid"], connection)
    except (OSError, ValueError):  # there is none, it will not, or it is too much for a message
        connection.close()
        return None


class SeedProvisioner(LocalProvisioner):
    """Starts kernels from the seed, else as `LocalProvisioner` does."""

    async def launch_kernel(self, cmd: list[str], **how: Any) -> Any:
        """Launch a kernel with the command *cmd*; return how it is reached."""
        kernel = seeded(cmd, **how)
        if kernel is None:
            return await super().launch_kernel(cmd, **how)
        self.process = kernel  # type: ignore[assignment]  # it has what is used of one
        self.pid = self.pgid = kernel.pid
        self.cwd = how.get("cwd") or os.getcwd()
        await self._listening()
        return self.connection_info

    async def _listening(self) -> None:
        """Wait a moment until the kernel listens, since it soon does.

        Who connects before that tries again only after 0.1 s, and misses what is said meanwhile.
        """
        told = self.connection_info
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOON if told.get("transport") == "tcp" else 0):
                while await self.poll() is None:
                    with contextlib.suppress(OSError):
                        for name in ("shell_port", "control_port", "iopub_port"):
                            where = str(told["ip"]), int(str(told[name]))
                            _, writer = await asyncio.open_connection(*where)
                            writer.close()
                        return
                    await asyncio.sleep(0.005)
