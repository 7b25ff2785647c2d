"""An environment that was made anew, and those that servers still run in."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from atoll.engines.local import generations
from atoll.engines.local.generations import SETTLED, publish, unused
from atoll.engines.local.runner import LocalRunner
from atoll.settings import Settings
from support.plans import make_plan

ENVIRON = {"JUPYTER_TOKEN": "s3cret"}


def folder(path, text):
    path.mkdir(parents=True)
    (path / "which").write_text(text)
    return path


def olds(environments):
    return sorted(environments.glob(".before-*"))


@pytest.fixture(params=["exchanged", "renamed"])
def _how(request, monkeypatch):
    """Both ways, as not every file system can exchange two folders."""
    if request.param == "renamed":
        monkeypatch.setattr(generations, "_exchange", lambda *_: False)


@pytest.mark.usefixtures("_how")
def test_the_new_one_takes_the_place_and_who_has_the_old_one_open_keeps_it(tmp_path):
    environments = tmp_path / "environments"
    environments.mkdir()
    publish(folder(tmp_path / "one", "first"), environments / "key")
    held = os.open(environments / "key", os.O_RDONLY | os.O_DIRECTORY)
    publish(folder(tmp_path / "two", "second"), environments / "key")
    assert (environments / "key" / "which").read_text() == "second"
    with os.fdopen(os.open("which", os.O_RDONLY, dir_fd=held)) as file:
        assert file.read() == "first"
    os.close(held)
    [old] = olds(environments)
    assert (old / "which").read_text() == "first"


def test_an_old_one_stays_as_long_as_a_server_of_before_runs(tmp_path, monkeypatch):
    publish(folder(tmp_path / "one", "first"), tmp_path / "key")
    publish(folder(tmp_path / "two", "second"), tmp_path / "key")
    [old] = olds(tmp_path)
    now = time.time()
    assert unused(tmp_path, list) == []  # somebody may be just about to start in it
    monkeypatch.setattr(generations, "time", SimpleNamespace(time=lambda: now + SETTLED + 2))
    before, after = now - 60, now + SETTLED + 1
    assert unused(tmp_path, lambda: [("key", before), ("other", before)]) == []
    assert unused(tmp_path, lambda: [("key", after), ("other", before)]) == [old]
    assert unused(tmp_path, list) == [old]


def test_names_that_are_not_ours_are_left_alone(tmp_path):
    for name in (".before-", ".before-x-y-key", ".before-1-zz-key", "key"):
        (tmp_path / name).mkdir()
    assert unused(tmp_path, list) == []


async def test_a_server_goes_on_in_the_old_one_and_when_it_stops_that_is_removed(
    tmp_path, monkeypatch
):
    settings = Settings(data=tmp_path / "data")
    plan = make_plan(settings.data, {})
    environments = settings.data / "environments"
    env = environments / "bare"
    (env / "env" / "which").write_text("first")
    made = tmp_path / "made"
    (made / "env").mkdir(parents=True)
    (made / "atoll.json").write_bytes((env / "atoll.json").read_bytes())
    (made / "env" / "which").write_text("second")
    runner = LocalRunner(settings)
    server = await runner.start(plan, ENVIRON)
    inside = Path(f"/proc/{runner.records.find(server.handle).init}/root/srv/env/which")
    try:
        publish(made, env)
        assert [inside.read_text(), (env / "env" / "which").read_text()] == ["first", "second"]
        monkeypatch.setattr(generations, "SETTLED", 0.0)
        monkeypatch.setattr(generations, "time", SimpleNamespace(time=lambda: time.time() + 2))
        assert runner.unused() == []
        assert len(olds(environments)) == 1
    finally:
        await runner.stop(server.handle, now=True)
    assert olds(environments) == []
