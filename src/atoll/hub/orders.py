"""Orders: what `atoll up` has found out, and the supervisor that it becomes must know."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atoll.hub.places import Places


@dataclass(frozen=True, slots=True)
class Part:
    """A program that is to be kept running with exactly this environment.

    ``socket`` is where it listens.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    socket: Path


@dataclass(frozen=True, slots=True)
class Orders:
    """Which programs to keep; ``secrets`` must not be logged, ``welcome`` is said when all is up.

    Nothing waits for the ``companions``.
    """

    places: Places
    proxy: Part
    hub: Part
    service: Part
    companions: tuple[Part, ...]
    secrets: tuple[str, ...]
    welcome: tuple[str, ...]

    def write(self) -> int:
        """Return a descriptor to `read` them from, also after another program was executed.

        There are secrets in them, so they are in memory alone.
        """
        descriptor = os.memfd_create("orders", 0)
        os.write(descriptor, json.dumps(asdict(self), default=str).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    @classmethod
    def read(cls, descriptor: int) -> Orders:
        """Return what `write` wrote, and close *descriptor*."""
        with open(descriptor, encoding="utf-8") as file:
            told = json.load(file)
        places = told["places"]
        return cls(
            Places(**places | {name: Path(places[name]) for name in ("data", "run")}),
            _part(told["proxy"]),
            _part(told["hub"]),
            _part(told["service"]),
            tuple(_part(one) for one in told["companions"]),
            tuple(told["secrets"]),
            tuple(told["welcome"]),
        )


def _part(told: dict[str, Any]) -> Part:
    return Part(told["name"], told["command"], told["environ"], Path(told["socket"]))
