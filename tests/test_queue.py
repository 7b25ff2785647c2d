"""Whoever waits, waits in order, sees where, and leaves no trace when they go."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atoll import queue as module
from atoll.errors import Busy
from atoll.queue import Bound, Place, Queue, about, ordinal

WIDTH = 2


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.005)
    monkeypatch.setattr(module, "QUIET", 0.0)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


class Guest:
    """Somebody who comes, waits, has a turn until told to go, or leaves before."""

    def __init__(self, queue: Queue, whose: str, turns: list | None = None) -> None:
        self.whose = whose
        self.turns = [] if turns is None else turns
        self.places: list[Place] = []
        self.inside = False
        self.finish = asyncio.Event()
        self.task = asyncio.create_task(self._go(queue))

    async def _go(self, queue):
        async with queue.turn(self.whose, self.places.append):
            self.inside = True
            self.turns.append(self)
            try:
                await self.finish.wait()
            finally:
                self.inside = False

    async def leave(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await settle()

    async def end(self):
        self.finish.set()
        await self.task
        await settle()


@asynccontextmanager
async def guests(queue, *names):
    found = [Guest(queue, name) for name in names]
    await settle()
    try:
        yield found
    finally:
        for one in found:
            await one.leave()


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("aaabcdef")),
        st.tuples(st.just("come"), st.sampled_from("aaabcdef")),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("room"), st.integers(0, 4)),
    ),
    min_size=20,
    max_size=60,
)


@settings(max_examples=300, deadline=None, phases=[Phase.generate])
@given(ACTIONS)
def test_whatever_happens_the_order_holds_and_no_room_is_lost(actions):
    asyncio.run(play(actions))


async def play(actions):
    most = 4
    queue = Queue(WIDTH, lambda inside: [Bound(most - inside, "It is full.")])
    there: list[Guest] = []
    turns: list[Guest] = []

    for what, which in actions:
        if what == "come":
            there.append(Guest(queue, which, turns))
            there[-1].came_after = list(turns)
            there[-1].alone = all(one.whose != which for one in there[:-1])
            there[-1].first = all(one.whose != which for one in (*there[:-1], *turns))
            await settle()
        elif what == "end" and (inside := [one for one in there if one.inside]):
            one = inside[which % len(inside)]
            there.remove(one)
            await one.end()
        elif what == "leave" and there:
            await there.pop(which % len(there)).leave()
        elif what == "room":
            most = which
            queue.look()
            await settle()
        waiting = [one for one in there if not one.inside]
        inside = [one for one in there if one.inside]
        # No room is wasted, and none is given that is not there.
        assert len(inside) <= WIDTH
        assert not waiting or len(inside) >= min(WIDTH, most)
        for one in waiting:
            later = [other for other in inside if there.index(other) > there.index(one)]
            # Of one party, and of all whose first it is, the first come are the first served.
            assert one.whose not in {other.whose for other in later}
            assert not (one.first and any(other.first for other in later))
            # Who asks for one thing waits for no party's third.
            since = Counter(other.whose for other in turns[len(one.came_after) :])
            assert not one.alone or max(since.values(), default=0) <= 2, since
    for one in there:
        await one.leave()
    assert not queue._waiting
    assert not queue._inside


async def test_who_asks_for_ten_things_holds_nobody_up():
    queue = Queue(1)
    async with guests(queue, *["greedy"] * 10, "ada", "bob") as everybody:
        served = []
        for _ in everybody:
            (one,) = [one for one in everybody if one.inside]
            served.append(one.whose)
            await one.end()
    assert served == ["greedy", "ada", "bob", *["greedy"] * 9]


async def test_who_waits_is_told_their_place_and_each_step_forward(quick):
    queue = Queue(1)
    async with guests(queue, "a", "b", "c") as (a, b, c):
        assert not a.places
        assert [str(one) for one in b.places] == ["You are next in line."]
        assert [str(one) for one in c.places] == ["You are 2nd in line."]
        await b.leave()
        await asyncio.sleep(0.05)
        assert str(c.places[-1]) == "You are next in line."
        await a.end()
        assert c.inside


async def test_an_estimate_comes_from_turns_that_were_measured(quick):
    queue = Queue(2)
    queue._took.extend([9, 10, 300])
    async with guests(queue, *"abcdef") as everybody:
        assert [one.places[0].seconds for one in everybody[2:]] == [15, 20, 25, 30]
        assert str(everybody[3].places[0]) == "You are 2nd in line; about 20 seconds."


async def test_a_turn_that_fails_or_is_given_up_is_not_measured(quick):
    queue = Queue(1)
    with pytest.raises(ZeroDivisionError):
        async with queue.turn("a", lambda _: None):
            _ = 1 / 0
    async with guests(queue, "a") as (a,):
        await a.leave()
    assert not queue._took
    assert not queue._inside


async def test_who_waits_for_more_than_others_is_told_why_and_is_promised_nothing(quick):
    room = 1
    queue = Queue(4, lambda inside: [Bound(room - inside, "It is full.")])
    queue._took.append(10)
    async with guests(queue, "a", "b") as (a, b):
        assert a.inside
        assert b.places == [Place(1, None, "It is full.")]
        assert str(b.places[0]) == "You are next in line. It is full."
        room = 2
        await asyncio.sleep(0.05)  # nobody says that there is room: it is looked for
        assert b.inside


async def test_only_those_for_whom_there_is_room_get_an_estimate(quick):
    queue = Queue(1, lambda inside: [Bound(3 - inside, "It is full.")])
    queue._took.append(10)
    async with guests(queue, *"abcd") as everybody:
        assert [one.places[0].seconds for one in everybody[1:]] == [20, 30, None]


async def test_patience_ends_with_a_word_about_what_to_do(quick):
    queue = Queue(1, patience=0.02)
    async with guests(queue, "a"):
        with pytest.raises(Busy, match="You have waited for 0 seconds") as said:
            async with queue.turn("b", lambda _: None):
                raise AssertionError
        assert "Try again later" in said.value.hint
        assert not queue._waiting


async def test_nobody_hears_the_same_twice_nor_too_much(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.005)
    queue = Queue(1)
    async with guests(queue, "a", "b", "c") as (_, b, c):
        await b.leave()
        await asyncio.sleep(0.05)
        assert len(c.places) == 1  # QUIET has not passed


async def test_nobody_looks_when_nobody_waits(quick):
    queue = Queue(1)
    async with guests(queue, "a", "b"):
        assert not queue._usher.done()
    await asyncio.sleep(0.05)
    assert queue._usher.done()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "about 5 seconds"),
        (22, "about 20 seconds"),
        (60, "about 1 minute"),
        (70, "about 70 seconds"),
        (200, "about 3 minutes"),
        (3600, "about 1 hour"),
        (7000, "about 2 hours"),
    ],
)
def test_nobody_is_told_more_exactly_than_anybody_knows(seconds, said):
    assert about(seconds) == said


def test_numbers_are_said_as_people_say_them():
    said = [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]


async def test_who_is_just_leaving_is_not_let_in():
    queue = Queue(1)
    async with guests(queue, "a", "b", "c") as (_, b, c):
        b.task.cancel()
        queue.width = 2
        queue.look()
        await settle()
        assert c.inside
