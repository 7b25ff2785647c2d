"""Volumes: files that outlive a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """The files that a server opens with.

    ``checkout`` is a folder that only the engine reads; its copy becomes the server's home.
    A temporary server's copy is made afresh at each start and discarded at the stop; otherwise
    it is made once and kept, with all changes, until the server is removed.
    """

    checkout: str
    temporary: bool = False
