"""How many more servers may start, and what those hear who may not."""

from __future__ import annotations

import os

import pytest

from atoll.launching.room import LEAST, Room, party, queue_for
from atoll.servers import Memory
from atoll.settings.sections import ServerSettings

MB = 1024**2


def room(running=0, free=2**40, each=0, stop=None, **rules):
    return Room(ServerSettings(**rules), lambda: running, lambda: Memory(free, each), lambda: stop)


def rooms(found, starting=0):
    return [bound.room for bound in found.bounds(starting)]


def test_those_that_run_and_those_that_start_take_the_places():
    found = room(running=7, at_once=10, memory_free=0)
    assert rooms(found) == [3]
    assert rooms(found, starting=2) == [1]
    assert rooms(room(running=12, at_once=10, memory_free=0)) == [-2]  # the limit was lowered


def test_without_limits_nothing_bounds():
    assert rooms(room(memory_free=0)) == []


def test_memory_is_counted_on_what_servers_take_and_starting_ones_take_it_soon():
    found = room(free=1024 * MB, each=200 * MB, memory_free="512M")
    assert rooms(found) == [2]
    assert rooms(found, starting=2) == [0]
    assert rooms(room(free=100 * MB, memory_free="512M"))[0] < 0


@pytest.mark.parametrize(
    ("each", "rules", "expected"),
    [
        (0, {}, LEAST),  # nothing runs, or nobody knows
        (MB, {}, LEAST),  # idle ones grow as soon as somebody works there
        (300 * MB, {}, 300 * MB),
        (300 * MB, {"memory_expected": "1G"}, 1024 * MB),  # the operator knows better
    ],
)
def test_what_a_server_is_expected_to_take_is_measured_unless_the_operator_says(
    each, rules, expected
):
    free = 100 * 1024 * MB
    found = room(free=free, each=each, memory_free="1M", **rules)
    assert rooms(found) == [(free - MB) // expected]


def test_nobody_is_promised_what_nobody_knows():
    (full,) = room(running=2, at_once=2, memory_free=0).bounds(0)
    assert full.why == (
        "No more than 2 servers may run here at once; you go on when somebody's server stops. "
        "We cannot say when that is."
    )
    (known,) = room(running=2, at_once=2, memory_free=0, stop=700).bounds(0)
    assert known.why.endswith("The next one that nobody uses is stopped in about 12 minutes.")


def test_somebody_behind_others_hears_nothing_of_a_stop_that_is_not_theirs():
    (bound,) = room(running=1, at_once=2, memory_free=0, stop=700).bounds(0)
    assert bound.why.endswith("you go on when somebody's server stops.")


def test_starts_at_once_are_as_many_as_the_operator_or_the_processors_say():
    assert queue_for(room(starting=3)).width == 3
    assert queue_for(room()).width == 2 * len(os.sched_getaffinity(0))
    assert queue_for(room(wait="1h")).patience == 3600


def test_visitors_from_one_address_share_their_turns_and_persons_do_not():
    assert party("visitor-1a2b3c4d-0f0f0f0f0f0f") == party("visitor-1a2b3c4d-121212121212")
    assert party("visitor-1a2b3c4d-0f0f0f0f0f0f") != party("visitor-ffffffff-0f0f0f0f0f0f")
    assert party("ada-lovelace") == "ada-lovelace"
    assert party("ada-byron") != party("ada-lovelace")
