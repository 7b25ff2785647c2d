"""Changes: how a server that somebody has already differs from the one they ask for. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from atoll.environments import EnvKey
from atoll.errors import AtollError
from atoll.servers import SHORT, Limits, Network, ServerPlan
from atoll.sources import ResolvedRef
from atoll.volumes import Mount

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

    def __init__(self, plan: ServerPlan, changes: tuple[Change, ...]) -> None:
        """Say so of *plan*'s server, and keep how it differs."""
        super().__init__(f"You have a server “{plan.name}” already, and it is not quite this one.")
        self.plan = plan
        self.changes = changes


def as_it_was(
    plan: ServerPlan, limits: Limits, network: Network, wished: Container[str]
) -> tuple[Limits, Network]:
    """Return *limits* and *network*, but for what nobody has *wished*: that stays as in *plan*."""
    memory = limits.memory if "memory" in wished else plan.limits.memory
    cpus = limits.cpus if "cpus" in wished else plan.limits.cpus
    return replace(limits, memory=memory, cpus=cpus), (
        network if "network" in wished else plan.network
    )


def changes(
    plan: ServerPlan,
    ref: ResolvedRef,
    key: EnvKey,
    limits: Limits,
    network: Network,
    mounts: Iterable[Mount],
) -> tuple[Change, ...]:
    """Return how *plan*, of a server that is there, differs from what is asked for.

    That is the version *ref*, in the environment *key*, with *limits*, *network* and *mounts*.
    """
    found = (
        Change("Version", plan.ref.version[:SHORT], ref.version[:SHORT]),
        Change("Environment", plan.environment.key[:SHORT], key[:SHORT]),
        Change("Memory", f"{plan.limits.memory / GIB:g}G", f"{limits.memory / GIB:g}G"),
        Change("Processors", f"{plan.limits.cpus:g}", f"{limits.cpus:g}"),
        Change("Network", plan.network.value, network.value),
        Change("Volumes", _written(plan.mounts), _written(mounts)),
    )
    return tuple(one for one in found if one.was != one.now)


def _written(mounts: Iterable[Mount]) -> str:
    found = (f"{one.name} at {one.point}" for one in mounts)
    return ", ".join(sorted(found)) or "none"
