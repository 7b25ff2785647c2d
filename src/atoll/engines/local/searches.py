"""Searches: what uv tells of each version that it looks for, while nothing may be built.

Whether it may build comes into uv's choice at one place. It searches for a package's best version
in a range, and takes it by its wheel if it has one that fits, in either case. A version that has
none is taken as source if that may be built; else it is struck out, and searched for again without
it. So as long as every search finds a version at once, it finds what it would find if everything
might be built, and the next search is the same, too. If all do, the choices are the same.

uv tells so to whoever sets ``RUST_LOG``. What is told in another form, by a uv that we do not know
yet, proves nothing. Tried on uv 0.13.9; the tests try each case on the one that is installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOLD = "uv_resolver=debug"  # the value of RUST_LOG with which uv tells of its searches
BEST_MATCH = "unsafe-best-match"  # a strategy that may pass from one index to the next in a search
_SEARCH = re.compile(r"DEBUG Searching for a compatible version of ([A-Za-z0-9._-]+)")
_FOUND = re.compile(r"DEBUG Selecting: ([A-Za-z0-9._-]+)==\S+ \[\w+\] \(\S+\.whl\)")


@dataclass(slots=True)
class Searches:
    """One choice of uv's, line by line. ``said`` is what it says to everybody."""

    said: list[str] = field(default_factory=list)
    _found: int = 0
    _sought: str = ""
    _missed: bool = False

    def hear(self, line: str) -> None:
        """Take in a line of uv's."""
        if search := _SEARCH.match(line):
            self._missed |= bool(self._sought)
            self._sought = search[1]
        elif found := _FOUND.match(line):
            self._missed |= found[1] != self._sought
            self._sought = ""
            self._found += 1
        elif not line.startswith("DEBUG "):
            self.said.append(line)

    @property
    def settled(self) -> bool:
        """Whether building would have changed nothing."""
        return bool(self._found) and not self._missed and not self._sought
