"""Changes: how a server that somebody has already differs from the one they ask for. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from atoll.environments import EnvKey
from atoll.errors import AtollError
from atoll.servers import SHORT, Limits, Network, ServerPlan
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


class Changed(AtollError):
    """A server of that name is there already, and differs from what is asked for."""

    status = 409

    def __init__(
        self, plan: ServerPlan, changes: tuple[Change, ...], renewal: Renewal = NOTHING
    ) -> None:
        """Say so of *plan*'s server, and keep how it differs, and what becomes of its files."""
        super().__init__(f"You have a server “{plan.name}” already, and it is not quite this one.")
        self.plan = plan
        self.changes = changes
        self.renewal = renewal


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for of a server: a version, an environment, and what is beside these."""

    ref: ResolvedRef
    key: EnvKey
    limits: Limits
    network: Network
    mounts: tuple[Mount, ...]


def as_it_was(
    plan: ServerPlan | None, limits: Limits, network: Network, wished: Container[str]
) -> tuple[Limits, Network]:
    """Return *limits* and *network*, but for what nobody has *wished*: that stays as in *plan*."""
    if plan is None:
        return limits, network
    memory = limits.memory if "memory" in wished else plan.limits.memory
    cpus = limits.cpus if "cpus" in wished else plan.limits.cpus
    return replace(limits, memory=memory, cpus=cpus), (
        network if "network" in wished else plan.network
    )


def changes(plan: ServerPlan, files: str, now: Wanted) -> tuple[Change, ...]:
    """Return how *plan*, of a server that is there, differs from what is wanted *now*.

    The server's files are of version *files*.
    """
    was, limits = plan.limits, now.limits
    found = (
        Change("Version", files[:SHORT], now.ref.version[:SHORT]),
        Change("Environment", plan.environment.key[:SHORT], now.key[:SHORT]),
        Change("Memory", f"{was.memory / GIB:g}G", f"{limits.memory / GIB:g}G"),
        Change("Processors", f"{was.cpus:g}", f"{limits.cpus:g}"),
        Change("Network", plan.network.value, now.network.value),
        Change("Volumes", _written(plan.mounts), _written(now.mounts)),
    )
    return tuple(one for one in found if one.was != one.now)


def only_files(one: ServerPlan, other: ServerPlan) -> bool:
    """Say whether two plans of a server differ in nothing but the version of its files."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("environment", "limits", "network", "mounts", "start", "script")
    )


def _written(mounts: Iterable[Mount]) -> str:
    found = (f"{one.name} at {one.point}" for one in mounts)
    return ", ".join(sorted(found)) or "none"
