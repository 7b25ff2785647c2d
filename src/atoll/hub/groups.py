"""Groups: those of other places, as JupyterHub can hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

LONGEST = 255  # characters of a name


def fit(groups: Any) -> set[str]:
    """Return those of *groups*, whatever was sent as such, that can be a group's name.

    A text alone is one group.
    """
    if isinstance(groups, str):
        groups = [groups]
    if not isinstance(groups, Iterable):
        return set()
    return {
        one
        for one in groups
        if isinstance(one, str) and one.strip() and one.isprintable() and len(one) <= LONGEST
    }
