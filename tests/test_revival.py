"""The program that builds and runs old repositories, on a small one; and its list."""

from __future__ import annotations

import json
import re
import sys

import pytest
import revival

from support.gitservers import make_repo

RAN = {
    "date": "2017-03-30", "notebooks": 2, "error": "", "seconds": 9,
    "then": {"built": True, "error": "", "gone": False, "seconds": 3.0, "python": "3.6.15",
             "as_of": "2017-06-21", "notes": [], "ran": 1, "same": 1, "fails": {"a.ipynb": "E | x"}},
    "today": {"built": False, "error": "There is no package “x” on the index. Check.", "gone": True,
              "seconds": 1.0, "python": "", "as_of": "", "notes": [], "ran": 0, "same": 0,
              "fails": {}},
}  # fmt: skip


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


def test_a_repository_is_built_and_run_on_both_days(call, tmp_path):
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": "print(1)"}
    output = {"output_type": "stream", "name": "stdout", "text": "1\n"}
    book = {
        "nbformat": 4,
        "nbformat_minor": 0,
        "metadata": {},
        "cells": [{**cell, "outputs": [output]}],
    }
    files = {"requirements.txt": "six==1.16.0\n", "a.ipynb": json.dumps(book)}
    commit = make_repo(tmp_path / "me+old", files)
    names = [f"me/old {commit}"]
    told = json.loads(call(names, "--from", f"{tmp_path}/{{owner}}+{{repo}}"))
    assert told["sums"]["notebooks"] == 1
    for day in ("then", "today"):
        assert told["repositories"]["me/old"][day]["same"] == 1, told
        assert told["sums"][day]["built"] == 1
    assert "me/old" in (tmp_path / "data" / "revival.jsonl").read_text()


def test_a_run_that_was_stopped_goes_on_where_it_was(call, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "revival.jsonl").write_text(json.dumps({"name": "me/old", **RAN}) + "\n")
    told = json.loads(call([f"me/old {'c' * 40}", f"you/other {'d' * 40}"], "--only", "me/*"))
    assert told["repositories"] == {"me/old": RAN}
    assert told["sums"]["then"] == {"built": 1, "ran": 1, "same": 1, "there": 1, "seconds": 3}
    assert told["sums"]["today"]["there"] == 0

    table = call([f"me/old {'c' * 40}"], "--table").splitlines()
    assert table[2] == "| me/old | 2017-03-30 | 3.6.15 | 3 | 1/2 | 1/2 |  | no | – | – |"
    assert table[3].startswith("| **1** | 2 notebooks |  | **1** | **1** | **1** |  | **0** |")
    assert table[-1] == "| me/old | E / x |"


def test_what_does_not_even_resolve_is_a_result_too(call, tmp_path):
    names = [f"me/none {'c' * 40}"]
    told = json.loads(call(names, "--from", f"{tmp_path}/{{owner}}+{{repo}}"))
    one = told["repositories"]["me/none"]
    assert one["error"]
    assert not one["then"]["built"]
