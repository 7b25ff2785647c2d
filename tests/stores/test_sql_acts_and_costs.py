"""Acts and costs, on both real databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from atoll.access import HUB, Kind, Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import HIDDEN, Act, Search, Way

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
DAY = date(2026, 11, 22)
ADA = Party(Kind.PERSON, "ada")
ACT = Act("ada", "stop", "server", "bob/x", "bob/x", Way.PROGRAM, "2001:db8::1", {"why": "é"}, NOON)
COST = Cost(DAY, Thing.SERVER, ADA, "x", 10.0, 100.0, None, ("maths",))


async def found(store, **search):
    return [act for _, act in await store.acts.find(Search(**search))]


async def test_an_act_comes_back_and_is_found_by_who_did_it_and_whose_it_was(store):
    await store.acts.add(ACT)
    await store.acts.add(replace(ACT, who="carl", deed="launch", what="r", server="dora/y"))
    for search in ({"who": "ada"}, {"who": "bob"}, {"what": "STOP"}, {"what": "ob/x"}):
        assert await found(store, **search) == [ACT]
    for search in ({"who": "bo"}, {"who": "b_b"}, {"what": "%"}, {"what": "st_p"}, {"who": "a\0"}):
        assert await found(store, **search) == []
    assert [one.who for one in await found(store, who="dora")] == ["carl"]
    assert await found(store, since=NOON + timedelta(seconds=1)) == []


async def test_acts_come_in_pages_and_only_the_old_are_forgotten(store):
    for n in range(5):
        await store.acts.add(replace(ACT, deed=f"d{n}", at=NOON + timedelta(days=n)))
    first = await store.acts.find(Search(limit=2))
    assert [act.deed for _, act in first] == ["d4", "d3"]
    assert [one.deed for one in await found(store, before=first[-1][0], limit=2)] == ["d2", "d1"]
    assert [one.deed for one in await found(store, after=first[-1][0])] == ["d4"]
    await store.acts.prune(NOON + timedelta(days=3))
    assert [one.deed for one in await found(store)] == ["d4", "d3"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://ada:s3cret@git.example.org/x", f"https://{HIDDEN}@git.example.org/x"),
        ("https://hub/x?token=s3cret&a=1", f"https://hub/x?token={HIDDEN}&a=1"),
        ("a\0b\x1b[31m\nc", "a b [31m c"),
        ("\ud800x", " x"),
        (f"https://{'s3cret' * 1000}@x/y", f"https://{HIDDEN}@x/y"),
        ("x" * 10**6, "x" * 499 + "…"),
    ],
)
async def test_nothing_secret_or_endless_is_kept(store, typed, kept):
    detail = {str(n): typed for n in range(50)}
    await store.acts.add(Act(typed, typed, typed, typed, typed, address=typed, detail=detail))
    [act] = await found(store)
    assert {act.who, act.deed, act.kind, act.what, act.server} == {kept}
    assert len(act.detail) == 10
    assert "s3cret" not in repr(act)
    assert len(repr(act)) < 6000


async def test_costs_of_one_day_are_added_and_disk_is_replaced(store):
    await store.costs.add([COST])
    await store.costs.add([replace(COST, groups=("physics",))])
    await store.costs.add([replace(COST, cpu=0, memory=0, disk=7 * 10**12)])
    await store.costs.add([replace(COST, cpu=0, memory=0, disk=5), replace(COST, owner=HUB)])
    whole = replace(COST, cpu=20.0, memory=200.0, disk=5)
    assert await store.costs.between(DAY, DAY) == [replace(COST, owner=HUB), whole]
    assert await store.costs.between(DAY + timedelta(1), DAY + timedelta(9)) == []
    await store.costs.prune(DAY + timedelta(1))
    assert await store.costs.between(DAY, DAY) == []


async def test_readings_and_what_they_came_to_are_kept_together_or_not_at_all(store):
    reading = Reading("h1", "ada", "x", NOON, NOON, 12.5, 2**40, 0.5)
    await store.costs.add([COST], [reading])
    assert await store.costs.readings() == [reading]
    with pytest.raises(Exception, match=r"(?i)null"):
        await store.costs.add([replace(COST, cpu=None)], [replace(reading, handle="h2")])
    assert await store.costs.readings() == [reading]
    assert await store.costs.between(DAY, DAY) == [COST]
    await store.costs.add([COST])
    assert await store.costs.readings() == [reading]
    await store.costs.add([], [])
    assert await store.costs.readings() == []


async def test_many_who_write_at_once_lose_nothing(store):
    await asyncio.gather(
        *(store.acts.add(ACT) for _ in range(10)), *(store.costs.add([COST]) for _ in range(10))
    )
    assert len(await found(store)) == 10
    [cost] = await store.costs.between(DAY, DAY)
    assert (cost.cpu, cost.memory) == (100.0, 1000.0)
