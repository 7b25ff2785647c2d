"""The script that runs repo2docker's test repositories, on a small checkout like that."""

from __future__ import annotations

import json
import subprocess
import sys

import conformance
import pytest


@pytest.fixture
def checkout(tmp_path):
    """Return a git repository with three test repositories, of which none can be built."""
    for name in ("dockerfile/simple", "nix/start", "venv/start/postBuild"):
        folder = tmp_path / "tests" / name
        folder.mkdir(parents=True)
        (folder / "verify").write_text("#!/bin/sh\n")
        (folder / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "tests" / "norun").mkdir()
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_every_folder_with_a_verify_is_a_test_repository(checkout):
    assert conformance.repositories(checkout, "*") == [
        "dockerfile/simple",
        "nix/start",
        "venv/start/postBuild",
    ]
    assert conformance.repositories(checkout, "nix/*") == ["nix/start"]


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["conformance.py", *words])
    return conformance.main(), *capsys.readouterr()


def test_it_says_why_not_and_how_many_verify(checkout, monkeypatch, capsys):
    status, said, _ = run(monkeypatch, capsys, str(checkout), "--only", "*i*e*")
    assert status == 0
    assert "needs the Docker engine" in said.splitlines()[0]
    assert said.splitlines()[-1] == "0 of 1 verify."
    status, said, _ = run(monkeypatch, capsys, str(checkout), "--json", "--only", "nix/*")
    (one,) = json.loads(said)
    assert one["name"] == "nix/start"
    assert "Docker engine" in one["why"]


def test_a_folder_without_any_is_said(tmp_path, monkeypatch, capsys):
    status, _, said = run(monkeypatch, capsys, str(tmp_path))
    assert status == 2
    assert "no test repositories" in said


def test_the_last_line_is_the_reason_unless_it_says_nothing():
    assert conformance.reason(["a", "b", " "]) == "b"
    lines = ["Traceback …", "    assert x == 1, y", "           ^^^", "AssertionError"]
    assert conformance.reason(lines) == "assert x == 1, y"
    lines = ["E       assert 3 == 4", "FAILED x.py", "\x1b[31m=== \x1b[1m2 failed\x1b[0m ==="]
    assert conformance.reason(lines) == "E       assert 3 == 4"
    assert conformance.reason(["x", "AssertionError: 3.6 (default)", "[GCC 12]"]).endswith("lt)")
    assert conformance.reason([]) == ""
