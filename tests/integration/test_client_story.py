"""`atoll --hub` and a whole hub: supervisor, JupyterHub, proxy, service, git, uv and boxes."""

import json
import os
import subprocess
import sys

import httpx2
import pytest

from support.commands import command
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.real_atoll import RealAtoll


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    root = tmp_path_factory.mktemp("repositories")
    make_repo(root / "course", {"requirements.txt": "six==1.16.0\n", "a.txt": "first"})
    slow = {"requirements.txt": "six==1.16.0\n", "postBuild": "#!/bin/sh\necho now; sleep 5\n"}
    make_repo(root / "slow", slow)
    with serve(root) as base:
        yield base


@pytest.fixture(scope="module")
def repository(repositories):
    return f"{repositories}/course"


@pytest.fixture(scope="module")
def hub(tmp_path_factory, repository):
    one = RealAtoll(
        tmp_path_factory.mktemp("hub"),
        sources={"allow": [repository.split("//")[1].split("/")[0]]},
        servers={"network": "none", "networks": ["none"], "memory": "1G"},
        operator={"sample": 0, "see_as": True},
    )
    try:
        one.start()
        yield one
    finally:
        one.end()


@pytest.fixture(scope="module")
def atoll(hub, tmp_path_factory):
    """Return what runs a command, with which ada has signed in by a token of her own."""
    home = tmp_path_factory.mktemp("home")
    environ = {key: value for key, value in os.environ.items() if key != "ATOLL_TOKEN"}
    environ |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "DISPLAY": ""}

    def run(*words, status=0, **how):
        ran = command(*words, env=environ, **how)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran

    run("sign-in", hub.home, "--token-file", "-", input=hub.person("ada"))
    environ["ATOLL_HUB"] = hub.home
    run.environ = environ
    return run


def test_a_server_on_a_hub_lives_by_commands_alone(hub, repository, atoll):
    hub.person("grace")
    ready = json.loads(atoll("run", repository, "--json").stdout)
    assert ready["url"].startswith(f"{hub.home}/user/ada/course/lab")
    token = hub.person("ada")
    headers = {"Authorization": f"token {token}"}
    page = f"{hub.home}/user/ada/course/api/contents/a.txt"
    assert httpx2.get(page, headers=headers, timeout=60).json()["content"] == "first"
    (row,) = json.loads(atoll("list", "--json").stdout)
    assert (row["name"], row["state"], row["repository"]) == ("course", "running", repository)
    assert "course" in atoll("logs", "course").stdout
    assert "grace  run" in atoll("share", "course", "--with", "grace:run").stdout
    shares = {"Authorization": f"Bearer {hub.person('grace')}"}
    seen = httpx2.get(f"{hub.home}/services/atoll/api/shared", headers=shares, timeout=60).json()
    assert [(one["owner"], one["server"], one["level"]) for one in seen] == [
        ("ada", "course", "run")
    ]
    atoll("stop", "course")
    eventually(lambda: json.loads(atoll("list", "--json").stdout)[0]["state"] == "stopped")
    assert "course is open at" in atoll("start", "course", "--no-browser").stdout
    assert httpx2.get(page, headers=headers, timeout=60).json()["content"] == "first"
    atoll("remove", "course", "--yes", status=2)
    atoll("stop", "course")
    eventually(lambda: json.loads(atoll("list", "--json").stdout)[0]["state"] == "stopped")
    assert "Removed course." in atoll("remove", "course", "--yes").stdout
    assert json.loads(atoll("list", "--json").stdout) == []


def test_a_launch_is_followed_over_a_restart_of_the_service(hub, repositories, atoll):
    command = [sys.executable, "-P", "-m", "atoll.cli", "run", f"{repositories}/slow"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=atoll.environ, **pipes) as running:
        lines = []
        while lines[-1:] != ["now"]:
            lines.append(running.stderr.readline().strip())
            assert running.poll() is None, lines
        hub.kill("service")
        out, more = running.communicate(timeout=120)
    assert running.returncode == 0, [*lines, more]
    assert "slow is open at" in out
    atoll("stop", "slow")


def test_an_operator_sees_the_same_from_elsewhere_and_on_the_machine(hub, atoll):
    made = hub.api("POST", "users/admin/tokens", json={"note": "tests"}).json()
    elsewhere = atoll.environ | {"ATOLL_TOKEN": made["token"]}
    here = {name: value for name, value in elsewhere.items() if name != "ATOLL_HUB"}

    def told(environ, *words):
        command = [sys.executable, "-P", "-m", "atoll.cli", "--config", str(hub.file), "admin"]
        ran = subprocess.run(
            [*command, *words, "--json"], env=environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    eventually(lambda: json.loads(atoll("list", "--json").stdout)[0]["state"] == "stopped")
    seen = told(elsewhere, "see-as", "ada")
    assert [(one["name"], one["state"]) for one in seen["servers"]] == [("slow", "stopped")]
    assert told(here, "see-as", "ada") == seen
    acts = told(elsewhere, "log", "--what", "see as")
    assert [(one["way"], one["what"]) for one in acts] == [("program", "ada"), ("command", "ada")]


def test_a_token_that_is_taken_back_is_said_to_be(hub, atoll):
    for one in hub.api("GET", "users/ada/tokens").json()["api_tokens"]:
        hub.api("DELETE", f"users/ada/tokens/{one['id']}")
    ran = atoll("list", status=3)
    assert "is not valid there any more" in ran.stderr
    assert f"atoll sign-in {hub.home}/" in ran.stderr
