"""What guests may do in a server: a real Jupyter Server, and a hub that says who they are."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys

import httpx2
import pytest
from pycrdt import (
    Array,
    Doc,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)

from atoll.engines.local.commands import INSIDE
from support.hub import eventually
from support.lab_hub import BASE, lab_hub, share, upgraded

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "first",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": "1 + 1",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


class Lab:
    """A server of ada's, and what people ask it for."""

    def __init__(self, home, hub, socket_path, process):
        self.home, self.hub, self.socket, self.process = home, hub, socket_path, process

    def ask(self, who, method, path, **more):
        transport = httpx2.HTTPTransport(uds=str(self.socket))
        headers = {"Authorization": f"token {who}"}
        with httpx2.Client(transport=transport, base_url="http://lab", timeout=60) as http:
            return http.request(method, BASE + path, headers=headers, **more)

    def upgrade(self, who, path):
        """Ask for a WebSocket; return its status, and the socket that it then is."""
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(self.socket))
        return upgraded(raw, who, path), raw


@contextlib.contextmanager
def started(folder):
    """Run a server of ada's, which is shared."""
    home = folder / "home"
    home.mkdir()
    (home / "a.txt").write_text("as it was")
    (home / "n.ipynb").write_text(json.dumps(NOTEBOOK))
    command = [sys.executable, "-P", "-m", "jupyterhub.singleuser", "--allow-root"]
    command += [f"--ServerApp.sock={folder / 'lab.sock'}", f"--ServerApp.root_dir={home}"]
    with lab_hub(folder) as hub, (folder / "log").open("w") as log:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_PATH": f"{INSIDE / 'together'}:{INSIDE}",
            "ATOLL_TOGETHER": "1",
            "ATOLL_NEIGHBOURS": "{}",
            **hub.environ,
            "TMPDIR": str(folder),
        }
        process = subprocess.Popen(command, env=environ, cwd=home, stdout=log, stderr=log)
        one = Lab(home, hub, folder / "lab.sock", process)
        try:
            eventually(lambda: one.socket.exists() or process.poll() is not None)
            eventually(lambda: one.ask("ada", "GET", "api/status").status_code == 200)
            yield one
        finally:
            process.kill()
            process.wait()
            print((folder / "log").read_text()[-6000:])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with started(tmp_path_factory.mktemp("lab")) as one:
        yield one


