"""Lacks: what a launch asks for and no server here can have: it does without, and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from atoll.launching.requests import LaunchRequest
from atoll.servers import Limits

CREDENTIALS = "It asks for your passwords and keys; no server here is passed any yet."


def granted(limits: Limits, gpus: int) -> Limits:
    """Return *limits* where servers can have *gpus* GPUs each."""
    return replace(limits, gpus=min(limits.gpus, gpus))


def lacks(request: LaunchRequest, gpus: int) -> Iterator[str]:
    """Say, a sentence each, what *request* asks for and does not get."""
    asked = request.limits.gpus
    if asked > gpus:
        asks = f"It asks for {asked} GPU{'s' * (asked > 1)}"
        yield f"{asks}; a server here can have {gpus or 'none'}."
    if request.credentials:
        yield CREDENTIALS
