"""`atoll doctor` on this very machine, and on worse ones."""

from __future__ import annotations

import json
import os
import platform
import sys

import pytest
from click.testing import CliRunner

from atoll.cli.doctor import doctor, plug_ins
from atoll.engines.local import checks as looks
from atoll.engines.local.checks import Check, checks
from atoll.folders import run_folder
from atoll.settings import settings_from

NAMES = [
    *(
        "Settings",
        "Sign-in",
        "Linux",
        "bubblewrap",
        "User namespaces",
        "Overlays",
        "System call filter",
    ),
    *(
        "Control groups",
        "Logging out",
        "Network of boxes",
        "Node.js and the proxy",
        "git",
        "git-lfs",
        "Mercurial",
        "uv",
    ),
    *("Pythons", "Debian packages", "Disk", "Volumes", "Folder for sockets", "Plug-ins"),
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_DATA", str(tmp_path))
    yield lambda *words: CliRunner().invoke(doctor, words)
    run_folder(settings_of(tmp_path)).rmdir()


def settings_of(folder):
    return settings_from({"data": str(folder)})


def test_a_machine_that_runs_these_tests_has_all_that_is_needed(run):
    done = run()
    assert done.exit_code == 0, done.output
    assert "Atoll works here" in done.output


def test_programs_get_the_same_as_json(run):
    found = json.loads(run("--json").output)
    assert found["works"] is True
    assert [check["name"] for check in found["checks"]] == NAMES
    assert all(check["found"] for check in found["checks"])


def test_every_lack_would_say_what_is_lost_and_how_to_get_it(run):
    for check in json.loads(run("--json").output)["checks"]:
        if not check["ok"]:
            assert check["lost"].endswith("."), check
            assert check["get"], check


def test_mistakes_in_the_settings_are_told_and_the_rest_is_looked_at_all_the_same(run, tmp_path):
    (tmp_path / "atoll.toml").write_text("[hub]\nbint = 1\n")
    done = run()
    assert done.exit_code == 1
    assert "did you mean “bind”?" in done.output
    assert "User namespaces" in done.output


def test_without_git_nothing_works_and_the_exit_code_says_so(run, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    done = run("--json")
    assert done.exit_code == 1
    git = next(check for check in json.loads(done.output)["checks"] if check["name"] == "git")
    assert (git["ok"], git["get"]) == (False, "Install the package git.")


def test_without_a_network_helper_atoll_works_but_says_what_is_lost(run, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("git", "sh", "python3", "unshare", "setpriv", "prlimit", "mount", "mkdir"):
        path = next(p for p in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(p))
        (tmp_path / "bin" / name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = run()
    assert done.exit_code == 0, done.output
    assert "no network" in done.output


def test_a_box_that_cannot_be_made_is_a_lack_and_not_a_crash(tmp_path, monkeypatch):
    monkeypatch.setattr(looks.sandbox, "bwrap", lambda: looks.Path("/bin/false"))
    settings = settings_of(tmp_path)
    found = {check.name: check for check in checks(settings)}
    run_folder(settings).rmdir()
    assert not found["User namespaces"].ok
    assert found["User namespaces"].needed
    assert "sysctl" in found["User namespaces"].get


def test_little_room_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "ROOM", 1024**6)
    assert not looks.disk(settings_of(tmp_path)).ok


def test_room_is_looked_for_where_the_data_folder_will_be(tmp_path):
    assert looks.disk(settings_of(tmp_path / "not" / "yet" / "there")).ok


def test_a_look_that_breaks_is_a_lack(tmp_path):
    def git_lfs(settings):
        raise OSError("the disk is on fire")

    found = looks._survive(git_lfs, settings_of(tmp_path))
    assert (found.name, found.ok, found.found) == ("Git lfs", False, "the disk is on fire")


def test_a_broken_plug_in_is_named(monkeypatch):
    class Broken:
        name = "lobster"

        def load(self):
            raise ImportError("no claws")

    doctors = sys.modules[plug_ins.__module__]  # the name in the package is the command
    monkeypatch.setattr(doctors, "entry_points", lambda group: [Broken()])
    found = plug_ins()
    assert isinstance(found, Check)
    assert not found.ok
    assert "lobster is broken" in found.found


def test_the_python_that_runs_this_is_among_those_found(tmp_path):
    assert platform.python_version() in looks.pythons(settings_of(tmp_path)).found


def test_a_secret_that_others_can_read_is_told_with_what_to_do(tmp_path, run):
    secret = tmp_path / "secret"
    secret.write_text("a secret that is none")
    secret.chmod(0o644)
    table = f"kind = 'github'\nclient_id = 'x'\neverybody = true\nclient_secret_file = '{secret}'"
    (tmp_path / "atoll.toml").write_text(f"[sign_in]\n{table}\n")
    said = run().output
    assert f"Others can read the secret in {secret}." in said
    assert "`atoll up` does not start." in said
    assert "chmod 600 " in " ".join(said.split())
    assert "a secret that is none" not in said
