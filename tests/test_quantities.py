import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.quantities import parse_duration, parse_size


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
