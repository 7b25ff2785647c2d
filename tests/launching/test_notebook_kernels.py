from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atoll.environments.reading import DEFAULT_TAKEN, read_spec
from atoll.launching.kernels import NOTE, as_written, major_of
from support.reading import checkout

OLD = datetime(2016, 7, 5, tzinfo=UTC)


def notebook(name="", version="", language=""):
    meta = {"kernelspec": {"name": name}, "language_info": {"version": version, "name": language}}
    return json.dumps({"metadata": meta, "cells": []})


def read(tmp_path, notebooks, files, *, when=OLD, at=""):
    for name, text in notebooks.items():
        (tmp_path / name).write_text(text)
    found = replace(checkout(files, when=when), path=tmp_path)
    return as_written(read_spec(found, platform="p", at=at), found)


@pytest.mark.parametrize(
    ("text", "major"),
    [
        (notebook("python2"), 2),
        (notebook("conda-env-py27", "2.7.11"), 2),
        (notebook("python3", "3.5.1"), 3),
        (notebook("python2", "3.5.1"), 3),  # what ran it last
        (notebook("ir", "3.4.0", language="R"), 0),
        (notebook(), 0),
        ("{", 0),
        ("[]", 0),
        ('{"metadata": {"kernelspec": null}}', 0),
        ('{"metadata": {"kernelspec": []}}', 0),
    ],
)
def test_the_python_that_a_notebook_names(text, major):
    assert major_of(text.encode()) == major


def test_notebooks_that_all_say_python_2_get_it(tmp_path):
    notebooks = {"a.ipynb": notebook("python2"), "b.ipynb": notebook(), "c.py": "print 1"}
    spec = read(tmp_path, notebooks, {"requirements.txt": "numpy"})
    assert (spec.python, spec.notes) == ("2.7", (NOTE,))
    bare = read(tmp_path, notebooks, {})
    assert (bare.python, bare.notes) == ("2.7", (DEFAULT_TAKEN, NOTE))


@pytest.mark.parametrize(
    ("notebooks", "files", "more"),
    [
        ({"a.ipynb": notebook("python2"), "b.ipynb": notebook("python3")}, {}, {}),
        ({"a.ipynb": notebook("python2")}, {"runtime.txt": "python-3.6"}, {}),
        ({"a.ipynb": notebook("python2")}, {"environment.yml": "dependencies: [numpy]"}, {}),
        ({"a.ipynb": notebook("python2")}, {}, {"when": datetime(2021, 1, 1, tzinfo=UTC)}),
        ({"a.ipynb": notebook("python2")}, {}, {"at": "today"}),
        ({".a.ipynb": notebook("python2")}, {}, {}),
        ({}, {}, {}),
    ],
)
def test_nothing_else_does(tmp_path, notebooks, files, more):
    assert read(tmp_path, notebooks, files, **more).python in {"", "3.6"}
