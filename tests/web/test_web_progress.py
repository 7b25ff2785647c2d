from __future__ import annotations

from atoll.events import Event
from atoll.web.progress import after, as_json, mark_of, steps

STORY = [
    Event("resolve", "Looking up x", at=100.0),
    Event("fetch", "Fetching", at=101.0),
    Event("fetch", "2 files", detail=True, at=101.5),
    Event("build", "Building", at=103.0),
    Event("build", "\x1b[32mline\x1b[0m", detail=True, at=104.0),
    Event("start", "Starting", at=110.0),
    Event("ready", "/user/ada/x/lab", at=111.5),
]


def states(events):
    return [(step.state, step.seconds) for step in steps(events)]


def test_a_phase_lasts_until_the_next_begins():
    assert states(STORY) == [("done", 1.0), ("done", 2.0), ("done", 7.0), ("done", 1.5)]


def test_the_newest_phase_goes_on():
    assert states(STORY[:4]) == [("done", 1.0), ("done", 2.0), ("now", None), ("waiting", None)]


def test_the_phase_that_failed_is_the_last_that_began():
    failed = [*STORY[:5], Event("failed", "No.", at=105.0)]
    assert states(failed) == [("done", 1.0), ("done", 2.0), ("failed", 2.0), ("waiting", None)]


def test_nothing_has_begun_yet():
    assert states([]) == [("waiting", None)] * 4


def test_a_line_of_the_log_does_not_become_the_sentence_of_its_phase():
    assert steps(STORY)[2].said == "Building"
    assert as_json(STORY[4], STORY[:5])["message"] == "line"


def test_where_the_server_is_does_not_stand_in_the_stream():
    assert as_json(STORY[-1], STORY)["message"] == ""


def test_a_reader_goes_on_where_it_stopped():
    mark = mark_of(STORY)
    assert after(f"{mark}-2", STORY) == 3
    assert after(f"{mark}-99", STORY) == len(STORY)
    assert after("", STORY) == 0


def test_a_reader_of_a_telling_before_a_restart_begins_anew():
    for odd in ("123-2", "x", f"{mark_of(STORY)}-x", f"{mark_of(STORY)}-{'9' * 5000}"):
        assert after(odd, STORY) == 0


def test_standing_in_line_is_the_first_part_of_the_start():
    waiting = [*STORY[:5], Event("start", "Starting", at=105.0), Event("wait", "2nd", at=106.0)]
    assert states(waiting)[-1] == ("now", None)
    assert steps(waiting)[-1].said == "2nd"
    over = [*waiting, Event("start", "Starting", at=120.0), Event("ready", "/", at=121.0)]
    assert states(over)[-2:] == [("done", 2.0), ("done", 16.0)]
