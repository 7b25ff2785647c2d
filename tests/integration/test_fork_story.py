"""`atoll up` and its fork server: servers are forks, and its death is nobody's trouble."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from test_idle_story import launch

from atoll.engines.local.forking import client
from atoll.engines.local.runner import LocalRunner
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.real_atoll import RealAtoll


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A hub that all tests share; each has people, or servers, of its own."""
    remote = tmp_path_factory.mktemp("remote")
    for name in ("one", "two", "three"):
        make_repo(remote / name, {"a.txt": name})
    with serve(remote) as base:
        allow = {"allow": [base.split("//")[1]]}
        only_here = {"network": "none", "networks": ["none"]}
        visitors = {"anonymous": True}
        up = RealAtoll(
            tmp_path_factory.mktemp("hub"), sources=allow, servers=only_here, access=visitors
        )
        try:
            up.start()
            yield up, base
        finally:
            up.end()


@pytest.fixture
def hub(running):
    """The hub and where its repositories are, with a fork server that answers."""
    eventually(lambda: answers(running[0]), 60)
    return running


def answers(hub):
    try:
        with client.call(client.place(hub.settings)) as caller:
            caller.settimeout(5)
            caller.shutdown(1)
            return caller.recv(1) == b""
    except (OSError, client.NotForked):
        return False


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def keepers(hub):
    """Return the processes of the fork server: the keeper's, and its answerer's."""
    for pid in children(hub.process.pid):
        if b"fork server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return [pid, *children(pid)]
    return []


def launch_as(hub, token, repository):
    """Launch with *token* and return the `ready` event."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    url = f"{hub.home}/build/git/{quote(repository, safe='')}/main"
    with httpx2.stream("GET", url, headers=headers, timeout=300) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line[:6] == "data: ")
        return next(event for event in events if event["phase"] in {"ready", "failed"})


def forked(hub, owner, name="one"):
    """Say of each server called so, of people whose names begin so, whether it is a fork."""
    return [
        record.fork > 0
        for record, alive in LocalRunner(hub.settings).records.all()
        if alive and record.owner.startswith(owner) and record.name.startswith(name)
    ]


def works(ready):
    headers = {"Authorization": f"token {ready['token']}"}
    answer = httpx2.get(f"{ready['url']}api/contents/a.txt", headers=headers, timeout=30)
    return answer.json()["content"]


def test_servers_are_forks_and_live_on_whatever_becomes_of_the_fork_server(hub):
    up, base = hub
    first = launch(up, f"{base}/one")
    assert works(first) == "one"
    assert forked(up, "admin") == [True]

    before = keepers(up)
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    second = launch(up, f"{base}/two")  # whatever it is, a fork or not
    assert works(first) == "one"
    assert works(second) == "two"

    eventually(lambda: keepers(up)[:1] not in ([], before[:1]) and answers(up), 60)
    assert works(launch(up, f"{base}/three")) == "three"
    assert forked(up, "admin", "three") == [True]

    processes = keepers(up)
    up.process.send_signal(signal.SIGINT)
    up.process.wait(30)
    assert not answers(up)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), 10)
    assert all(alive for _, alive in LocalRunner(up.settings).records.all())
    up.start()
    assert works(first) == "one"


def test_a_visitors_link_opens_the_lab_and_its_cookies_are_that_servers_alone(hub):
    up, base = hub
    ready = launch(up, f"{base}/one", visitor=True)
    assert forked(up, "visitor") == [True]
    with httpx2.Client(trust_env=False, timeout=30) as browser:
        opened = browser.get(f"{ready['url']}lab?token={ready['token']}")
        assert (opened.status_code, "<title>JupyterLab</title>" in opened.text) == (200, True)
        paths = {cookie.path for cookie in browser.cookies.jar}
        assert paths == {httpx2.URL(ready["url"]).path}


def test_a_crowd_gets_its_labs_when_the_fork_server_is_killed_in_its_middle(hub):
    up, base = hub
    assert works(launch(up, f"{base}/one")) == "one"  # the environment is built
    tokens = [up.person(f"person-{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        crowd = [pool.submit(launch_as, up, token, f"{base}/one") for token in tokens]
        eventually(lambda: any(forked(up, "person-")), 60)
        before = keepers(up)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        late = launch_as(up, tokens[0], f"{base}/two")  # before there is another one
        ready = [*(one.result() for one in crowd), late]
    assert [works(one) for one in ready] == ["one"] * 6 + ["two"]
    plainly = forked(up, "person-", "").count(False)
    print(f"{plainly} of {len(ready)} servers were started plainly.")
    assert 1 <= plainly < len(ready)

    eventually(lambda: keepers(up)[:1] not in ([], before[:1]) and answers(up), 60)
    assert works(launch_as(up, tokens[0], f"{base}/three")) == "three"
    assert forked(up, "person-", "three") == [True]
