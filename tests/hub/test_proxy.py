"""The proxy that comes along: how it gets into a wheel, and that it runs without any Node.js."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from atoll.errors import Lacking
from atoll.hub.places import http_unix
from atoll.hub.proxy import proxy_command
from atoll.testing.runners import TinyServer
from support.hub import eventually, free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def proxy(tmp_path):
    """Run the proxy, with nothing on the PATH, and give its port and the socket for orders."""
    orders, port = tmp_path / "api.sock", free_port()
    options = ["--ip", "127.0.0.1", "--port", str(port), "--api-socket", str(orders)]
    options += ["--error-target", http_unix(tmp_path / "nobody.sock")]
    environ = {"PATH": str(tmp_path), "CONFIGPROXY_AUTH_TOKEN": "token"}
    process = subprocess.Popen([*proxy_command(), *options], env=environ)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx2.get(f"{url}/_chp_healthz", trust_env=False).status_code == 200)
        yield url, orders, process.pid
    finally:
        process.terminate()
        process.wait(10)


def private(pid: int) -> int:
    """Return how much memory a process has for itself, in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def add_route(orders: Path, path: str, socket: Path, token: str = "token") -> int:
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(orders))) as client:
        body = {"target": http_unix(socket)}
        headers = {"Authorization": f"token {token}"}
        url = f"http://proxy/api/routes{path}"
        return client.post(url, json=body, headers=headers).status_code


def test_the_proxy_runs_on_a_machine_without_nodejs_and_takes_our_orders_only(proxy, tmp_path):
    _, orders, _ = proxy
    assert add_route(orders, "/x", tmp_path / "x.sock", "wrong") == 403
    assert add_route(orders, "/x", tmp_path / "x.sock") == 201
    assert stat.S_IMODE(orders.stat().st_mode) & 0o077 == 0


def test_the_proxy_gives_memory_back_when_nobody_asks_for_anything(proxy):
    url, _, pid = proxy
    with httpx2.Client(trust_env=False) as client:
        for _ in range(200):
            client.get(f"{url}/nobody")
    busy = private(pid)
    eventually(lambda: private(pid) < busy - 4e6, seconds=60)


async def test_websockets_pass_both_ways_however_long_they_are_silent(proxy, tmp_path):
    url, orders, _ = proxy

    over = asyncio.Event()

    async def echo(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        writer.write(head.encode())
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_unix_server(echo, tmp_path / "ws.sock")
    assert await asyncio.to_thread(add_route, orders, "/ws", tmp_path / "ws.sock") == 201
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    for pause in (0, 3):  # longer than an idle connection is kept
        await asyncio.sleep(pause)
        writer.write(b"kernel")
        assert await reader.readexactly(6) == b"KERNEL"
    writer.close()
    await writer.wait_closed()
    await over.wait()
    server.close()
    await server.wait_closed()


class Hasty(BaseHTTPRequestHandler):
    """Answers a POST before it has read all of it, and hangs up if asked to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Connection-Was", self.headers["Connection"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

    def address_string(self):
        return ""


def test_connections_to_sockets_are_kept_so_that_no_saved_notebook_is_called_unsaved(
    proxy, tmp_path
):
    url, orders, _ = proxy
    with TinyServer(str(tmp_path / "hasty.sock"), Hasty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert add_route(orders, "/hasty", tmp_path / "hasty.sock") == 201
        with httpx2.Client(trust_env=False) as client:
            for _ in range(200):
                answer = client.post(f"{url}/hasty", content=b"x" * 100)
                assert answer.status_code == 200
                assert answer.headers["Connection-Was"] == "keep-alive"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "accept", "status", "kind"),
    [
        ("/services/atoll/servers", "text/html,*/*", 503, "text/html; charset=utf-8"),
        ("/hub/api/users", "*/*", 503, "application/json"),
        ("/build/git/x/HEAD", "text/event-stream", 200, "text/event-stream"),
        ("/services/atoll/launches/x/events", "text/event-stream", 503, "application/json"),
        ("/user/ada/course/lab", "text/html", 503, "text/html; charset=utf-8"),  # no hub to ask
    ],
)
def test_who_asks_for_a_part_that_is_away_is_told_so_in_words_they_can_read(
    proxy, tmp_path, path, accept, status, kind
):
    url, orders, _ = proxy
    add_route(orders, "/", tmp_path / "nobody.sock")
    answer = httpx2.get(f"{url}{path}", headers={"Accept": accept}, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert "Atoll is being started again." in answer.text
    if accept == "text/event-stream" and status == 200:
        told = json.loads(answer.text.removeprefix("data: "))
        assert told["phase"] == "failed"
    if kind.startswith("text/html"):
        assert 'http-equiv="refresh"' in answer.text


def test_a_proxy_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(Lacking, match="proxy") as caught:
        proxy_command(tmp_path)
    assert "Install Atoll again" in caught.value.hint


def test_a_wheel_brings_the_proxy_its_templates_and_its_licences_along(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "uv", "build", "--wheel", "--out-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = "atoll/hub/proxy/node_modules"
    assert f"{modules}/configurable-http-proxy/lib/configproxy.js" in names
    assert "atoll/hub/proxy/serve.mjs" in names
    assert "atoll/hub/templates/page.html" in names
    lock = json.loads((ROOT / "src/atoll/hub/proxy/package-lock.json").read_text())
    wanted = {path for path in lock["packages"] if path}
    assert {f"atoll/hub/proxy/{path}/package.json" for path in wanted} <= names
    assert wheel.stat().st_size < 5_000_000


def test_the_lock_file_names_no_registry_and_has_every_checksum():
    lock = json.loads((ROOT / "src/atoll/hub/proxy/package-lock.json").read_text())
    packages = [one for path, one in lock["packages"].items() if path]
    assert packages
    assert all("resolved" not in one for one in packages)
    assert all(one["integrity"].startswith("sha512-") for one in packages)


async def test_an_answer_that_breaks_off_breaks_off_for_its_reader_too(proxy, tmp_path):
    url, orders, _ = proxy

    async def die(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        writer.transport.abort()

    socket = tmp_path / "dies.sock"
    async with await asyncio.start_unix_server(die, socket):
        assert await asyncio.to_thread(add_route, orders, "/dies", socket) == 201
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(f"{url}/dies")
