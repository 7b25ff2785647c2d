"""`atoll --hub … admin`: an operator's commands on a hub, the same as on its machine."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from atoll.access import Kind, Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import Act
from support.hub_stand_in import ACCESS
from support.web_service import REPO

HOSTILE = "\x1b[2J[red]x[/red]"


@pytest.fixture
def boss(there, monkeypatch):
    """Ada's commands, who is an operator there; bob has a server, and has cost something."""
    there.service.hub.users["ada"]["admin"] = True
    there.token = there.service.hub.token_of("ada", ACCESS, "admin:servers")
    monkeypatch.setenv("ATOLL_TOKEN", there.token)
    bob = {"ATOLL_TOKEN": there.service.hub.token_of("bob")}
    there("run", REPO, "--no-browser", "--name", "thesis", env=bob)
    there("volumes", "make", "data", env=bob)
    now, store = datetime.now(UTC), there.service.store
    cost = Cost(now.date(), Thing.SERVER, Party(Kind.PERSON, "bob"), "thesis", 7200, 0, 2**30)
    reading = Reading("h", "bob", "thesis", now, now, 1, 2 * 10**9, 1.25)
    store.costs.kept[cost.day, cost.thing, cost.owner, cost.name] = cost
    store.costs.read.append(reading)
    return there


def stored(ran):
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("words", "view"),
    [
        (["people"], "people"),
        (["servers"], "servers"),
        (["costs", "--by", "group"], "costs?by=group"),
        (["log"], "log"),
        (["limits"], "limits"),
        (["limits", "bob"], "limits?of=bob"),
        (["messages"], "messages"),
    ],
)
def test_what_is_seen_is_all_that_the_hub_tells(boss, words, view):
    boss("admin", "limits", "@maths", "--memory", "1G")
    boss("admin", "message", "@", "Down at six.", "--until", "2h", "--level", "warning")
    headers = {"Authorization": f"Bearer {boss.token}"}
    url = f"{boss.address}services/atoll/api/admin/{view}"
    rows = httpx2.get(url, headers=headers).json()
    assert rows
    told = stored(boss("admin", *words, "--json"))
    assert told == (rows[::-1] if view == "log" else rows)
    table = boss("admin", *words).stdout
    assert {"log": "set limits", "limits": "@maths", "messages": "Down at six."}.get(
        view, "bob" if view in {"people", "servers"} else ""
    ) in table


def test_what_an_operator_does_is_done_there_and_written_down_as_theirs(boss):
    assert stored(boss("admin", "stop", "bob/thesis", "--json")) == {"stopped": ["thesis"]}
    assert "bob has none running" in boss("admin", "stop", "bob").stdout
    assert boss("admin", "stop", "bob/thesis", check=False).exit_code == 4
    assert boss("admin", "stop", "bob/", check=False).exit_code == 2
    boss("admin", "limits", "bob", "--memory", "1G", "--per-person", "3")
    boss("admin", "limits", "bob", "--memory", "")
    [row] = stored(boss("admin", "limits", "--json"))
    assert (row["whom"], row["name"], row["value"], row["by"]) == ("bob", "per_person", "3", "ada")
    said = boss("admin", "message", "bob", "It eats all.").stdout
    assert f"atoll --hub {boss.address} admin take-back 1" in said
    assert "is shown no more" in boss("admin", "take-back", "1").stdout
    assert boss("admin", "take-back", "1", check=False).exit_code == 4
    acts = [one for one in boss.service.store.acts.kept if one.who == "ada"]
    assert {one.way.value for one in acts} == {"program"}
    assert [one.deed for one in acts if one.what.startswith("bob")] == [
        *["stop"] * 3,
        *["set limits"] * 2,
        "write a message",
    ]


def test_she_sees_as_somebody_else_does_and_he_is_told(boss):
    seen = stored(boss("admin", "see-as", "bob", "--json"))
    assert [one["name"] for one in seen["servers"]] == ["thesis"]
    text = boss("admin", "see-as", "bob").stdout
    assert text.startswith("bob is told that you have looked.")
    for word in ("thesis  running", "data", "per_person", "everybody, atoll.toml"):
        assert word in text
    boss.service.hub.add("carl")
    text = boss("admin", "see-as", "carl").stdout
    assert "carl has no servers.\n\ncarl has no volumes." in text
    told = [one.text for one in boss.service.store.messages.kept.values()]
    assert len(told) == 3
    assert all(one.startswith("ada, an operator of this hub, looked at") for one in told)


def test_a_long_log_is_told_whole_and_no_longer_than_one_asks(boss):
    book = boss.service.store.acts.kept
    book[:] = [Act("ada", "stop", "server", f"bob/x{n}") for n in range(250)]
    assert len(stored(boss("admin", "log", "--limit", "1000", "--json"))) == 250
    rows = stored(boss("admin", "log", "--limit", "120", "--what", "stop", "--json"))
    assert [row["what"] for row in rows] == [f"bob/x{n}" for n in range(130, 250)]
    book[0] = replace(book[0], at=datetime(2020, 1, 1, tzinfo=UTC))
    rows = stored(boss("admin", "log", "--limit", "1000", "--since", "1h", "--json"))
    assert len(rows) == 249


def test_what_it_tells_gives_a_terminal_no_orders(boss):
    boss.service.store.acts.kept.append(Act("eve", "stop", "server", HOSTILE))
    boss.service.hub.add(HOSTILE)
    for words in (("log",), ("people",)):
        out = boss("admin", *words).stdout
        assert "\x1b" not in out
        assert "[red]x[/red]" in out


def test_who_is_no_operator_there_is_told_so(boss):
    bob = {"ATOLL_TOKEN": boss.service.hub.token_of("bob", ACCESS, "admin:servers")}
    little = {"ATOLL_TOKEN": boss.service.hub.token_of("ada")}
    for words in (("people",), ("stop", "ada"), ("limits", "@x", "--cpus", "1"), ("see-as", "bob")):
        ran = boss("admin", *words, env=bob, check=False)
        assert (ran.exit_code, "Only an operator may" in ran.stderr) == (3, True), words
        ran = boss("admin", *words, env=little, check=False)
        assert (ran.exit_code, "This token may not" in ran.stderr) == (3, True), words
    assert boss.service.store.rulings.kept == {}
