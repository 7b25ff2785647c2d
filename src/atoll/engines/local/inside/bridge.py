"""Joins two sockets, byte by byte: how what listens in one place is reached at another.

    bridge.py LISTEN CONNECT [-- COMMAND …]

Each of LISTEN and CONNECT is ``unix:PATH``, ``tcp:HOST:PORT`` or ``fd:N`` (a listening socket
that was inherited). With a command, the bridge runs it and ends, with its exit code, when it
ends. Without one, it ends when the file of its ``unix:`` target is gone. It runs both inside
boxes and outside, under any Python from 3.9 on, and needs nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNK = 256 * 1024  # bytes
PATIENCE = 120  # seconds that a target may take to begin to listen


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then pass the end on."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, asyncio.CancelledError):
        writer.close()


async def connect(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to *target*."""
    kind, _, where = target.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(where)
    host, _, port = where.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def serve(target: str, handle: Handle) -> asyncio.Server:
    """Listen at *target*."""
    kind, _, where = target.partition(":")
    if kind == "unix":
        return await asyncio.start_unix_server(handle, where)
    if kind == "fd":
        return await asyncio.start_server(handle, sock=socket.socket(fileno=int(where)))
    host, _, port = where.rpartition(":")
    return await asyncio.start_server(handle, host, int(port))


async def main(listen: str, target: str, command: list[str]) -> int:
    """Bridge until the command, or the target's file, is gone; return the exit code."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await connect(target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()

    if not command:
        await serve(listen, handle)
        while os.path.exists(target.partition(":")[2]):
            await asyncio.sleep(1)
        return 0
    child = await asyncio.create_subprocess_exec(*command)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, child.send_signal, signal.SIGTERM)
    ended = asyncio.ensure_future(child.wait())
    for _ in range(PATIENCE * 20):  # whoever finds us listening shall find the target listening
        try:
            _, writer = await connect(target)
        except OSError:
            if ended.done():
                break
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await serve(listen, handle)
            break
    return await ended


if __name__ == "__main__":
    here = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[here + 1 :])))
