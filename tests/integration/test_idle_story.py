"""The idle culler and a real JupyterLab: what computes goes on, what rests is stopped, files stay."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from urllib.parse import quote

import httpx2
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from support.gitservers import make_repo, serve
from support.hub import eventually
from support.kernels import leave
from support.real_atoll import RealAtoll

IDLE = 8  # seconds


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "remote").mkdir()
    make_repo(tmp_path / "remote" / "course", {"a.txt": "first"})
    with serve(tmp_path / "remote") as base:
        one = RealAtoll(
            tmp_path / "hub",
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "memory": "1G", "idle": IDLE},
        )
        try:
            one.start()
            yield one, f"{base}/course"
        finally:
            one.end()


def launch(hub, repository, *, visitor=False):
    headers = {"Accept": "text/event-stream"}
    if not visitor:
        token = hub.api("POST", "users/admin/tokens", json={"note": "tests"}).json()["token"]
        headers["Authorization"] = f"Bearer {token}"
    url = f"{hub.home}/build/git/{quote(repository, safe='')}/main"
    with httpx2.stream("GET", url, headers=headers, timeout=300) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line[:6] == "data: ")
        return next(event for event in events if event["phase"] in {"ready", "failed"})


async def compute(base, headers, seconds):
    """Have a new kernel compute and say nothing; then close the page."""
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        kernel = (await http.post(f"{base}api/kernels", json={})).json()["id"]
    url = f"ws{base[4:]}api/kernels/{kernel}/channels"
    socket = await websocket_connect(HTTPRequest(url, headers=headers))
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "s"}
    header |= {"username": "", "version": "5.3"}
    code = f"import time; time.sleep({seconds}); open('result.txt', 'w').write('42')"
    message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell"}
    await socket.write_message(json.dumps(message | {"content": {"code": code, "silent": False}}))
    while json.loads(await socket.read_message())["msg_type"] != "execute_input":
        pass
    await leave(socket)


def test_a_long_computation_goes_on_unwatched_and_what_it_wrote_is_there_afterwards(hub):
    hub, repository = hub
    ready = launch(hub, repository)
    assert ready["phase"] == "ready", ready
    headers = {"Authorization": f"token {ready['token']}"}
    asyncio.run(compute(ready["url"], headers, 3 * IDLE))
    begun = time.monotonic()
    while time.monotonic() - begun < 3 * IDLE - 2:
        assert hub.server("admin", "course")["ready"]
        time.sleep(1)
    eventually(lambda: hub.server("admin", "course")["stopped"], seconds=60)
    again = launch(hub, repository)
    headers = {"Authorization": f"token {again['token']}"}
    found = httpx2.get(f"{again['url']}api/contents/result.txt", headers=headers, timeout=30)
    assert found.json()["content"] == "42"


def test_an_idle_kernel_is_ended_and_one_that_computes_is_not(tmp_path):
    (tmp_path / "remote").mkdir()
    make_repo(tmp_path / "remote" / "course", {"a.txt": "first"})
    with serve(tmp_path / "remote") as base:
        more = {"network": "none", "networks": ["none"], "idle_kernels": 4}
        allow = {"allow": [base.split("//")[1]]}
        one = RealAtoll(tmp_path / "hub", sources=allow, servers=more)
        try:
            one.start()
            ready = launch(one, f"{base}/course")
            headers = {"Authorization": f"token {ready['token']}"}

            def kernels(method="GET"):
                return httpx2.request(
                    method, f"{ready['url']}api/kernels", headers=headers, timeout=30
                ).json()

            asyncio.run(compute(ready["url"], headers, 16))
            kernels("POST")
            assert len(kernels()) == 2
            eventually(lambda: len(kernels()) == 1, 30)
            assert kernels()[0]["execution_state"] == "busy"
            eventually(lambda: len(kernels()) == 0, 40)
            assert one.server("admin", "course")["ready"]
        finally:
            one.end()
