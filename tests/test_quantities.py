import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.quantities import moment_or_span, parse_duration, parse_size, written_duration


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), (7, 7), ("2G", 2 * 1024**3), ("1.5 MiB", 1536 * 1024), ("3kb", 3072)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_sizes(text):
    with contextlib.suppress(ValueError):
        assert parse_size(text) > 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), (90, 90), (1e-5, 1e-5), ("30m", 1800), ("1.5 h", 5400), ("2d", 172800), ("0", 0)],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@given(st.text() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_nothing_breaks_the_reading_of_durations(text):
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) < float("inf")


@pytest.mark.parametrize("text", ["8h", "90m", "45s", "1234567s", "0.5s"])
def test_durations_are_written_as_they_are_read(text):
    assert written_duration(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T18:00", datetime(2026, 11, 22, 18, tzinfo=UTC)),
        ("2026-11-22T18:00+02:00", datetime(2026, 11, 22, 16, tzinfo=UTC)),
        ("2h", timedelta(hours=2)),
    ],
)
def test_a_moment_is_of_the_time_zone_that_it_says(text, meant):
    assert moment_or_span(text) == meant


@pytest.mark.parametrize("text", ["soon", "", "9999999999999d", "0001-01-01T00:00+14:00"])
def test_what_is_neither_a_moment_nor_a_duration_is_refused(text):
    with pytest.raises(ValueError, match="“"):
        moment_or_span(text)
