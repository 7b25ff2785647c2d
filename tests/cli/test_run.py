"""`atoll run` and its neighbours, as a person at a terminal uses them: the real command."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from support.commands import command
from support.depositservers import make_zip, serve_web
from support.gitservers import make_repo
from support.kernels import run_cell
from support.terminal import at_a_terminal

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
def web():
    with serve_web() as web:
        yield web


@pytest.fixture
def atoll(data):
    def call(*words, check=True, env=None, **more):
        environ = {**os.environ, "ATOLL_DATA": str(data), "BROWSER": "true", **(env or {})}
        if "run" in words and check:  # what goes on after it is nobody's child
            ran = subprocess.run(
                [*ATOLL, *map(str, words)],
                env=environ,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
        else:
            ran = command(*words, env=environ, **more)
        if check:
            assert ran.returncode == 0, ran.stderr
        return ran

    yield call
    if not any((data / "servers").glob("*/server.json")):
        return
    for one in json.loads(call("list", "--json").stdout):
        if one["state"] != "stopped":
            call("stop", "--now", one["name"])


def get(url):
    return httpx2.get(url, follow_redirects=True, timeout=30)


def test_help_teaches_by_example(atoll):
    assert "atoll run gh:binder-examples/requirements" in atoll("--help").stdout
    for verb in ("run", "build", "check", "list", "open", "logs", "stop", "remove", "up", "doctor"):
        assert atoll(verb, "--help").stdout.startswith("Usage:")


def test_a_repository_is_opened_changed_stopped_and_found_again(atoll, repo):
    ran = atoll("run", repo, "--detach", "--json", "--open", "index.ipynb")
    ready = json.loads(ran.stdout)
    assert ready["name"] == "tour"
    assert set(ready["phases"]) == {"resolve", "fetch", "build", "wait", "start"}
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
    assert "Jupyter Server" in atoll("logs", "tour").stdout  # of the last time
    stopped = atoll("open", "tour", "--json", check=False)
    assert json.loads(stopped.stdout) == {
        "error": "“tour” is stopped.",
        "hint": f"To start it: atoll run {repo}",
        "exit_code": stopped.returncode,
    }
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


def test_two_servers_have_one_volume_and_find_it_again(atoll, repo):
    def cell(ready, code):
        base = ready["url"].partition("/lab")[0] + "/"
        headers = {"Authorization": f"token {ready['token']}"}
        return asyncio.run(run_cell(base, code, headers=headers))

    def run(*words):
        ran = atoll("run", repo, "--detach", "--json", *words)
        return json.loads(ran.stdout), ran.stderr

    atoll("volumes", "make", "both")
    one, _ = run("--name", "one", "-v", "both:shared/it")
    two, _ = run("--name", "two", "-v", "both:/data/it:ro")
    assert cell(one, "open('shared/it/a', 'w').write('from one'); print(1)") == "1"
    said = cell(two, "print(open('/data/it/a').read()); open('/data/it/b', 'w')")
    assert said.startswith("from one")
    assert "Read-only file system" in said
    [row] = json.loads(atoll("volumes", "list", "--json").stdout)
    assert [one.partition("/")[2] for one in row["servers"]] == ["one", "two"]

    _, said = run("--name", "one", "--no-volumes")
    assert "Volumes both at shared/it → none" in said
    atoll("stop", "--now", "one", "two")
    atoll("volumes", "delete", "both")
    _, said = run("--name", "two")  # which has the volumes that it had
    assert "“both” (at /data/it) is not mounted: it was deleted" in said
    atoll("volumes", "restore", "both")
    hides = atoll("run", repo, "--name", "three", "-v", "both:data", check=False)
    assert "which the volume would hide" in hides.stderr
    atoll("stop", "--now", "two")
    for name in ("one", "two"):
        atoll("remove", name, "--yes")


def test_a_server_has_a_title_and_says_what_it_cannot_have(atoll, repo):
    words = ("run", repo, "--title", "Ma [b]thèse", "--lifetime", "8h", "--gpus", "1")
    ran = atoll(*words, "--credentials", "--detach", "--json")
    assert json.loads(ran.stdout)["name"] == "ma-b-these"
    assert "It asks for 1 GPU; a server here can have none." in ran.stderr
    assert "It asks for your passwords and keys; no server here is passed any yet." in ran.stderr
    assert "Ma [b]thèse" in ran.stderr  # which starts
    rows = {row["name"]: row for row in json.loads(atoll("list", "--json").stdout)}
    assert rows["ma-b-these"]["title"] == "Ma [b]thèse"
    assert "Ma [b]thèse" in atoll("list").stdout
    assert "It is called “Fertig” now." in atoll("title", "ma-b-these", "Fertig").stdout
    assert "Fertig" in atoll("list").stdout
    assert atoll("title", "other", "x", check=False).returncode == 4
    assert atoll("title", "ma-b-these", "a\nb", check=False).returncode == 2
    atoll("stop", "--now", "ma-b-these")
    atoll("remove", "ma-b-these", "--yes")
    assert atoll("run", repo, "--title", "a\nb", check=False).returncode == 2


def test_an_archive_on_the_web_is_opened_with_its_files(atoll, web):
    files = {"requirements.txt": b"six==1.16.0\n", "index.ipynb": json.dumps(NOTEBOOK).encode()}
    url = web.put("/course.zip", make_zip(files, "course-main/", (2025, 3, 4, 5, 6, 8)))
    ready = json.loads(atoll("run", url, "--temporary", "--detach", "--json").stdout)
    base = ready["url"].partition("/lab")[0] + "/"
    listed = get(f"{base}api/contents/?token={ready['token']}").json()["content"]
    assert {"requirements.txt", "index.ipynb"} <= {one["name"] for one in listed}
    headers = {"Authorization": f"token {ready['token']}"}
    code = "import six; print(six.__version__)"
    assert asyncio.run(run_cell(base, code, headers=headers)) == "1.16.0"
    assert json.loads(atoll("build", url, "--json").stdout)["as_of"] == "2025-03-04"
    missing = atoll("run", f"{web.base}/nothing.zip", check=False)
    assert missing.returncode == 4
    assert "There is nothing at" in missing.stderr


def test_a_build_says_what_it_made_and_the_second_is_cached(atoll, repo):
    first = json.loads(atoll("build", repo, "--json").stdout)
    second = json.loads(atoll("build", repo, "--json").stdout)
    assert second["cached"] is True
    assert second["key"] == first["key"]
    anew = json.loads(atoll("build", repo, "--rebuild", "--json").stdout)
    assert (anew["key"], anew["path"], anew["cached"]) == (first["key"], first["path"], False)
    assert {"key", "engine", "cached", "seconds", "python", "as_of", "path"} <= set(second)
    assert (Path(second["path"]) / "env").is_dir()
    shown = atoll("environments", "show", first["key"][:6]).stdout
    assert "six==1.16.0" in shown
    assert first["key"] in atoll("environments").stdout


def test_what_a_notebook_imports_is_printed_as_requirements(atoll, tmp_path):
    cell = {"cell_type": "code", "source": ["import six, yaml"], "metadata": {}, "outputs": []}
    make_repo(tmp_path / "bare", {"a.ipynb": json.dumps({**NOTEBOOK, "cells": [cell]})})
    said = atoll("infer", tmp_path / "bare").stdout
    assert said.splitlines()[1:] == ["pyyaml  # imported as yaml", "six"]
    told = json.loads(atoll("infer", tmp_path / "bare", "--json").stdout)
    assert told["requirements"] == said
    assert (told["packages"], told["as_of"]) == ({"pyyaml": "yaml", "six": "six"}, "2024-05-06")
    make_repo(tmp_path / "bare", {"a.ipynb": json.dumps(NOTEBOOK)})
    assert "imports a package" in atoll("infer", tmp_path / "bare", check=False).stderr


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
    making = data / "cache" / "making"
    before = {*making.glob("*")}
    process = subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while {*making.glob("*")} <= before and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
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
        (["run", ".", "--people", "anna"], 3, "Nobody else is here"),
        (["run", ".", "--visitors"], 3, "Nobody else is here"),
        (["run", ".", "--people", "a/b"], 2, "neither a person nor a group"),
        (["build", "gh:no/such@x", "--at", "yesterday"], 2, "yesterday"),
        (["run", "gh:no/such@x", "--at", "2999-01-01"], 2, "still to come"),
        (["open", "nothing"], 4, "nothing"),
        (["logs", "nothing"], 4, "nothing"),
        (["stop", "nothing"], 4, "nothing"),
        (["--config", "/nowhere.toml", "list"], 2, "/nowhere.toml"),
        (["environments", "show", "zzz"], 4, "zzz"),
        (["environments", "pin", "0123456789"], 4, "0123456789"),
        (["environments", "pin", ".", "--at", "2020-02-02"], 4, "--at 2020-02-02"),
        (["environments", "unpin", "zzz"], 2, "zzz"),
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


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "gh:owner", "--json"], 2, "github.com"),
        (["run", "--json", "--no-such-option", "."], 2, "--no-such-option"),
        (["build", "/nowhere/at/all", "--json"], 4, "/nowhere/at/all"),
        (["environments", "show", "zzz", "--json"], 4, "zzz"),
        (["--config", "/nowhere.toml", "list", "--json"], 2, "/nowhere.toml"),
    ],
)
def test_with_json_a_mistake_is_json_too(atoll, words, status, said):
    ran = atoll(*words, check=False)
    answer = json.loads(ran.stdout)
    assert set(answer) == {"error", "hint", "exit_code"}
    assert said in answer["error"] + answer["hint"]
    assert answer["exit_code"] == ran.returncode == status


def test_files_that_are_kept_stay_and_that_they_are_older_is_said(atoll, tmp_path):
    folder = tmp_path / "moving"
    old = make_repo(folder, {"requirements.txt": "six==1.16.0\n", "story.txt": "once"})
    ran = atoll("run", folder, "--detach", "--no-browser")
    assert f"You work on a copy, which is kept; {folder} itself stays as it is." in ran.stderr
    [row] = json.loads(atoll("list", "--json").stdout)
    assert (row["version"], row["launched"]) == (old, "")
    home = Path(ran.stderr.partition("The copy is in ")[2].split(".\n")[0])
    assert (home / "story.txt").read_text() == "once"

    new = make_repo(folder, {"requirements.txt": "six==1.15.0\n", "story.txt": "twice"})
    told = f"What you asked for is not quite that: Version {old[:7]} → {new[:7]}; Environment"
    assert told in atoll("run", folder, "--detach", "--no-browser").stderr
    atoll("stop", "moving")
    assert told in atoll("run", folder, "--detach", "--no-browser").stderr
    assert (home / "story.txt").read_text() == "once"
    [row] = json.loads(atoll("list", "--json").stdout)
    assert (row["version"], row["launched"]) == (old, "")

    (home / "requirements.txt").write_text("six==1.16.0\nmine\n")
    looked = json.loads(atoll("update", "moving", "--look", "--json").stdout)
    assert {one["path"]: one["fate"] for one in looked["changes"]} == {
        "requirements.txt": "beside",
        "story.txt": "updated",
    }
    assert (home / "story.txt").read_text() == "once"
    refused = atoll("update", "moving", check=False, input="n\n")
    assert "Newer, as you have not changed them: story.txt." in refused.stdout
    assert (refused.returncode, (home / "story.txt").read_text()) == (9, "once")
    atoll("update", "moving", "--yes")
    assert (home / "story.txt").read_text() == "twice"
    assert (home / "requirements.txt").read_text() == "six==1.16.0\nmine\n"
    assert (home / f"requirements.of-{new[:7]}.txt").read_text() == "six==1.15.0\n"
    [row] = json.loads(atoll("list", "--json").stdout)
    assert (row["version"], row["launched"]) == (new, old)
    assert f"{new[:7]} → {old[:7]}" in atoll("list").stdout
    assert "all that is in" in atoll("update", "moving").stdout
    updated = atoll("run", folder, "--detach", "--no-browser", "--existing", "update").stderr
    assert "Stopping server moving" in updated
    [row] = json.loads(atoll("list", "--json").stdout)
    assert (row["version"], row["launched"], row["state"]) == (new, "", "running")
    atoll("stop", "moving")
    atoll("remove", "moving", "--yes")
    assert "no server called" in atoll("update", "moving", check=False).stderr


def test_what_a_postbuild_makes_is_brought_in_by_an_update_and_who_sits_there_is_asked(
    atoll, tmp_path, data
):
    folder = tmp_path / "made"
    script = "echo %s > made.txt; echo %s > mine.txt; chmod 600 made.txt\n"
    make_repo(folder, {"postBuild": script % ("once", "once"), "story.txt": "once"})
    atoll("run", folder, "--detach", "--no-browser")
    [home] = (data / "volumes").glob("*/made/home")
    assert (home / "made.txt").read_text() == "once\n"
    (home / "mine.txt").write_text("changed by me\n")
    make_repo(folder, {"postBuild": script % ("twice", "twice") + "echo > new.txt\n"})

    def answer(how):
        words = ("run", str(folder), "--detach", "--no-browser")
        answers, environ = {"What shall be done": f"{how}\n"}, {"ATOLL_DATA": str(data)}
        return at_a_terminal(*words, answers=answers, environ=environ)

    status, said = answer("update")
    assert status == 0, said
    assert "You have a server “made” already" in said
    assert "What its postBuild makes comes as well" in said
    assert (home / "made.txt").read_text() == "twice\n"
    assert (home / "mine.txt").read_text() == "changed by me\n"
    assert [one.name for one in home.glob("mine.of-*")]
    assert (home / "new.txt").exists()
    atoll("stop", "made")
    make_repo(folder, {"story.txt": "twice"})
    status, said = answer("stop")
    assert status == 9, said
    assert (home / "story.txt").read_text() == "once"
    atoll("remove", "made", "--yes")


def test_a_failure_of_before_is_said_to_be_one(atoll, tmp_path):
    folder = tmp_path / "broken"
    make_repo(folder, {"postBuild": "echo oh dear >&2; exit 3\n"})
    first = atoll("build", folder, check=False)
    assert first.returncode == 8
    assert "not tried again" not in first.stderr
    second = atoll("build", folder, check=False)
    assert second.returncode == 8
    assert "oh dear" not in second.stderr
    assert re.search(r"It failed on .* UTC, and was not tried again; --retry", second.stderr)
    third = atoll("build", folder, "--retry", check=False)
    assert "oh dear" in third.stderr


def test_where_no_browser_is_the_address_is_printed_and_that_is_said(atoll, repo, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    ran = atoll("run", repo, "--detach", "--temporary", env={"BROWSER": ""})
    assert "token=" in ran.stdout
    assert "No browser was found here" in ran.stderr


def test_who_runs_one_too_many_waits_and_goes_on_when_there_is_room(atoll, repo, tmp_path, data):
    config = tmp_path / "atoll.toml"
    config.write_text(f'data = "{data}"\n[servers]\nat_once = 1\n')
    first = json.loads(atoll("--config", config, "run", repo, "--detach", "--json").stdout)
    waiting = subprocess.Popen(
        [*ATOLL, "--config", config, "run", repo, "--name", "second", "--detach", "--json"],
        env={**os.environ, "BROWSER": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in waiting.stderr:
        if "No more than 1 server may run here at once" in line:
            break
    else:
        raise AssertionError("nobody said why")
    assert waiting.poll() is None
    atoll("stop", first["name"])
    ready = json.loads(waiting.communicate(timeout=60)[0])
    assert ready["name"] == "second"
    assert ready["phases"]["wait"] > 0.1
    assert first["phases"]["wait"] < ready["phases"]["wait"]
