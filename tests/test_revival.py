"""The program that builds and runs old repositories, on a small one; its list, and its peer."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import revival

from atoll.engines.local.uv import uv
from support import binder
from support.gitservers import make_repo

THEN = {
    "built": True, "error": "", "gone": False, "seconds": 3.0, "python": "3.6.15", "added": [],
    "as_of": "2017-06-21", "notes": [], "ran": 1, "same": 1, "fails": {"a.ipynb": "E | x"},
}  # fmt: skip
TODAY = {
    "built": False, "error": "There is no package “x” on the index. Check.", "gone": True,
    "seconds": 1.0, "python": "", "added": [], "as_of": "", "notes": [], "ran": 0, "same": 0,
    "fails": {},
}  # fmt: skip
ADDED = {**THEN, "added": ["six"], "ran": 2, "fails": {}}
RAN = {"date": "2017-03-30", "notebooks": 2, "then": THEN, "added": ADDED, "today": TODAY}
# Of what repo2docker's images begin with, so much makes a kernel.
KERNEL = re.compile(
    r"@EXPLICIT|.*/(?:asttokens|comm|debugpy|decorator|exceptiongroup|executing|ipykernel|ipython|jedi"
    r"|jupyter_client|jupyter_core|matplotlib-inline|nest-asyncio|packaging|parso|pexpect|pip"
    r"|platformdirs|prompt-toolkit|psutil|ptyprocess|pure_eval|pygments|python-dateutil|pyzmq"
    r"|setuptools|six|stack_data|tornado|traitlets|typing_extensions|wcwidth|wheel)-\d.*"
)


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Return what runs the program for the repositories in *names*, and what it printed."""

    def run(names, *words):
        listed = tmp_path / "list.txt"
        listed.write_text("# a comment\n\n" + "".join(f"{one}\n" for one in names))
        monkeypatch.setattr(revival, "LIST", listed)
        data = str(tmp_path / "data")
        monkeypatch.setattr(sys, "argv", ["revival.py", "--data", data, *words])
        assert revival.main() == 0
        return capsys.readouterr().out

    return run


def test_the_list_has_more_than_thirty_each_once_and_pinned():
    listed = revival.repositories()
    assert len({name for name, _ in listed}) == len(listed) >= 30
    assert len({name.partition("/")[0].lower() for name, _ in listed}) == len(listed)
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, commit in listed)


def notebook(source, printed):
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": source}
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": printed}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 0, "metadata": {}, "cells": [cell]})


def test_a_repository_is_built_and_run_on_both_days(call, tmp_path):
    files = {"requirements.txt": "six==1.16.0\n", "a.ipynb": notebook("print(1)", "1\n")}
    commit = make_repo(tmp_path / "me+old", files)
    names = [f"me/old {commit}"]
    told = json.loads(call(names, "--from", f"{tmp_path}/{{owner}}+{{repo}}"))
    assert told["sums"]["notebooks"] == 1
    for column in ("then", "added", "today"):
        assert told["repositories"]["me/old"][column]["same"] == 1, told
        assert told["sums"][column]["built"] == 1
    assert told["sums"]["binder"]["tried"] == 0
    assert "me/old" in (tmp_path / "data" / "revival.jsonl").read_text()


def test_a_run_that_was_stopped_goes_on_where_it_was(call, tmp_path):
    (tmp_path / "data").mkdir()
    then = {"date": RAN["date"], "notebooks": 2, "then": THEN, "added": ADDED}
    lines = ({"name": "me/old", "today": THEN}, {"name": "me/old", **then})
    lines = (*lines, {"name": "me/old", "today": TODAY})
    (tmp_path / "data" / "revival.jsonl").write_text(
        "".join(json.dumps(one) + "\n" for one in lines)
    )
    told = json.loads(call([f"me/old {'c' * 40}", f"you/other {'d' * 40}"], "--only", "me/*"))
    assert told["repositories"] == {"me/old": RAN}
    counts = {"tried": 1, "built": 1, "ran": 1, "same": 1, "there": 1, "seconds": 3}
    assert told["sums"]["then"] == counts
    assert told["sums"]["added"] == {**counts, "ran": 2}
    assert told["sums"]["today"]["there"] == 0

    table = call([f"me/old {'c' * 40}"], "--table").splitlines()
    row = "| me/old | 2017-03-30 | 3.6.15, 3 s | 1/2 (1) | six, 3 s | 2/2 (1) | no | – |  |  |"
    assert table[2] == row
    assert table[3].startswith("| **1** | 2 notebooks | **1** built | **1** (1) | **1** built |")
    assert "| me/old | E / x |" in table


