"""`atoll run 'ENVIRONMENT + CONTENT'`: the real command, real git servers and a real build."""

import asyncio
import json
import os
import subprocess
import sys

import httpx2
import pytest

from support.gitservers import make_repo, serve
from support.kernels import run_cell

POST_BUILD = '#!/bin/bash\necho home > made.txt\necho prefix > "$NB_PYTHON_PREFIX/made.txt"\n'
START = '#!/bin/bash\nexport GREETING="hello"\nexec "$@"\n'
LOOK = (
    "import os, six; print(six.__version__, os.environ['GREETING'], sorted(x for x in os.listdir('.') if x[0] != '.'),"
    " open('/srv/env/made.txt').read().strip())"
)


@pytest.fixture
def repositories(tmp_path):
    """Where there are an environment and a course: the address, and the folder."""
    folder = tmp_path / "repositories"
    files = {"requirements.txt": "six==1.16.0\n", "postBuild": POST_BUILD, "start": START}
    make_repo(folder / "env", files)
    make_repo(folder / "course", {"requirements.txt": "six==1.15.0\n", "a.txt": "once"})
    with serve(folder) as base:
        yield base, folder


@pytest.fixture
def atoll(tmp_path):
    def call(*words, status=0):
        ran = subprocess.run(
            [sys.executable, "-m", "atoll.cli", *words],
            env={**os.environ, "ATOLL_DATA": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ran.returncode == status, ran.stderr
        return ran

    yield call
    for one in json.loads(call("list", "--json").stdout):
        if one["state"] != "stopped":
            call("stop", "--now", one["name"])


def test_the_files_of_a_course_are_opened_in_the_environment_of_another(atoll, repositories):
    base, folder = repositories
    pair = f"{base}/env + {base}/course"
    ran = atoll("run", pair, "--detach", "--json")
    ready = json.loads(ran.stdout)
    assert ready["name"] == "course"
    root = ready["url"].partition("/lab")[0] + "/"
    headers = {"Authorization": f"token {ready['token']}"}
    said = asyncio.run(run_cell(root, LOOK, headers=headers))
    assert said == "1.16.0 hello ['a.txt', 'requirements.txt'] prefix"
    with httpx2.Client(headers=headers) as http:
        assert http.get(f"{root}api/contents/a.txt").json()["content"] == "once"
    assert (
        "Files that the environment’s postBuild made beside it are not among yours." in ran.stderr
    )

    [row] = json.loads(atoll("list", "--json").stdout)
    assert (row["environment"], row["repository"]) == (f"{base}/env", f"{base}/course")
    own = json.loads(atoll("build", f"{base}/env", "--json").stdout)
    make_repo(folder / "course", {"requirements.txt": "six==1.14.0\n", "a.txt": "twice"})
    later = json.loads(atoll("build", pair, "--json").stdout)
    assert (own["cached"], later["cached"], own["key"]) == (True, True, later["key"])

    atoll("stop", "course")
    asked = atoll("open", "course", status=4)
    assert f"atoll run '{pair}'" in asked.stderr


@pytest.mark.parametrize(
    ("env", "course", "part"), [("env", "x", "content"), ("x", "course", "environment")]
)
def test_it_is_said_which_of_the_two_is_not_there(atoll, repositories, env, course, part):
    base, _ = repositories
    said = atoll("run", f"{base}/{env} + {base}/{course}", "--detach", status=4).stderr
    assert f"The {part}’s repository: " in said


def test_folders_make_a_pair_too(atoll, repositories, monkeypatch):
    _, folder = repositories
    monkeypatch.chdir(folder)
    (folder / "env + course").mkdir()
    own = json.loads(atoll("build", "env", "--json").stdout)
    assert json.loads(atoll("build", "./env + ./course", "--json").stdout)["key"] == own["key"]
    assert json.loads(atoll("build", "env + course", "--json").stdout)["key"] != own["key"]
