"""Proxy: the one way out that hg has where a stranger from the web asks for a repository.

Hg looks names up by itself, follows redirects by itself, and cannot be told the addresses that were
checked. So it is given an HTTP proxy, which lives on loopback as long as the command: it looks at
each connection as the gate says, connects to the very address that was checked, and never to a
weaker protocol than the one that was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from atoll.errors import AtollError, Refused, Unreachable
from atoll.providers.addresses import PATIENCE, Gate
from atoll.sources.locators import DEFAULT_PORTS

LONGEST_HEAD = 65536  # bytes; hg's arguments are sent as headers
REQUEST = re.compile(rb"([A-Z]+) (\S+) (HTTP/1\.[01])")
PER_HOP = (b"connection:", b"proxy-connection:", b"keep-alive:")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Proxy:
    """What it may connect to, where it listens, and why it refused the last that it did."""

    gate: Gate
    secure: bool
    port: int = 0
    refusal: AtollError | None = None
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def config(self) -> tuple[str, ...]:
        """Return the settings with which hg uses it, for any host."""
        return (f"http_proxy.host=127.0.0.1:{self.port}", "http_proxy.always=True")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what hg says over one connection."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - this is one
        self._serving.add(task)
        try:
            with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
                await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            pass  # the command has ended; a server of asyncio's would call this a failure
        finally:
            self._serving.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            url, first = _read_head(await _head(reader))
            remote = await self._connect(url)
        except AtollError as error:
            self.refusal = error
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        try:
            if first:
                remote[1].write(first)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = [_pipe(reader, remote[1]), _pipe(remote[0], writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
        finally:
            remote[1].close()

    async def _connect(self, url: str) -> Streams:
        parts = urlsplit(url)
        if self.secure and parts.scheme != "https":
            raise Refused(f"It redirects to {parts.hostname} without encryption.")
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        for address in await self.gate.addresses(url):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    return await asyncio.open_connection(str(address), port)
        raise Unreachable(f"{parts.hostname} does not answer.", hint="Try again later.")

    async def end(self) -> None:
        """End all connections."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxy_for(gate: Gate, url: str) -> AsyncIterator[Proxy]:
    """Have a proxy by which *url* can be fetched, and what that redirects to."""
    proxy = Proxy(gate, secure=url.startswith("https://"))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refused("A request of hg's is too long.") from error


def _read_head(head: bytes) -> tuple[str, bytes]:
    """Return the URL that a request is for, and how the request goes on, b"" for a tunnel.

    Of a request the server is told to close the connection afterwards: the next may be to another.
    """
    line, _, rest = head.partition(b"\r\n")
    asked = REQUEST.fullmatch(line)
    if not asked:
        raise Refused("A request of hg's is not understood.")
    method, target, version = asked.groups()
    if method == b"CONNECT":
        return f"https://{target.decode('latin-1')}", b""
    url = urlsplit(target.decode("latin-1"))
    if url.scheme != "http" or not url.hostname:
        raise Refused("A request of hg's is not understood.")
    path = url._replace(scheme="", netloc="").geturl() or "/"
    path = path if path.startswith("/") else f"/{path}"
    headers = [one for one in rest.split(b"\r\n") if one and not one.lower().startswith(PER_HOP)]
    lines = (b" ".join((method, path.encode("latin-1"), version)), *headers, b"Connection: close")
    return url.geturl(), b"\r\n".join(lines) + b"\r\n\r\n"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
