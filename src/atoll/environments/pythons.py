"""Pythons: which version a repository means, and which of those at hand comes nearest.

Release dates are those of the release PEPs (PEP 373 to PEP 790).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from packaging.specifiers import InvalidSpecifier, SpecifierSet

Minor = tuple[int, int]
TWO: Minor = (2, 7)  # the one Python 2 there may be; taken only where it is asked for
WHEELS = date(2017, 2, 1)  # from then on, most packages with compiled parts come ready for Linux
RIPE = timedelta(days=180)  # after its release, most packages with compiled parts fit a Python

RELEASED: dict[Minor, date] = {
    (3, 0): date(2008, 12, 3),
    (3, 1): date(2009, 6, 27),
    (3, 2): date(2011, 2, 20),
    (3, 3): date(2012, 9, 29),
    (3, 4): date(2014, 3, 16),
    (3, 5): date(2015, 9, 13),
    (3, 6): date(2016, 12, 23),
    (3, 7): date(2018, 6, 27),
    (3, 8): date(2019, 10, 14),
    (3, 9): date(2020, 10, 5),
    (3, 10): date(2021, 10, 4),
    (3, 11): date(2022, 10, 24),
    (3, 12): date(2023, 10, 2),
    (3, 13): date(2024, 10, 7),
    (3, 14): date(2025, 10, 7),
    (3, 15): date(2026, 10, 1),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A version to take; ``note`` says why it is not quite what was asked for, or is ""."""

    version: Minor
    note: str = ""


def newest_of(day: date | None) -> Minor:
    """Return the newest Python that had been released on *day* (``None``: of all we know)."""
    out = [minor for minor, released in RELEASED.items() if day is None or released <= day]
    return max(out, default=min(RELEASED))


def day_for(minor: Minor, day: date | None) -> date | None:
    """Return the day of the package index that suits *minor* where *day* was asked for.

    That is *day* itself, unless the Python is newer: then hardly any package of that day fits it,
    and the first day on which most did is taken. For Python 2 that is when there were wheels: what
    came before would have to be built, with the compilers and libraries of then.
    """
    if minor == TWO:
        return day and max(day, WHEELS)
    if day is None or minor <= newest_of(day) or minor not in RELEASED:
        return day
    return RELEASED[minor] + RIPE


def minor_of(version: str) -> Minor | None:
    """Return (3, 9) for "3.9" and "3.9.18"; ``None`` for a range, "3" or ""."""
    found = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)?", version)
    return (int(found[1]), int(found[2])) if found else None


def wanted(asked: str, day: date | None) -> Minor | None:
    """Return the version that would suit best if every one were at hand.

    *asked* is a version, a range such as ">=3.8,<3.11", or "" for the newest of *day*. Returns
    ``None`` when no Python that we know is in the range.
    """
    if exact := minor_of(asked):
        return exact
    fitting = _fitting(asked, [TWO, *RELEASED])
    of_that_day = [minor for minor in fitting if minor <= newest_of(day)]
    return max(of_that_day) if of_that_day else min(fitting, default=None)


def choose(asked: str, day: date | None, available: Collection[Minor]) -> Choice | None:
    """Choose from *available*, or return ``None`` when nothing there can serve.

    *asked* and *day* as for `wanted`. Without a version asked for, an older Python than the
    newest of that day serves silently; anything else that is not as asked is said in the note.
    """
    want = wanted(asked, day)
    if want is None or not available:
        return None
    if want in available:
        return Choice(want)
    if minor_of(asked):
        return _nearest(want, available)
    fitting = _fitting(asked, available)
    if older := [minor for minor in fitting if minor < want]:
        return Choice(max(older))
    if not fitting:
        return None
    taken = min(fitting)
    of = f" of {day:%Y-%m-%d} or before" if day else ""
    return Choice(taken, f"No Python{of} here; {show(taken)} was taken instead.")


def _nearest(want: Minor, available: Collection[Minor]) -> Choice | None:
    same = [minor for minor in available if minor[0] == want[0]]
    if not same and want[0] != TWO[0]:
        return None
    near = same or [min(available)]  # of no other kind is any nearer than its oldest
    taken = min(near, key=lambda minor: (abs(minor[1] - want[1]), minor))
    return Choice(taken, f"No Python {show(want)} here; {show(taken)} was taken instead.")


def older(asked: str, than: Minor, available: Collection[Minor]) -> list[Minor]:
    """Return those of *available* that fit *asked* and come before *than*, the newest first.

    None where *asked* names one version: that is what is wanted then.
    """
    if minor_of(asked):
        return []
    return sorted((minor for minor in _fitting(asked, available) if minor < than), reverse=True)


def show(minor: Minor) -> str:
    """Return "3.9" for (3, 9)."""
    return f"{minor[0]}.{minor[1]}"


def is_range(text: str) -> bool:
    """Say whether *text* is a version range as in ``requires-python``."""
    try:
        return bool(SpecifierSet(text))
    except InvalidSpecifier:
        return False


def _fitting(asked: str, available: Collection[Minor]) -> list[Minor]:
    """Return those of *available* some patch release of which is in the range *asked*.

    A range such as ">=2.7" was written for what came after, too; Python 2 is meant by one that
    nothing newer is in: "==2.*".
    """
    if not asked:
        return [minor for minor in available if minor > TWO]
    allowed = SpecifierSet(asked)

    def fits(minor: Minor) -> bool:
        return any(f"{show(minor)}.{patch}" in allowed for patch in (0, 99, 7))

    two = fits(TWO) and not any(fits(minor) for minor in RELEASED if minor > TWO)
    return [minor for minor in available if (minor == TWO if two else fits(minor) and minor > TWO)]
