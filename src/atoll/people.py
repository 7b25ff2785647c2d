"""People: who is asking, and the groups they bring."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Someone the institution vouches for; on a laptop, whoever runs the command."""

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False
