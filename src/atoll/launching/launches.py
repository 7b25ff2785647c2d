"""Launches: one launch as it is remembered, where that is, and what is told of it at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atoll.accounting import LaunchRecord
from atoll.events import Event
from atoll.launching.changes import Change
from atoll.launching.requests import Clock, LaunchRequest
from atoll.sources import written
from atoll.volumes.renewal import NOTHING, Renewal


class State(StrEnum):
    """How far a launch has come."""

    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ASKING = "asking"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self in {State.READY, State.FAILED, State.CANCELLED, State.ASKING}


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch, as it is remembered.

    ``facts`` holds what the records need from whoever asked: ``provider``, ``spec``, ``origin``,
    ``request_origin``; and the ``address`` and ``way`` of acts. ``ref`` is the content's version,
    ``environment_ref`` that of a pair's environment, ``proposal`` a ``requirements.txt`` that could
    have been taken. ``error`` and ``hint`` say why it failed, ``log`` which build's log tells more.
    ``url`` is where the person goes once it is ready. ``changes`` are how their server ``name``
    differs, if they are asked, and ``renewal`` is what would become of its files. ``title`` is the
    server's, if it has one.
    """

    id: str
    request: LaunchRequest
    made: datetime
    state: State = State.PREPARING
    plan: str = ""
    name: str = ""
    ref: str = ""
    key: str = ""
    cached: bool = False
    url: str = ""
    error: str = ""
    error_name: str = ""
    hint: str = ""
    log: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    environment_ref: str = ""
    proposal: str = ""
    changes: tuple[Change, ...] = ()
    renewal: Renewal = NOTHING
    title: str = ""

    @property
    def called(self) -> str:
        """What people know its server by, "" as long as it has no name."""
        return self.title or self.request.title or self.name


class Launches(Protocol):
    """Where launches are remembered."""

    async def put(self, launch: Launch) -> None:
        """Remember *launch*, replacing what its id named before."""
        ...

    async def get(self, launch_id: str) -> Launch | None:
        """Return it, if it was ever put."""
        ...

    async def unfinished(self) -> list[Launch]:
        """Return every launch that is not over, oldest first."""
        ...

    async def newest(self, person: str, *, limit: int = 20) -> list[Launch]:
        """Return *person*'s newest launches."""
        ...


def original(launch: Launch) -> Mapping[str, str]:
    """Return what an act says of what *launch* copies, if it copies something."""
    copied = launch.request.copied
    return {"copy of": f"{copied.owner}/{copied.server}"} if copied else {}


def ending(launch: Launch) -> Event:
    """Return the last word of *launch*, which is over."""
    if launch.state is State.READY:
        return Event("ready", launch.url)
    return Event("failed", launch.error or "The service was restarted.")


def seconds(clock: Clock, events: Sequence[Event]) -> Mapping[str, float]:
    """Return how long each phase took; standing in line is no part of the start."""
    waits = [number for number, event in enumerate(events) if event.phase == "wait"]
    if not waits or "start" not in clock.seconds:
        return clock.seconds
    after = events[waits[-1] + 1 :]
    wait = round((after[0].at if after else time.time()) - events[waits[0]].at, 3)
    return {**clock.seconds, "wait": wait, "start": round(clock.seconds["start"] - wait, 3)}


def record(launch: Launch, seconds: Mapping[str, float]) -> LaunchRecord:
    """Return the launch record of *launch*, which is over and took so many *seconds* by phase."""
    request, facts = launch.request, launch.facts
    return LaunchRecord(
        id=launch.id,
        at=launch.made,
        person=request.person.name,
        reference=request.typed or written(request.repo, request.environment),
        provider=facts.get("provider", "Git"),
        spec=facts.get("spec", str(request.repo)),
        status="success" if launch.state is State.READY else launch.state.value,
        ref=launch.ref,
        environment=str(request.environment or ""),
        environment_ref=launch.environment_ref,
        key=launch.key,
        cached=launch.cached,
        seconds=seconds,
        error=launch.error,
        origin=facts.get("origin", ""),
        request_origin=facts.get("request_origin", ""),
    )
