"""`atoll environments prune`, as an operator uses it: the real command."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atoll.disk import locked, remove
from support.gitservers import make_repo

LONG_AGO = time.time() - 100 * 24 * 3600


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


def test_prune_makes_room_and_leaves_what_is_needed(atoll, tmp_path):
    data = tmp_path / "data"
    make_repo(tmp_path / "tour", {"requirements.txt": "six==1.16.0\n"})
    assert json.loads(atoll("run", tmp_path / "tour", "--detach", "--json"))["name"] == "tour"
    atoll("stop", "tour")

    def prune(*words):
        return json.loads(atoll("environments", "prune", "--older-than", "0", "--json", *words))

    assert prune() == {"environments": [], "repositories": [], "freed": 0}  # all of today's

    for place in (*(data / "mirrors").iterdir(), *(data / "checkouts").iterdir()):
        os.utime(place, (LONG_AGO, LONG_AGO))
    [home] = (data / "volumes").glob("*/tour/home")
    home.rename(home.with_name("aside"))  # as if the server had not been started yet
    found = prune("--dry-run")
    assert [Path(row["path"]).parent.name for row in found["repositories"]] == ["mirrors"]
    home.with_name("aside").rename(home)
    found = prune("--dry-run")
    kinds = [Path(row["path"]).parent.name for row in found["repositories"]]
    assert (sorted(kinds), found["environments"]) == (["checkouts", "mirrors"], [])
    sizes = [row["bytes"] for row in found["repositories"]]
    assert max(sizes) < found["freed"] < sum(sizes)  # git links the one's objects to the other's
    assert prune() == found
    assert not any(Path(row["path"]).exists() for row in found["repositories"])

    atoll("remove", "tour", "--yes")
    cache, locks = data / "cache", data / "environments" / ".locks"
    [row] = json.loads(atoll("environments", "list", "--json"))
    assert row["pinned"] is False
    assert row["key"] in atoll("environments", "pin", tmp_path / "tour")
    assert prune()["environments"] == []
    assert json.loads(atoll("environments", "show", row["key"], "--json"))["pinned"] is True
    assert "* pinned: never pruned" in atoll("environments")
    atoll("environments", "unpin", row["key"][:6])
    with locked(locks / ".building.lock"):
        pruned = prune("--cache")
        assert len(pruned["environments"]) == 1
        assert pruned["cache"] is False
        assert (cache / "uv").exists()
    said = atoll("environments", "prune", "--cache")
    assert "0 removed" in said
    assert list(cache.iterdir()) == []
    assert [one for one in (data / "environments").iterdir() if one != locks] == []
    remove(data)
