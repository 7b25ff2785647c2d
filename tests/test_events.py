"""Stories, which keep what is told and cannot be made to keep everything."""

from __future__ import annotations

from atoll import events
from atoll.events import Event, Story


def test_a_story_keeps_so_much_of_a_log_and_every_sentence(monkeypatch):
    monkeypatch.setattr(events, "LONGEST", 100 * events.LINE)
    story = Story()
    for number in range(1000):
        story.tell(Event("build", f"line {number}", detail=True))
    story.tell(Event("build", "Built"))
    told = [event.message for event in story.events]
    assert told[0] == "line 0"
    assert told[-2:] == [events.LEFT_OUT, "Built"]
    assert len(told) < 110


def test_long_lines_count_for_what_they_are(monkeypatch):
    monkeypatch.setattr(events, "LONGEST", 10_000)
    story = Story()
    for _ in range(50):
        story.tell(Event("build", "x" * 3000, detail=True))
    assert sum(len(event.message) for event in story.events) < 10_000
