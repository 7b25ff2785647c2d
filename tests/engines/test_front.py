"""The front of a repository's own server: whom it lets through, pages and WebSockets alike."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import httpx2
import pytest

from atoll.engines.local.commands import INSIDE
from support.hub import eventually, free_port
from support.lab_hub import BASE, lab_hub, upgraded


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """The port of a front; behind it a server that asks nobody who they are."""
    folder = tmp_path_factory.mktemp("front")
    port, back = free_port(), free_port()
    behind = [sys.executable, "-m", "http.server", str(back), "--bind", "127.0.0.1"]
    command = [sys.executable, str(INSIDE / "front.py"), "--absolute-url", "--address=127.0.0.1"]
    command += [f"--port={port}", f"--server-port={back}", "--", *behind]
    (folder / "user/ada/one").mkdir(parents=True)
    (folder / "user/ada/one/page").write_text("behind the front")
    with lab_hub(folder) as hub, (folder / "log").open("w") as log:
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **hub.environ}
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            eventually(lambda: connected(port))
            yield port
        finally:
            process.terminate()
            process.wait()


def connected(port):
    with socket.create_connection(("127.0.0.1", port)):
        return True


@pytest.mark.parametrize(
    ("who", "let_in"),
    [
        ("ada", True),
        ("rosa", True),
        ("mate", True),
        ("op", True),
        ("grace", False),
        ("stranger", False),
        ("", False),
    ],
)
def test_only_who_may_run_code_gets_to_a_repositorys_own_server(front, who, let_in):
    headers = {"Authorization": f"token {who}"} if who else {}
    url = f"http://127.0.0.1:{front}{BASE}page"
    answer = httpx2.get(url, headers=headers, trust_env=False)
    assert (answer.text == "behind the front") == let_in
    with socket.create_connection(("127.0.0.1", front)) as raw:
        status = upgraded(raw, who, "terminals/websocket/1")
    assert status == (101 if let_in else 403)
