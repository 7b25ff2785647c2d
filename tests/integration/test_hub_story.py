"""Stories that need all of it: supervisor, hub, proxy, service, git, uv, boxes and kernels."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from support.gitservers import make_repo, run_git, serve
from support.hub import eventually
from support.kernels import run_cell
from support.real_atoll import RealAtoll

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    root = tmp_path_factory.mktemp("repositories")
    broken = {".jupyter/jupyter_server_config.py": "raise SystemExit('No Lab today.')"}
    for name, files in (("own-lab", {"index.txt": "x"}), ("broken-lab", broken)):
        shutil.copytree(EXAMPLES / "own-lab", root / name)
        run_git(root / name, "init", "--quiet", "--initial-branch", "main")
        make_repo(root / name, files, date="2026-10-01T12:00:00Z")
    make_repo(root / "course", {"requirements.txt": "six==1.16.0\n", "a.txt": "first"})
    with serve(root) as base:
        yield base


@pytest.fixture(scope="module")
def hub(tmp_path_factory, repositories):
    one = RealAtoll(
        tmp_path_factory.mktemp("hub"),
        sources={"allow": [repositories.split("//")[1]]},
        servers={"network": "none", "networks": ["none"], "memory": "1G"},
        operator={"sample": 1},
    )
    try:
        one.start()
        yield one
    finally:
        one.end()


def launch(hub, repository, token, end="ready"):
    """Launch as a program with a token of the hub does; return the event at its *end*."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    url = f"{hub.home}/build/git/{quote(repository, safe='')}/main"
    with httpx2.stream("GET", url, headers=headers, timeout=300) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                assert event["phase"] != "failed" or end == "failed", event
                if event["phase"] == end:
                    return event
    raise AssertionError("the stream ended early")


def token_of(hub, person="admin"):
    made = hub.api("POST", f"users/{person}/tokens", json={"note": "tests"})
    return made.json()["token"]


def test_a_repositorys_own_lab_serves_programs_and_nobody_without_a_key(hub, repositories):
    ready = launch(hub, f"{repositories}/own-lab", token_of(hub))
    headers = {"Authorization": f"token {ready['token']}"}
    found = httpx2.get(f"{ready['url']}lab/api/extensions", headers=headers, timeout=60).json()
    assert "jupyterlab-execute-time" in {one["name"] for one in found}
    said = asyncio.run(run_cell(ready["url"], "import sys; print(sys.prefix)", headers=headers))
    assert said == "/srv/env"
    refused = httpx2.post(f"{ready['url']}api/kernels", json={}, timeout=60)
    assert refused.status_code in {302, 403}
    wrong = {"Authorization": "token " + "0" * 32}
    assert httpx2.get(f"{ready['url']}api/contents", headers=wrong).status_code in {302, 403}


def test_an_own_lab_that_ends_at_once_is_a_launch_that_failed_and_says_why(hub, repositories):
    event = launch(hub, f"{repositories}/broken-lab", token_of(hub), end="failed")
    assert "The server ended before it listened." in event["message"]
    assert "No Lab today." in event["message"]
    assert ("admin", "broken-lab") not in hub.servers()


def test_kill_9_of_hub_and_proxy_loses_no_server_and_no_file(hub, repositories):
    ready = launch(hub, f"{repositories}/course", token_of(hub))
    headers = {"Authorization": f"token {ready['token']}"}

    def write(text):
        body = {"type": "file", "format": "text", "content": text}
        url = f"{ready['url']}api/contents/mine.txt"
        return httpx2.put(url, json=body, headers=headers, timeout=20).status_code in {200, 201}

    def read():
        url = f"{ready['url']}api/contents/mine.txt"
        return httpx2.get(url, headers=headers, timeout=20).json()["content"]

    assert write("before")
    for part in ("hub", "proxy"):
        hub.kill(part)
        eventually(lambda part=part: write(f"after {part}"))
        assert read() == f"after {part}"
    assert hub.stop() == 0  # Ctrl-C leaves servers running
    hub.start()
    assert eventually(lambda: read() == "after proxy")
    assert ("admin", "course") in hub.servers()
    hub.api("DELETE", "users/admin/servers/course")
    eventually(lambda: ("admin", "course") not in hub.servers())
    again = launch(hub, f"{repositories}/course", token_of(hub))
    headers["Authorization"] = f"token {again['token']}"
    assert read() == "after proxy"


def test_who_opens_a_lab_while_the_hub_is_started_again_waits_for_it(hub, repositories):
    ready = launch(hub, f"{repositories}/course", token_of(hub))
    headers = {"Authorization": f"token {ready['token']}"}  # which the Lab has not seen yet
    hub.kill("hub")
    answer = httpx2.get(f"{ready['url']}lab", headers=headers, timeout=60)
    assert answer.status_code == 200
    assert "jupyter-config-data" in answer.text


def test_a_terminal_works_in_the_servers_home(hub, repositories):
    import websocket

    ready = launch(hub, f"{repositories}/course", token_of(hub))
    headers = {"Authorization": f"token {ready['token']}"}
    name = httpx2.post(f"{ready['url']}api/terminals", headers=headers, timeout=30).json()["name"]
    url = f"ws{ready['url'][4:]}terminals/websocket/{name}"
    socket = websocket.create_connection(url, header=headers, timeout=30)
    socket.send(json.dumps(["stdin", "echo $((6*7))-$PWD-$(cat a.txt)\n"]))
    said = ""
    while "42-/home/jovyan-first" not in said:
        kind, *text = json.loads(socket.recv())
        said += text[0] if kind == "stdout" else ""
    socket.close()


def test_an_operator_finds_what_eats_the_machine_and_stops_it(hub, repositories):
    def admin(*words):
        command = [sys.executable, "-P", "-m", "atoll.cli", "--config", str(hub.file), "admin"]
        ran = subprocess.run([*command, *words, "--json"], capture_output=True, check=True)
        return json.loads(ran.stdout)

    ready = launch(hub, f"{repositories}/course", token_of(hub))
    [row] = eventually(lambda: [one for one in admin("servers") if one["name"] == "course"])
    assert row["server"] == "admin/course"
    assert 10**7 < row["memory"] < 10**9
    [row] = [one for one in admin("people") if one["person"] == "admin"]
    assert "course" in row["running"]
    assert "admin" in {one["who"] for one in admin("costs")}
    assert admin("stop", "admin/course") == {"stopped": ["course"]}
    eventually(lambda: ("admin", "course") not in hub.servers())
    log = admin("log")
    about = [one for one in log if one["server"] == "admin/course"]
    assert [(one["deed"], one["way"]) for one in about[-3:]] == [
        ("launch", "program"),
        ("launch ready", "program"),
        ("stop", "command"),
    ]
    assert ready["token"] not in json.dumps(log)
