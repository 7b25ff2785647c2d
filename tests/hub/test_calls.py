"""What the supervisor asks its programs over their sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from atoll.hub import calls
from atoll.hub.calls import Calls, listens
from atoll.hub.places import Places


@contextlib.asynccontextmanager
async def answering(places, answer):
    """Have what listens at the service's socket say *answer*; yield what it is asked."""
    asked = []

    async def say(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(say, places.web_socket):
        yield asked


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path, tmp_path, "127.0.0.1", 1, "/under/")


@pytest.mark.parametrize(
    ("answer", "up"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", True),  # it answers, be it unwell
        (b"", False),
        (b"HTTP/1.1", False),
        (b"no HTTP at all", False),
        (b"\xff\xfe \xff", False),
    ],
)
async def test_the_service_is_up_when_it_answers_at_all(places, answer, up):
    async with answering(places, answer) as asked:
        assert await Calls(places).service_answers() is up
    assert asked[0].startswith(b"GET /under/versions HTTP/1.1\r\n")


async def test_what_is_not_there_or_says_nothing_does_not_answer(places, monkeypatch):
    monkeypatch.setattr(calls, "PATIENCE", 0.1)
    assert not await Calls(places).service_answers()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(places.web_socket))
        assert not await Calls(places).service_answers()
        deaf.listen()
        assert not await Calls(places).service_answers()


async def test_a_socket_for_packets_listens_or_does_not(tmp_path):
    path = tmp_path / "packets.sock"
    assert not await listens(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.bind(str(path))
        assert not await listens(path)
        one.listen()
        assert await listens(path)
    assert not await listens(path)
