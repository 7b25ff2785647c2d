from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from atoll.web.texts import ago, clock, duration, size

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "2 kB"),
        (12_300_000, "12 MB"),
        (1_400_000_000, "1.4 GB"),
        (52e9, "52 GB"),
        (3e12, "3.0 TB"),
    ],
)
def test_sizes_are_round(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12.9, "12 s"), (185, "3 min 5 s"), (3725, "1 h 2 min")],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=90), "on 3 February 2026"),
        (timedelta(seconds=-5), "just now"),
    ],
)
def test_times_are_as_people_say_them(before, text):
    assert ago(NOW - before, NOW) == text
    assert ago((NOW - before).isoformat().replace("+00:00", "Z"), NOW) == text


def test_never_is_a_time_too():
    assert ago("", NOW) == "never"


def test_a_moment_is_told_by_the_clock_and_of_another_day_with_the_day():
    assert clock(NOW + timedelta(hours=2, minutes=5), NOW) == "14:05 UTC"
    assert clock(NOW + timedelta(hours=20), NOW) == "5 May, 08:00 UTC"
    east = timezone(timedelta(hours=9))
    assert clock(NOW.astimezone(east), NOW) == "12:00 UTC"
