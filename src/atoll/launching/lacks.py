"""Lacks: what a launch asks for and no server here can have: it does without, and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.servers import Limits

if TYPE_CHECKING:
    from atoll.launching import LaunchRequest

CREDENTIALS = "Servers here are passed no passwords or keys yet: it gets none of yours."


def granted(limits: Limits, gpus: int) -> Limits:
    """Return *limits* where servers can have *gpus* GPUs each."""
    return replace(limits, gpus=min(limits.gpus, gpus))


def lacks(request: LaunchRequest, gpus: int) -> Iterator[str]:
    """Say, a sentence each, what *request* asks for and does not get."""
    asked = request.limits.gpus
    if asked > gpus:
        have = f"{gpus} GPU{'s' * (gpus > 1)} each" if gpus else "no GPUs"
        yield f"Servers here have {have}: of the {asked} asked for, it gets {gpus or 'none'}."
    if request.credentials:
        yield CREDENTIALS