KERNEL = "00000000-0000-0000-0000-000000000000"
FORBIDDEN = [
    ("PUT", "api/contents/a.txt", {"type": "file", "format": "text", "content": "changed"}),
    ("POST", "api/contents", {"type": "notebook"}),
    ("POST", "api/contents", {"copy_from": "a.txt"}),
    ("PATCH", "api/contents/a.txt", {"path": "b.txt"}),
    ("DELETE", "api/contents/a.txt", None),
    ("PUT", "api/contents/../../../tmp/x", {"type": "file", "format": "text", "content": "x"}),
    ("POST", "api/contents/a.txt/checkpoints", {}),
    ("POST", "api/contents/n.ipynb/trust", {}),
    ("POST", "api/kernels", {"name": "python3"}),
    ("DELETE", f"api/kernels/{KERNEL}", None),
    ("POST", f"api/kernels/{KERNEL}/interrupt", {}),
    ("POST", f"api/kernels/{KERNEL}/restart", {}),
    ("POST", "api/sessions", {"path": "n.ipynb", "type": "notebook", "kernel": {"name": "x"}}),
    ("DELETE", f"api/sessions/{KERNEL}", None),
    ("POST", "api/terminals", {}),
    ("DELETE", "api/terminals/1", None),
    ("GET", "nbconvert/html/n.ipynb?download=true", None),
    ("POST", "nbconvert/html", NOTEBOOK),
    ("PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": "{}"}),
    ("PUT", "lab/api/workspaces/x", {"data": {}, "metadata": {"id": "x"}}),
    ("POST", "lab/api/extensions", {"cmd": "install", "extension_name": "x"}),
    ("PUT", "api/config/notebook", {}),
    ("PATCH", "api/me", {}),
    ("POST", "api/events", {}),
    ("POST", "api/shutdown", {}),
    ("GET", "proxy/22/", None),
    ("POST", "proxy/localhost:22/", {}),
    ("GET", "lsp/ws/pylsp", None),
    ("GET", "api/collaboration/timeline/n.ipynb?format=json&type=notebook", None),
    ("PUT", "api/collaboration/fork/x", {}),
    ("POST", "atoll/neighbours", {"page": "p", "open": []}),
    ("DELETE", "api/collaboration/fork/x?merge=true", None),
    ("PUT", "api/collaboration/undo_redo/x?action=undo&steps=1&forkRoom=x", {}),
]
SEEN = (
    *("lab", "lab/tree/n.ipynb", "api/contents?content=1", "api/contents/a.txt", "files/a.txt"),
    *("api/kernels", "api/sessions", "api/terminals", "api/kernelspecs", "api/me", "api/status"),
    *("lab/api/settings", "lab/api/workspaces", "lab/api/translations", "api/nbconvert"),
)


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN)
def test_who_may_look_changes_and_runs_nothing(lab, method, path, body):
    more = {} if body is None else {"json": body}
    answer = lab.ask("grace", method, path, **more)
    assert answer.status_code in {403, 405}, (answer.status_code, answer.text[:300])
    assert (lab.home / "a.txt").read_text() == "as it was"
    assert lab.ask("ada", "GET", "api/kernels").json() == []
    assert lab.ask("ada", "GET", "api/terminals").json() == []


def test_who_may_look_sees_the_lab_and_the_files(lab):
    for path in SEEN:
        answer = lab.ask("grace", "GET", path)
        assert answer.status_code == 200, path
    assert lab.ask("grace", "GET", "files/a.txt").text == "as it was"
    assert "/etc/passwd" not in lab.ask("grace", "GET", "files/../../../etc/passwd").text


def test_no_websocket_of_whoever_may_look_reaches_a_kernel_or_a_terminal(lab):
    kernel = lab.ask("ada", "POST", "api/kernels", json={"name": "python3"}).json()["id"]
    terminal = lab.ask("ada", "POST", "api/terminals", json={}).json()["name"]
    try:
        paths = (f"api/kernels/{kernel}/channels?session_id=x", f"terminals/websocket/{terminal}")
        for path in (*paths, "proxy/22/", "lsp/ws/pylsp"):
            for who in ("grace", "stranger", ""):
                status, raw = lab.upgrade(who, path)
                raw.close()
                assert status == 403, (who, path)
        for path in paths:
            status, raw = lab.upgrade("rosa", path)
            raw.close()
            assert status == 101, path
        status, raw = lab.upgrade("grace", "api/events/subscribe")
        raw.close()
        assert status == 101
        assert lab.ask("grace", "POST", f"api/kernels/{kernel}/restart").status_code == 403
    finally:
        lab.ask("ada", "DELETE", f"api/kernels/{kernel}")
        lab.ask("ada", "DELETE", f"api/terminals/{terminal}")


@pytest.mark.parametrize("who", ["ada", "rosa", "mate", "op", "culler"])
def test_who_may_run_does_all_that_the_owner_does(lab, who):
    body = {"type": "file", "format": "text", "content": who}
    assert lab.ask(who, "PUT", f"api/contents/{who}.txt", json=body).status_code == 201
    assert (lab.home / f"{who}.txt").read_text() == who
    assert lab.ask(who, "GET", "nbconvert/html/n.ipynb").status_code == 200


def test_whom_the_hub_does_not_let_in_sees_nothing(lab):
    for who in ("stranger", "guessed"):
        assert lab.ask(who, "GET", "api/contents").status_code == 403


