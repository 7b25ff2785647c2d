from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from atoll.environments import Environments
from atoll.environments.reading import DEFAULT_TAKEN
from atoll.launching import Clock, Existing, Launcher, LaunchRequest, proposals
from atoll.people import Person
from atoll.sources import Checkout, RepoRef, ResolvedRef
from atoll.testing.engines import FakeBuilder
from atoll.testing.sources import DATE, FakeSource
from atoll.testing.stores import MemoryPlans, MemoryShelf

BARE = RepoRef("git", "https://example.org/bare")
REQUEST = LaunchRequest(Person("ada"), BARE)


def notebook(code: str) -> bytes:
    return json.dumps({"cells": [{"cell_type": "code", "source": code}]}).encode()


@pytest.fixture
def files():
    return {"a/b.ipynb": notebook("import numpy, helpers"), "a/helpers.py": b"import pandas"}


@pytest.fixture
def launcher(tmp_path, files):
    source = FakeSource(tmp_path, {BARE.locator: files})
    return Launcher(source, Environments(FakeBuilder(), MemoryShelf()), MemoryPlans(), "test")


async def test_the_default_environment_is_taken_if_nobody_accepts(launcher):
    told = []
    prepared = await launcher.prepare(REQUEST, told.append)
    assert prepared.spec.files == ()
    assert prepared.proposal.splitlines()[1:] == ["numpy", "pandas"]
    notes = [event.message for event in told if event.note]
    assert notes[0] == DEFAULT_TAKEN
    assert "numpy, pandas" in notes[1]


async def test_who_accepts_gets_what_is_imported_as_of_the_commits_date(launcher):
    told = []
    prepared = await launcher.prepare(replace(REQUEST, infer=True), told.append)
    assert prepared.spec.as_of == DATE.date()
    assert b"numpy\npandas\n" in dict(prepared.spec.files)["requirements.txt"]
    assert prepared.proposal == ""
    assert not [event for event in told if event.note]


async def test_what_is_said_wins_and_where_nothing_is_imported_nothing_is_proposed(launcher, files):
    files["requirements.txt"] = b"six\n"
    request = replace(REQUEST, existing=Existing.UPDATE)
    prepared = await launcher.prepare(replace(request, infer=True), print)
    assert dict(prepared.spec.files)["requirements.txt"] == b"six\n"
    files.clear()
    for infer in (True, False):
        prepared = await launcher.prepare(replace(request, infer=infer), print)
        assert (prepared.spec.files, prepared.proposal) == ((), "")


async def test_hostile_checkouts_are_looked_at_without_following_or_waiting(tmp_path, launcher):
    checkout = await launcher.check_out(BARE, print, Clock())
    root = checkout.path
    (tmp_path / "secret.py").write_text("import secret_things")
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.py")
    (root / "dir.py").mkdir()
    (root / ".hidden.py").write_text("import hidden_things")
    (root / "large.py").write_bytes(b"import large_things\n" + b"#" * proposals.LARGEST)
    assert sorted(proposals.propose_for(checkout).packages) == ["numpy", "pandas"]


def test_only_what_failed_notebooks_import_and_nothing_provides_is_forgotten(tmp_path):
    files = {
        "a.ipynb": notebook("import numpy, sklearn, helpers, six"),
        "fine.ipynb": notebook("import pandas"),
        "helpers.py": b"import yaml",
    }
    ref = ResolvedRef(BARE, "c0ffee", "tree", DATE)
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    checkout = Checkout(ref, tmp_path, {})
    failed = {
        "a.ipynb": "yaml",
        "made-by-a-build.ipynb": "requests.auth",
        "b.ipynb": "x; import os",
    }
    missing = proposals.forgotten(checkout, failed, {"six", "numpy"})
    assert missing == ("pyyaml", "requests", "scikit-learn")
    assert proposals.forgotten(checkout, {"a.ipynb": ""}, {"six", "numpy", "scikit-learn"}) == ()
