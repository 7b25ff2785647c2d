"""`atoll environments prune`, as an operator uses it, beside the real `atoll run`."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from atoll.cli import main
from atoll.cli.pruning import Rule
from atoll.disk import freed, locked, remove
from support.gitservers import make_repo

LONG_AGO = time.time() - 100 * 24 * 3600


def test_of_those_that_may_go_the_longest_unused_go_until_the_rest_fits(tmp_path):
    def row(name, used, made=1, **more):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "alone").write_bytes(b"x" * 100_000)
        if more.pop("linked", False):
            os.link(tmp_path / "a" / "alone", folder / "linked")
        days = {
            "used": f"2026-01-{used:02}T00:00:00+00:00",
            "made": f"2026-01-{made:02}T00:00:00+00:00",
        }
        return {"path": str(folder), "servers": [], "pinned": False, **days, **more}

    def picked(used=31, made=31, keep=None):
        times = (datetime(2026, 1, day, tzinfo=UTC) for day in (used, made, 1))
        return "".join(Path(row["path"]).name for row in Rule(*times, keep).picks(rows))

    rows = [
        row("a", 9, made=5),
        row("b", 3, linked=True),
        row("c", 1, pinned=True),
        row("d", 1, servers=["ada/x"]),
        row("e", 6, made=2),
    ]
    block = freed([tmp_path / "c"])  # what one file takes here
    assert picked() == "abe"
    assert picked(used=6) == "be"
    assert picked(made=2) == "be"
    assert picked(made=2, used=3) == "b"
    assert picked(keep=5 * block) == ""
    assert picked(keep=5 * block - 1) == "b"
    assert picked(keep=4 * block - 1) == "be"
    assert picked(keep=1) == "bea"
    assert picked(keep=1, made=4) == "be"


@pytest.fixture
def environments(tmp_path, monkeypatch):
    """`atoll environments` in this process: each of its own would take seconds to come up."""
    monkeypatch.setenv("ATOLL_DATA", str(tmp_path / "data"))

    def call(*words):
        ran = CliRunner().invoke(main, ["environments", *map(str, words)])
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    return call


@pytest.fixture
def atoll(tmp_path):
    def call(*words):
        ran = subprocess.run(
            [sys.executable, "-m", "atoll.cli", *map(str, words)],
            env={**os.environ, "ATOLL_DATA": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return call


def test_prune_makes_room_and_leaves_what_is_needed(atoll, environments, tmp_path):
    data = tmp_path / "data"
    make_repo(tmp_path / "tour", {"requirements.txt": "six==1.16.0\n"})
    assert json.loads(atoll("run", tmp_path / "tour", "--detach", "--json"))["name"] == "tour"
    atoll("stop", "tour")

    def prune(*words):
        words = words or ("--older-than", "0")
        return json.loads(environments("prune", "--json", *words))

    assert prune() == {"environments": [], "repositories": [], "freed": 0}  # all of today's

    for place in (*(data / "mirrors").iterdir(), *(data / "checkouts").iterdir()):
        os.utime(place, (LONG_AGO, LONG_AGO))
    [home] = (data / "volumes").glob("*/tour/home")
    home.rename(home.with_name("aside"))  # as if the server had not been started yet
    found = prune("--older-than", "0", "--dry-run")
    assert [Path(row["path"]).parent.name for row in found["repositories"]] == ["mirrors"]
    home.with_name("aside").rename(home)
    found = prune("--older-than", "0", "--dry-run")
    kinds = [Path(row["path"]).parent.name for row in found["repositories"]]
    assert (sorted(kinds), found["environments"]) == (["checkouts", "mirrors"], [])
    sizes = [row["bytes"] for row in found["repositories"]]
    assert max(sizes) < found["freed"] < sum(sizes)  # git links the one's objects to the other's
    assert prune() == found
    assert not any(Path(row["path"]).exists() for row in found["repositories"])

    atoll("remove", "tour", "--yes")
    cache, locks = data / "cache", data / "environments" / ".locks"
    [row] = json.loads(environments("list", "--json"))
    assert row["pinned"] is False
    assert row["key"] in environments("pin", tmp_path / "tour")
    assert prune("--keep", "1")["environments"] == []
    assert json.loads(environments("show", row["key"], "--json"))["pinned"] is True
    assert "* pinned: never pruned" in environments()
    environments("unpin", row["key"][:6])
    assert prune("--keep", "10G") == {"environments": [], "repositories": [], "freed": 0}
    assert prune("--built-before", "1")["environments"] == []
    with locked(locks / ".building.lock"):
        pruned = prune("--keep", "1K", "--cache")
        assert len(pruned["environments"]) == 1
        assert pruned["cache"] is False
        assert (cache / "uv").exists()
    said = environments("prune", "--cache")
    assert "0 removed" in said
    assert list(cache.iterdir()) == []
    assert [one for one in (data / "environments").iterdir() if one != locks] == []
    remove(data)