def test_what_does_not_even_resolve_is_a_result_too(call, tmp_path):
    names = [f"me/none {'c' * 40}"]
    told = json.loads(call(names, "--from", f"{tmp_path}/{{owner}}+{{repo}}"))
    one = told["repositories"]["me/none"]
    assert one["then"]["error"]
    assert not one["then"]["built"]


@pytest.fixture
def repo2docker(tmp_path):
    """Put repo2docker where the peer keeps it, with lock files of a kernel and no more."""
    tools = tmp_path / "data" / "binder" / "repo2docker"
    words = [uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", tools]
    subprocess.run([*words, "jupyter-repo2docker==2026.4.0"], check=True)
    for lock in tools.glob("repo2docker/buildpacks/conda/*.lock"):
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join(line for line in lines if KERNEL.match(line)))
    return "--repo2docker=jupyter-repo2docker"


def test_the_peer_does_what_repo2docker_says(call, tmp_path, repo2docker):
    files = {
        "binder/requirements.txt": "idna==3.7\n",
        "binder/postBuild": "pip freeze > frozen.txt\n",
        "a.ipynb": notebook(
            "import idna; print('idna==3.7' in open('frozen.txt').read())", "True\n"
        ),
        "b.ipynb": notebook("import no_such_module", ""),
    }
    commit = make_repo(tmp_path / "me+old", files)
    wrong = make_repo(tmp_path / "me+wrong", {"runtime.txt": "3.7\n", "a.ipynb": files["a.ipynb"]})
    names = [f"me/old {commit}", f"me/wrong {wrong}"]
    pattern = f"{tmp_path}/{{owner}}+{{repo}}"
    told = json.loads(call(names, "--from", pattern, "--try", "binder", repo2docker))
    one = told["repositories"]["me/old"]
    assert one["notebooks"] == 2
    assert one["binder"]["built"], one
    assert one["binder"]["python"].startswith("3.10")
    assert (one["binder"]["ran"], one["binder"]["same"]) == (1, 1), one
    assert "no_such_module" in one["binder"]["fails"]["b.ipynb"]
    assert "Invalid runtime.txt: 3.7" in told["repositories"]["me/wrong"]["binder"]["error"]


def test_a_lock_file_of_condas_is_read_as_packages_of_the_index():
    lock = """@EXPLICIT
https://conda.example.org/noarch/jupyterhub-base-5.4.0-pyhc90fa1f_0.conda#59
https://conda.example.org/linux-64/pyyaml-6.0.3-py310h3406613_0.conda#bc
https://conda.example.org/linux-64/python_abi-3.10-8_cp310.conda#05
https://conda.example.org/linux-64/nodejs-20.19.5-hf7ee748_0.conda#9c
"""
    assert binder.listed(lock) == "jupyterhub==5.4.0\npyyaml==6.0.3\n"


def test_what_conda_would_install_and_what_pip_would_are_told_apart():
    body = b"dependencies: [python=3.9, numpy=1.19, opencv, gcc, pip: [six, -e .]]"
    names, pip, notes = binder.substituted({"environment.yml": body}, "environment.yml")
    assert names == "numpy==1.19.*\nopencv-python-headless\n"
    assert pip == "six\n-e .\n"
    assert any("gcc" in note for note in notes)
    assert binder.substituted({}, "") == ("", "", ())


def test_the_last_error_is_why():
    assert binder.reason(["ERROR: one", "ERROR: No matching x", "[notice] new pip"]) == (
        "ERROR: No matching x"
    )
    assert binder.reason(["hello", "ValueError: no", "bye"]) == "ValueError: no"
    assert binder.reason(["  ValueError: no", "  error: subprocess-exited-with-error"]) == (
        "ValueError: no"
    )
    assert binder.reason(["hello"]) == "hello"
    assert binder.reason([]) == ""
