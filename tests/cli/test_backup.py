"""`atoll backup` and `atoll restore`, as an operator uses them: the real commands."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.hub import eventually


@pytest.fixture
def data(tmp_path):
    home = tmp_path / "data" / "volumes" / "ada" / "first" / "home"
    home.mkdir(parents=True)
    (home / "large").write_bytes(os.urandom(25_000_000))
    (tmp_path / "data" / "atoll.toml").write_text("[servers]\nmemory = '1G'\n")
    (tmp_path / "backups").mkdir()
    return tmp_path / "data"


def start(data, *words):
    command = [sys.executable, "-m", "atoll.cli", *map(str, words)]
    environ = {**os.environ, "ATOLL_DATA": str(data)}
    return subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed,  # noqa: PLW1509 - it is in the child that the signal is to be heard
    )


def heed():
    """Heed Ctrl-C, which whatever runs in a shell's background is born deaf to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def atoll(data, *words, code=0):
    process = start(data, *words)
    said, wrong = process.communicate(timeout=60)
    assert process.returncode == code, wrong
    return said, wrong


def test_an_operator_backs_up_looks_and_restores(data, tmp_path):
    said, _ = atoll(data, "backup", tmp_path / "backups")
    [file] = (tmp_path / "backups").iterdir()
    assert file.name.startswith("atoll-20")
    assert str(file) in said
    assert "0 kept servers; 2 files, 25 MB" in said

    said, _ = atoll(tmp_path / "new", "restore", "--check", file)
    assert f"All of it is there: a backup of {data}" in said
    assert not (tmp_path / "new").exists()

    said, _ = atoll(tmp_path / "new", "restore", file)
    assert f"To start: ATOLL_DATA={tmp_path / 'new'} atoll up" in said
    assert (tmp_path / "new" / "volumes/ada/first/home/large").stat().st_size == 25_000_000
    assert (tmp_path / "new" / "atoll.toml").read_text() == (data / "atoll.toml").read_text()

    told, wrong = atoll(tmp_path / "new", "restore", file, "--json", code=3)
    assert "is not empty" in json.loads(told)["error"]
    assert "Restoring never mixes" in wrong


def test_a_backup_that_is_interrupted_leaves_nothing(data, tmp_path):
    backups = tmp_path / "backups"
    process = start(data, "backup", backups)
    eventually(lambda: list(backups.glob(".atoll-backup-*/archive")))
    process.send_signal(signal.SIGINT)
    _, wrong = process.communicate(timeout=60)
    assert (process.returncode, wrong) == (130, "Stopped.\n")
    assert list(backups.iterdir()) == []


def test_a_backup_that_is_killed_never_looks_like_one_and_is_cleared_away(data, tmp_path):
    backups = tmp_path / "backups"
    process = start(data, "backup", backups / "a.tar.gz")
    eventually(lambda: list(backups.glob(".atoll-backup-*/archive")))
    process.kill()
    process.communicate()
    assert not (backups / "a.tar.gz").exists()
    [left] = backups.glob(".atoll-backup-*/archive")
    _, wrong = atoll(tmp_path / "new", "restore", left, code=3)
    assert "cut off or damaged" in wrong or "is not a backup" in wrong
    assert not list((tmp_path / "new").glob("*"))
    atoll(data, "backup", backups / "a.tar.gz")
    assert [one.name for one in backups.iterdir()] == ["a.tar.gz"]
