"""Progress: what the events of a launch look like on its page. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atoll.events import Event
from atoll.plain import plain

STEPS = (
    ("resolve", "Find the version"),
    ("fetch", "Fetch the files"),
    ("build", "Make the environment"),
    ("start", "Start the server"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One phase: ``state`` is waiting, now, done or failed.

    ``seconds`` is how long it took, or ``None`` while it goes on; ``began`` is in seconds since
    the epoch, 0 before it began; ``said`` is its newest sentence.
    """

    phase: str
    title: str
    state: str = "waiting"
    began: float = 0.0
    seconds: float | None = None
    said: str = ""


def steps(events: Sequence[Event]) -> list[Step]:
    """Return all phases as *events* tell them."""
    firsts: dict[str, float] = {}
    said: dict[str, str] = {}
    for event in events:
        phase = "start" if event.phase == "wait" else event.phase  # whose first part it is
        firsts.setdefault(phase, event.at)
        if not event.detail:
            said[phase] = plain(event.message)
    names = [phase for phase, _ in STEPS]
    last = max((names.index(p) for p in firsts if p in names), default=-1)
    over = firsts.get("ready") or firsts.get("failed")
    return [
        _step(number, phase, title, firsts=firsts, said=said, last=last, over=over)
        for number, (phase, title) in enumerate(STEPS)
    ]


def _step(
    number: int,
    phase: str,
    title: str,
    *,
    firsts: dict[str, float],
    said: dict[str, str],
    last: int,
    over: float | None,
) -> Step:
    began = firsts.get(phase, 0.0)
    if not began:
        return Step(phase, title)
    later = [firsts[name] for name, _ in STEPS[number + 1 :] if name in firsts]
    end = min(later, default=over)
    state = "now" if end is None else "done"
    if number == last and "failed" in firsts:
        state = "failed"
    seconds = None if end is None else max(0.0, end - began)
    return Step(phase, title, state, began, seconds, said.get(phase, ""))


def shown_events(events: Sequence[Event]) -> list[Event]:
    """Return the lines of the log: everything but the last word, which the page says itself."""
    return [event for event in events if event.phase not in {"ready", "failed"}]


def as_json(event: Event, events: Sequence[Event]) -> dict[str, Any]:
    """Return what the page's script needs of *event*, the last one of *events*."""
    told: dict[str, Any] = {
        "phase": event.phase,
        "message": plain(event.message) if event.phase != "ready" else "",
        "detail": event.detail,
        "at": event.at,
    }
    new_phase = len(events) < 2 or events[-2].phase != event.phase  # noqa: PLR2004
    if new_phase or not event.detail:
        told["steps"] = [asdict(step) for step in steps(events)]
    return told


def mark_of(events: Sequence[Event]) -> str:
    """Return what tells this telling of a launch from one before a restart of the service."""
    return f"{int(events[0].at * 1000):x}" if events else "0"


def after(last_event_id: str, events: Sequence[Event]) -> int:
    """Return the number of the first event that a reader with *last_event_id* has not seen."""
    mark, _, number = last_event_id.partition("-")
    known = mark == mark_of(events) and number.isdecimal() and len(number) < 10  # noqa: PLR2004
    return min(int(number) + 1, len(events)) if known else 0