def room_of(lab, who):
    body = {"format": "json", "type": "notebook"}
    told = lab.ask(who, "PUT", "api/collaboration/session/n.ipynb", json=body).json()
    room = f"json:notebook:{told['fileId']}"
    return f"api/collaboration/room/{room}?sessionId={told['sessionId']}"


def frame(payload):
    """Return a WebSocket's binary message, masked with zeros."""
    size = len(payload)
    head = bytes([0x82, 0x80 | size]) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + payload


def messages(raw):
    """Yield what a WebSocket says, message by message; end with the code of its end."""
    with raw.makefile("rb") as file:
        while head := file.read(2):
            size = head[1] & 0x7F
            if size > 125:
                size = int.from_bytes(file.read(2 if size == 126 else 8), "big")
            body = file.read(size)
            if head[0] & 0x0F == 8:
                yield int.from_bytes(body[:2], "big")
                return
            if head[0] & 0x0F == 2:
                yield body


def edit(lab, who):
    """Have *who* write into the first cell, as a page does, with an update of its own."""
    status, raw = lab.upgrade(who, room_of(lab, who))
    assert status == 101
    mine = Doc()
    said = messages(raw)
    raw.sendall(frame(create_sync_message(mine)))
    while True:  # until the document is here
        message = next(said)
        if message[:1] == b"\0" and message[1] in (1, 2):
            handle_sync_message(message[1:], mine)
            break
    cells = mine.get("cells", type=Array)
    before = mine.get_state()
    source = cells[0]["source"]
    source += f"  # {who}"
    update = create_update_message(mine.get_update(before))
    raw.sendall(frame(update))
    raw.sendall(frame(b"\0\1" + update[2:]))  # said to be an answer
    return raw, said


def test_a_shared_document_is_changed_by_who_may_run_and_by_nobody_who_may_look(lab):
    sockets = [edit(lab, "grace")[0], edit(lab, "rosa")[0]]
    saved = eventually(
        lambda: "# rosa" in (text := (lab.home / "n.ipynb").read_text()) and text, 20
    )
    assert "# grace" not in saved
    source = lab.ask("ada", "GET", "api/contents/n.ipynb").json()["content"]["cells"][0]["source"]
    assert "".join(source) == "1 + 1  # rosa"
    for raw in sockets:
        raw.close()


def test_what_is_taken_back_ends_within_seconds_open_connections_too(lab):
    terminal = lab.ask("ada", "POST", "api/terminals", json={}).json()["name"]
    before = lab.hub.shares
    status, raw = lab.upgrade("rosa", f"terminals/websocket/{terminal}")
    assert status == 101
    try:
        lab.hub.shares = [share("rosa")]  # she may look from now on
        assert list(messages(raw))[-1] == 4403
        assert lab.ask("rosa", "POST", "api/terminals", json={}).status_code == 403
        assert lab.ask("rosa", "GET", "api/contents").status_code == 200
        lab.hub.gone.add("rosa")  # and now not even that
        eventually(lambda: lab.ask("rosa", "GET", "api/contents").status_code == 403, 20)
    finally:
        lab.hub.shares, lab.hub.gone = before, set()
        raw.close()
        lab.ask("ada", "DELETE", f"api/terminals/{terminal}")


def test_what_is_for_editing_together_stays_out_of_the_home(lab):
    names = {one.name for one in lab.home.rglob("*")}
    assert not {".jupyter_ystore.db", "collaboration_sessions.json"} & names


def test_the_last_moment_of_an_edit_is_saved_when_the_server_is_told_to_end(tmp_path):
    with started(tmp_path) as lab:
        raw, said = edit(lab, "rosa")
        for message in said:  # until it has arrived, and is not saved yet
            if message[:2] == b"\0\2":
                break
        lab.process.terminate()
        assert lab.process.wait(9) == 0  # a little before the engine would kill it
        raw.close()
        assert "# rosa" in (lab.home / "n.ipynb").read_text()
