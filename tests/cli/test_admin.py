"""`atoll admin` at a terminal: what it says without a hub, and what of commands is written down."""

from __future__ import annotations

import asyncio
import getpass
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from atoll.access import Kind, Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import Act
from atoll.cli import main
from atoll.settings import settings_from
from atoll.stores.sql import open_store

ME = getpass.getuser()


@pytest.fixture
def atoll(tmp_path):
    runner = CliRunner(env={"ATOLL_DATA": str(tmp_path / "data")})

    def call(*words, check=True):
        ran = runner.invoke(main, words)
        if check:
            assert ran.exit_code == 0, ran.output
        return ran

    return call


@pytest.fixture
def filled(tmp_path):
    """Put two acts, a cost and a reading into the store."""
    now = datetime.now(UTC)

    async def put():
        store = open_store(settings_from({"data": str(tmp_path / "data")}))
        await store.open()
        await store.acts.add(Act("ada", "stop", "server", "bob/x", "bob/x", address="192.0.2.7"))
        await store.acts.add(Act("carl", "launch", "launch", "gh:x/y"))
        cost = Cost(
            now.date(), Thing.SERVER, Party(Kind.PERSON, "bob"), "x", 7200, 0, 2**30, ("m",)
        )
        await store.costs.add([cost], [Reading("h", "bob", "x", now, now, 1, 2 * 10**9, 1.25)])
        await store.close()

    asyncio.run(put())


def test_servers_and_costs_are_tables_and_json(atoll, filled):
    assert "bob/x" in atoll("admin", "servers").stdout
    [row] = json.loads(atoll("admin", "servers", "--json").stdout)
    assert (row["server"], row["cpus"], row["memory"]) == ("bob/x", 1.25, 2 * 10**9)
    assert "2.00" in atoll("admin", "costs").stdout
    [row] = json.loads(atoll("admin", "costs", "--by", "group", "--json").stdout)
    assert (row["who"], row["cpu_hours"], row["server_gib_days"]) == ("@m", 2, 1)
    assert "Nothing was used" in atoll("admin", "costs", "--month", "2020-01").stdout
    assert atoll("admin", "costs", "--month", "x", check=False).exit_code == 2


def test_the_log_is_searched_and_says_the_newest_last(atoll, filled):
    lines = atoll("admin", "log").stdout.splitlines()
    assert [("ada: stop" in lines[0], "carl: launch" in lines[1])] == [(True, True)]
    assert "192.0.2.7" in lines[0]
    for words in (("--who", "bob"), ("--what", "stop"), ("--who", "ada", "--since", "1h")):
        [row] = json.loads(atoll("admin", "log", *words, "--json").stdout)
        assert row["what"] == "bob/x"
    assert atoll("admin", "log", "--who", "nobody").stdout == ""
    assert atoll("admin", "log", "--since", "soon", check=False).exit_code == 2


def test_what_commands_do_is_written_down(atoll, tmp_path):
    atoll("volumes", "make", "x", "--quota", "1G")
    atoll("volumes", "share", "x", "grace", "--write")
    atoll("volumes", "list")
    atoll("volumes", "hand-over", "x", "grace", "--yes")
    atoll("backup", str(tmp_path / "b.tar"))
    rows = json.loads(atoll("admin", "log", "--json").stdout)
    assert [(row["who"], row["way"], row["deed"], row["what"]) for row in rows] == [
        (ME, "command", "make", f"{ME}/x"),
        (ME, "command", "share", f"{ME}/x"),
        (ME, "command", "hand over", "grace/x"),
        (ME, "command", "back up", str(tmp_path / "b.tar")),
    ]
    assert rows[1]["detail"] == {"whom": "grace", "write": "True"}


def test_what_needs_the_hub_says_so_where_there_is_none(atoll, filled):
    for words in (("people",), ("stop", "bob/x")):
        ran = atoll("admin", *words, check=False)
        assert ran.exit_code == 6
        assert "JupyterHub does not answer" in ran.stderr
    for server in ("", "/x", "bob/"):
        assert atoll("admin", "stop", server, check=False).exit_code == 2


def test_limits_are_set_seen_and_taken_back(atoll):
    assert "Nothing is set" in atoll("admin", "limits").stdout
    rows = json.loads(
        atoll("admin", "limits", "@maths", "--memory", "8G", "--per-person", "3", "--json").stdout
    )
    assert [(row["whom"], row["name"], row["value"], row["by"]) for row in rows] == [
        ("@maths", "memory", "8G", ME),
        ("@maths", "per_person", "3", ME),
    ]
    assert "per_person" in atoll("admin", "limits").stdout
    atoll("admin", "limits", "@maths", "--per-person", "")
    [row] = json.loads(atoll("admin", "limits", "--json").stdout)
    assert row["name"] == "memory"
    for words in (("@maths", "--memory", "much"), ("@", "--memory", "1G"), ("--memory", "1G")):
        assert atoll("admin", "limits", *words, check=False).exit_code == 2
    found = json.loads(atoll("admin", "limits", "@maths", "--json").stdout)
    said = {row["name"]: (row["value"], row["source"]) for row in found}
    assert said["memory"] == ("8G", f"set for @maths by {ME}")
    assert said["volume_quota"] == ("10G", "everybody, atoll.toml")
    deeds = [row["deed"] for row in json.loads(atoll("admin", "log", "--json").stdout)]
    assert deeds == ["set limits", "set limits"]


def test_messages_are_written_seen_and_taken_back(atoll):
    atoll("admin", "message", "@", "Down at [red]six[/red].", "--until", "2h", "--level", "warning")
    assert "Down at [red]six[/red]." in atoll("admin", "messages").stdout
    [row] = json.loads(atoll("admin", "messages", "--json").stdout)
    assert (row["whom"], row["level"], row["by"]) == ("@", "warning", ME)
    assert "is shown no more" in atoll("admin", "take-back", str(row["number"])).stdout
    assert json.loads(atoll("admin", "messages", "--json").stdout) == []
    assert atoll("admin", "take-back", "7", check=False).exit_code != 0
    assert atoll("admin", "message", "@", "x", "--until", "never", check=False).exit_code == 2
    rows = json.loads(atoll("admin", "log", "--json").stdout)
    assert [row["deed"] for row in rows][:2] == ["write a message", "take a message back"]
    assert rows[0]["what"] == "everybody"
