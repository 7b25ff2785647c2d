"""People: who is asking, and the groups they bring."""

from __future__ import annotations

from dataclasses import dataclass

VISITOR = "visitor-"  # how the names of those begin who have not signed in


@dataclass(frozen=True, slots=True)
class Person:
    """Someone the institution vouches for; on a laptop, whoever runs the command."""

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False

    @property
    def visitor(self) -> bool:
        """Whether this is somebody who has not signed in: servers are temporary, keys in URLs."""
        return self.name.startswith(VISITOR)
