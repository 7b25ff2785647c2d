"""Changes: how a server that somebody has already differs from the one they ask for. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from atoll.environments import EnvKey
from atoll.errors import AtollError
from atoll.quantities import written_duration
from atoll.servers import NO_ENDS, SHORT, Ends, Limits, Network, ServerPlan
from atoll.sources import ResolvedRef
from atoll.volumes import Mount
from atoll.volumes.renewal import NOTHING, Renewal

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: what it is, as it was, and as it would be."""

    what: str
    was: str
    now: str

    def __str__(self) -> str:
        """Say it in half a sentence: Memory 2G → 4G."""
        return f"{self.what} {self.was} → {self.now}"


class Changed(AtollError):
    """A server of that name is there already, and differs from what is asked for."""

    status = 409

    def __init__(
        self, plan: ServerPlan, changes: tuple[Change, ...], renewal: Renewal = NOTHING
    ) -> None:
        """Say so of *plan*'s server, and keep how it differs, and what becomes of its files."""
        super().__init__(
            f"You have a server “{plan.called}” already, "
            + ("and it is not quite this one." if changes else "and it is just this one.")
        )
        self.plan = plan
        self.changes = changes
        self.renewal = renewal


# What changes while a server runs; and of that, what no file or kernel notices.
LIVE = ("Version", "Title", "Lifetime", "Idle time", "People", "Visitors")
OUTSIDE = LIVE[1:]


def needs_stop(found: Iterable[Change]) -> bool:
    """Say whether a server must be stopped for any of these changes."""
    return any(one.what not in LIVE for one in found)


def inside(found: Iterable[Change]) -> tuple[Change, ...]:
    """Return those of the changes that its files or its kernels would notice."""
    return tuple(one for one in found if one.what not in OUTSIDE)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server is given beside its files, environment and volumes; and what it is called."""

    limits: Limits
    network: Network
    title: str = ""
    ends: Ends = NO_ENDS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for of a server: a version, an environment, and what is beside these."""

    ref: ResolvedRef
    key: EnvKey
    terms: Terms
    mounts: tuple[Mount, ...]


def as_it_was(plan: ServerPlan | None, now: Terms, wished: Container[str]) -> Terms:
    """Return *now*, but for what nobody has *wished*: that stays as in *plan*."""
    if plan is None:
        return now
    asked, was = now.limits, plan.limits
    limits = replace(
        asked,
        memory=asked.memory if "memory" in wished else was.memory,
        cpus=asked.cpus if "cpus" in wished else was.cpus,
        gpus=asked.gpus if "gpus" in wished else was.gpus,
    )
    ends = Ends(
        now.ends.lifetime if "lifetime" in wished else plan.ends.lifetime,
        now.ends.idle if "idle" in wished else plan.ends.idle,
    )
    network = now.network if "network" in wished else plan.network
    return Terms(limits, network, now.title if "title" in wished else plan.title, ends)


def changes(plan: ServerPlan, files: str, now: Wanted) -> tuple[Change, ...]:
    """Return how *plan*, of a server that is there, differs from what is wanted *now*.

    The server's files are of version *files*.
    """
    was, terms = plan.limits, now.terms
    limits, ends = terms.limits, terms.ends
    found = (
        Change("Version", files[:SHORT], now.ref.version[:SHORT]),
        Change("Environment", plan.environment.key[:SHORT], now.key[:SHORT]),
        Change("Memory", f"{was.memory / GIB:g}G", f"{limits.memory / GIB:g}G"),
        Change("Processors", f"{was.cpus:g}", f"{limits.cpus:g}"),
        Change("Network", plan.network.value, terms.network.value),
        Change("Volumes", _written(plan.mounts), _written(now.mounts)),
        Change("Title", plan.title or "none", terms.title or "none"),
        Change("Lifetime", _said(plan.ends.lifetime), _said(ends.lifetime)),
        Change("Idle time", _said(plan.ends.idle), _said(ends.idle)),
        Change("GPUs", str(was.gpus), str(limits.gpus)),
    )
    return tuple(one for one in found if one.was != one.now)


def only_files(one: ServerPlan, other: ServerPlan) -> bool:
    """Say whether two plans of a server differ in nothing that it must be stopped for."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("environment", "limits", "network", "mounts", "start", "script")
    )


def as_it_runs(was: ServerPlan, newest: ServerPlan) -> ServerPlan:
    """Return the plan of a server that was started with *was*, and of which *newest* is the newest.

    What only brought newer files in is the newest: it runs on with these. So are its title and its
    ends, whatever it runs.
    """
    if only_files(was, newest):
        return newest
    return replace(was, title=newest.title, ends=newest.ends)


def _written(mounts: Iterable[Mount]) -> str:
    found = (f"{one.name} at {one.point}" for one in mounts)
    return ", ".join(sorted(found)) or "none"


def _said(seconds: float | None) -> str:
    if seconds is None:
        return "as is usual here"
    return written_duration(seconds) if seconds else "no end"
