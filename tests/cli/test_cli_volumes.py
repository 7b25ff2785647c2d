"""`atoll volumes`, as a person at a terminal uses it, without any server."""

import getpass
import json

import pytest
from click.testing import CliRunner

from atoll.cli import main

ME = getpass.getuser()


@pytest.fixture
def atoll(tmp_path):
    """Return what runs a command in this process; each opens the store anew."""
    runner = CliRunner(env={"ATOLL_DATA": str(tmp_path / "data")})

    def call(*words, check=True):
        ran = runner.invoke(main, words)
        if check:
            assert ran.exit_code == 0, ran.stderr
        return ran

    return call


def test_a_volume_from_its_making_to_its_end(atoll):
    assert "make NAME" in atoll("volumes").stdout
    made = json.loads(atoll("volumes", "make", "x", "--quota", "5G", "--json").stdout)
    assert (made["volume"], made["owner"], made["quota"]) == ("x", ME, 5 * 1024**3)
    atoll("volumes", "change", "x", "--description", "mine")
    assert "grace may read x" in atoll("volumes", "share", "x", "grace").stdout
    atoll("volumes", "share", "x", "@maths", "--write")
    copy = json.loads(atoll("volumes", "snapshot", "x", "old", "--json").stdout)
    assert copy["snapshot"]
    assert copy["shares_blocks"] in {True, False}
    rows = {one["volume"]: one for one in json.loads(atoll("volumes", "list", "--json").stdout)}
    assert set(rows) == {"x", "old"}
    assert rows["x"]["shares"] == [
        {"whom": "@maths", "write": True},
        {"whom": "grace", "write": False},
    ]
    table = atoll("volumes").stdout
    assert "@maths (write), grace" in table
    assert "snapshot; mine" in table
    atoll("volumes", "unshare", "x", "grace")
    assert "restore x" in atoll("volumes", "delete", "x").stdout
    assert "deleted, can be restored" in atoll("volumes").stdout
    atoll("volumes", "restore", "x")
    atoll("volumes", "delete", "x", "--now", "--yes")
    given = json.loads(atoll("volumes", "hand-over", "old", "grace", "--yes", "--json").stdout)
    assert given["volume"] == "grace/old"
    assert json.loads(atoll("volumes", "list", "--json").stdout) == []
    everybodys = json.loads(atoll("volumes", "list", "--all", "--json").stdout)
    assert [one["volume"] for one in everybodys] == ["grace/old"]


def test_what_cannot_be_is_said_before_anything_is_fetched(atoll):
    nowhere = "https://git.example.org/nobody/nothing"
    for words, said in {
        ("-v", "thesis:data"): "There is no volume “thesis”",
        ("-v", "ada/thesis"): "There is no volume “ada/thesis”",
        ("-v", "x:../y"): "“../y” cannot be a mount point",
        ("-v", "x:/etc"): "“/etc” cannot be a mount point",
        ("-v", "x:a", "-v", "x:a/b"): "one is inside the other",
        ("-v", "a:b:c:d"): "not a volume and where to mount it",
        ("-v", "x", "--no-volumes"): "It has volumes, or none",
    }.items():
        ran = atoll("run", nowhere, *words, check=False)
        assert said in ran.stderr
        assert ran.exit_code in {2, 4}
    answer = atoll("volumes", "delete", "x", "--json", check=False)
    assert json.loads(answer.stdout)["exit_code"] == 4
