"""What operators set and say, on both real databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atoll.access import HUB, Kind, Party
from atoll.acts import ATOLL
from atoll.allowances import Ruling
from atoll.errors import Changed
from atoll.messages import REMEMBERED, Level, message_from

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
ADA, MATHS = Party(Kind.PERSON, "ada"), Party(Kind.GROUP, "maths")


async def test_a_ruling_comes_back_is_replaced_and_taken_back(store):
    new = [
        Ruling(MATHS, "networks", ["none"], "boss", NOW),
        Ruling(ADA, "memory", 2**60, "boss", NOW),
        Ruling(ADA, "cpus", 0.5, "boss", NOW),
    ]
    await store.rulings.put(new)
    assert await store.rulings.all() == [new[0], new[2], new[1]]
    assert await store.rulings.of([ADA]) == [new[2], new[1]]
    assert await store.rulings.of([Party(Kind.GROUP, "ada"), Party(Kind.PERSON, "a\0")]) == []
    again = Ruling(ADA, "memory", 5, "eve", NOW + timedelta(1))
    await store.rulings.put([again, Ruling(ADA, "cpus", None, "eve"), Ruling(ADA, "x", None, "e")])
    assert await store.rulings.of([ADA]) == [again]
    await store.rulings.forget(ADA)
    assert await store.rulings.all() == [new[0]]


async def test_two_operators_who_set_different_things_at_once_lose_neither(store):
    names = [f"n{n}" for n in range(10)]
    await asyncio.gather(*(store.rulings.put([Ruling(ADA, one, 1, "b", NOW)]) for one in names))
    assert [one.name for one in await store.rulings.all()] == names


async def test_of_two_who_set_the_same_at_once_one_is_told(store):
    seen = []
    for n, value in enumerate([1, 2, None, 3]):  # made, changed, taken back, made again
        new = [Ruling(ADA, "cpus", value, by, NOW + timedelta(n)) for by in ("ann", "bea")]
        both = [[one, Ruling(ADA, f"n{n}", 1, one.by, NOW)] for one in new]
        done = await asyncio.gather(
            *(store.rulings.put(one, seen) for one in both), return_exceptions=True
        )
        assert sorted(map(type, done), key=str) == [type(None), Changed], done
        kept = await store.rulings.of([ADA])
        assert len({one.by for one in kept if one.at == NOW and one.name == f"n{n}"}) == 1
        seen = kept
    [last] = [one for one in seen if one.name == "cpus"]
    assert last.value == 3
    with pytest.raises(Changed):
        await store.rulings.put([replace(last, value=4)], [replace(last, at=NOW)])
    assert last in await store.rulings.of([ADA])


async def test_a_message_is_shown_until_it_ends_and_can_be_put_away(store):
    first = await store.messages.add(message_from("@", "é <b>", "boss", until="2h", now=NOW))
    second = await store.messages.add(
        message_from("ada/x", "two", "boss", level="warning", now=NOW)
    )
    assert first.number != second.number
    assert (second.whom, second.server, second.level) == (ADA, "ada/x", Level.WARNING)
    assert await store.messages.live(NOW) == [second, first]
    assert await store.messages.live(NOW + timedelta(hours=2)) == [second]
    for _ in range(2):
        await store.messages.dismiss(first.number, "ada")
    await store.messages.dismiss(999, "ada")
    assert set(await store.messages.dismissed("ada")) == {first.number}
    assert set(await store.messages.dismissed("bob")) == set()
    assert set(await store.messages.dismissed("a\0")) == set()
    ended = await store.messages.end(second.number, NOW)
    assert ended.until == NOW
    assert await store.messages.end(second.number, NOW) is None
    assert await store.messages.live(NOW) == [first]
    ours = await store.messages.add(message_from("ada", "ours", ATOLL, until="1h", now=NOW))
    assert await store.messages.end(ours.number, NOW) is None
    assert await store.messages.live(NOW) == [ours, first]


async def test_what_has_long_ended_is_forgotten_and_who_is_gone_too(store):
    old = await store.messages.add(message_from("@", "old", "boss", until="1h", now=NOW))
    await store.messages.dismiss(old.number, "ada")
    later = NOW + REMEMBERED + timedelta(hours=2)
    mine = await store.messages.add(message_from("ada", "mine", "boss", now=later))
    assert await store.messages.live(NOW) == [mine]
    assert set(await store.messages.dismissed("ada")) == set()
    everybodys = await store.messages.add(message_from("@", "all", "boss", now=later))
    await store.messages.dismiss(everybodys.number, "ada")
    await store.messages.forget(ADA)
    assert await store.messages.live(NOW) == [everybodys]
    assert set(await store.messages.dismissed("ada")) == set()
    assert everybodys.whom == HUB
