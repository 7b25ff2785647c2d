"""What counters say becomes costs, whatever is restarted meanwhile."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.access import Kind, Party
from atoll.accounting.costs import Cost, Thing, counted, month, summed
from atoll.errors import BadRequest
from atoll.servers import Running, Usage

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADA = Party(Kind.PERSON, "ada")
SERVER = Running("h1", "ada", "x", START)


def look(before, cpu, memory, minutes, server=SERVER):
    at = START + timedelta(minutes=minutes)
    groups = {"ada": {"maths", "art"}}
    known = {one.handle: one for one in before}
    return counted(known, [(server, Usage(cpu, memory))], at, groups)


def test_a_server_counts_from_its_start_and_then_from_the_last_look():
    [first], readings = look([], 30.0, 100, 1)
    assert (first.cpu, first.memory, first.groups) == (30.0, 6000.0, ("art", "maths"))
    [second], readings = look(readings, 90.0, 50, 2)
    assert (second.cpu, second.memory) == (60.0, 3000.0)
    assert readings[0].cpus == 1.0


def test_a_service_that_was_away_loses_nothing_of_a_server_that_went_on():
    _, readings = look([], 30.0, 100, 1)
    [cost], _ = look(readings, 630.0, 100, 61)
    assert (cost.cpu, cost.memory) == (600.0, 100 * 3600.0)


def test_a_counter_that_went_back_and_a_new_server_of_that_name_count_from_nothing():
    _, readings = look([], 500.0, 100, 1)
    [cost], _ = look(readings, 20.0, 100, 2)
    assert cost.cpu == 20.0
    again = Running("h2", "ada", "x", START + timedelta(minutes=1, seconds=30))
    [cost], readings = look(readings, 20.0, 100, 2, again)
    assert (cost.cpu, cost.memory) == (20.0, 3000.0)
    assert [one.handle for one in readings] == ["h2"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 2**40)), min_size=1, max_size=20))
def test_however_often_one_looks_the_sum_is_what_the_counter_says(steps):
    readings, total, cpu = [], 0.0, 0.0
    for minute, (more, memory) in enumerate(steps, 1):
        cpu += more
        [cost], readings = look(readings, cpu, memory, minute)
        total += cost.cpu
        assert cost.cpu >= 0
        assert cost.memory >= 0
    assert total == pytest.approx(cpu)


def test_months_begin_and_end_where_they_do():
    assert month("2026-02") == (date(2026, 2, 1), date(2026, 2, 28))
    assert month("2024-02")[1].day == 29
    assert month("2026-12") == (date(2026, 12, 1), date(2026, 12, 31))
    first, last = month("")
    assert first.day == 1
    assert first <= datetime.now(UTC).date() <= last
    for text in ("x", "2026", "2026-13", "2026-1", "26-01", "2026-01-01", "²"):
        with pytest.raises(BadRequest, match="no month"):
            month(text)


def test_sums_by_group_are_by_the_groups_of_each_day():
    day = date(2026, 11, 22)
    costs = [
        Cost(day, Thing.SERVER, ADA, "x", 3600, groups=("maths",)),
        Cost(day + timedelta(1), Thing.SERVER, ADA, "x", 7200, groups=("art",)),
    ]
    rows = {row["who"]: row["cpu_hours"] for row in summed(costs, Kind.GROUP)}
    assert rows == {"@maths": 1, "@art": 2}
    assert [row["who"] for row in summed(costs, Kind.GROUP)] == ["@art", "@maths"]
    [row] = summed(costs, Kind.PERSON)
    assert (row["who"], row["cpu_hours"]) == ("ada", 3)
