"""`atoll run` and its neighbours, as a person at a terminal uses them: the real command."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from support.gitservers import make_repo
from support.kernels import run_cell

ATOLL = [sys.executable, "-m", "atoll.cli"]
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repositories") / "tour"
    files = {
        "requirements.txt": "six==1.16.0\n",
        "index.ipynb": json.dumps(NOTEBOOK),
        "data/numbers.csv": "1,2,3\n",
    }
    make_repo(folder, files)
    return folder


@pytest.fixture
def atoll(data):
    def call(*words, check=True, **more):
        environ = {**os.environ, "ATOLL_DATA": str(data), "BROWSER": "true"}
        ran = subprocess.run(
            [*ATOLL, *map(str, words)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            **more,
        )
        if check:
            assert ran.returncode == 0, ran.stderr
        return ran

    yield call
    for one in json.loads(call("list", "--json").stdout):
        if one["state"] != "stopped":
            call("stop", "--now", one["name"])


def get(url):
    return httpx2.get(url, follow_redirects=True, timeout=30)


def test_help_teaches_by_example(atoll):
    assert "atoll run gh:binder-examples/requirements" in atoll("--help").stdout
    for verb in ("run", "build", "list", "open", "logs", "stop", "remove", "up", "doctor"):
        assert atoll(verb, "--help").stdout.startswith("Usage:")


def test_a_repository_is_opened_changed_stopped_and_found_again(atoll, repo):
    ran = atoll("run", repo, "--detach", "--json", "--open", "index.ipynb")
    ready = json.loads(ran.stdout)
    assert ready["name"] == "tour"
    assert set(ready["phases"]) == {"resolve", "fetch", "build", "start"}
    assert "/lab/tree/index.ipynb?token=" in ready["url"]
    assert "JupyterLab" in get(ready["url"]).text
    base = ready["url"].partition("/lab")[0] + "/"
    headers = {"Authorization": f"token {ready['token']}"}
    code = "import six; open('mine.txt', 'w').write('kept'); print(six.__version__)"
    assert asyncio.run(run_cell(base, code, headers=headers)) == "1.16.0"

    again = json.loads(atoll("run", repo, "--detach", "--json").stdout)
    assert again["token"] == ready["token"]  # the same server, not a second copy
    [row] = json.loads(atoll("list", "--json").stdout)
    assert (row["name"], row["state"], row["repository"]) == ("tour", "running", str(repo))
    assert "tour" in atoll("list").stdout
    assert json.loads(atoll("open", "tour", "--json").stdout)["token"] == ready["token"]
    assert "Jupyter Server" in atoll("logs", "tour").stdout

    atoll("stop", "tour")
    third = json.loads(atoll("run", repo, "--detach", "--json").stdout)
    base = third["url"].partition("/lab")[0] + "/"
    headers = {"Authorization": f"token {third['token']}"}
    assert get(f"{base}api/contents/mine.txt?token={third['token']}").json()["content"] == "kept"
    refused = atoll("remove", "tour", "--yes", check=False)
    assert refused.returncode == 2
    assert "atoll stop tour" in refused.stderr
    atoll("stop", "tour")
    atoll("remove", "tour", "--yes")
    assert json.loads(atoll("list", "--json").stdout) == []


def test_a_build_says_what_it_made_and_the_second_is_cached(atoll, repo):
    first = json.loads(atoll("build", repo, "--json").stdout)
    second = json.loads(atoll("build", repo, "--json").stdout)
    assert second["cached"] is True
    assert second["key"] == first["key"]
    assert {"key", "engine", "cached", "seconds", "python", "as_of", "path"} <= set(second)
    assert (Path(second["path"]) / "env").is_dir()
    shown = atoll("environments", "show", first["key"][:6]).stdout
    assert "six==1.16.0" in shown
    assert first["key"] in atoll("environments").stdout


def test_an_edited_notebook_keeps_the_environment(atoll, repo):
    before = json.loads(atoll("build", repo, "--json").stdout)
    make_repo(repo, {"index.ipynb": json.dumps({**NOTEBOOK, "cells": []}) + "\n"})
    after = json.loads(atoll("build", repo, "--json").stdout)
    assert after["key"] == before["key"]
    assert after["cached"]


def test_ctrl_c_stops_the_server_cleanly(atoll, data, repo):
    environ = {**os.environ, "ATOLL_DATA": str(data)}
    words = [*ATOLL, "run", str(repo), "--temporary", "--no-browser"]
    process = subprocess.Popen(
        words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    url = ""
    while "token=" not in url:
        url = process.stdout.readline().strip()
    assert get(url).status_code == 200
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Stopped." in said
    assert json.loads(atoll("list", "--json").stdout) == []


def test_ctrl_c_before_the_server_is_there_leaves_nothing(atoll, data, repo, tmp_path):
    make_repo(tmp_path / "slow", {"postBuild": "sleep 60\n"})
    environ = {**os.environ, "ATOLL_DATA": str(data)}
    words = [*ATOLL, "run", str(tmp_path / "slow"), "--no-browser"]
    process = subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 9
    assert "Stopped before" in said
    assert [one.name for one in (data / "environments").iterdir() if not one.name.startswith(".")]
    assert json.loads(atoll("list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "ext::sh -c id"], 2, "ext::"),
        (["run", "gh:owner"], 2, "github.com"),
        (["run", "/nowhere/at/all"], 4, "/nowhere/at/all"),
        (["run", ".", "--memory", "two bananas"], 2, "two bananas"),
        (["run", ".", "--name", "No Good"], 2, "No Good"),
        (["run", ".", "--open", "../../etc/passwd"], 2, ".."),
        (["build", ".", "--at", "yesterday"], 2, "yesterday"),
        (["stop", "nothing"], 4, "nothing"),
        (["--config", "/nowhere.toml", "list"], 2, "/nowhere.toml"),
        (["environments", "show", "zzz"], 4, "zzz"),
    ],
)
def test_a_mistake_is_a_message_with_an_exit_code(atoll, words, status, said, repo):
    words = [str(repo) if word == "." else word for word in words]
    ran = atoll(*words, check=False)
    assert ran.returncode == status, ran.stderr
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_another_repository_of_the_same_name_gets_a_server_of_its_own(atoll, repo, tmp_path):
    other = tmp_path / "tour"
    make_repo(other, {"requirements.txt": "six==1.16.0\n", "other.txt": "other"})
    first = json.loads(atoll("run", repo, "--detach", "--json").stdout)
    second = json.loads(atoll("run", other, "--detach", "--json").stdout)
    assert (first["name"], second["name"]) == ("tour", "tour-2")
    atoll("stop", "tour", "tour-2")
    ran = atoll("run", other, "--name", "tour", "--detach", check=False)
    assert ran.returncode == 2
    assert "another repository" in ran.stderr
    for name in ("tour", "tour-2"):
        atoll("remove", name, "--yes")
