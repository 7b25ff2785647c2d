"""R of Debian: which of the R packages that a repository asks for its archives have as wanted."""

from __future__ import annotations

from atoll.engines.local.apt import System, candidates
from atoll.engines.local.steps import Steps
from atoll.environments.r import debian_names, essence_of, meets, upstream


async def from_debian(steps: Steps, system: System) -> tuple[str, ...]:
    """Return the Debian packages that are what *steps*' specification asks of R."""
    asked = essence_of(dict(steps.spec.files))
    wanted = asked.wanted if asked else {}
    names = {debian: name for name in wanted for debian in debian_names(name)}
    there = await candidates(steps, system, sorted(names)) if names else {}
    return tuple(
        debian
        for debian, version in there.items()
        if debian in names and meets(upstream(version), wanted[names[debian]])
    )
