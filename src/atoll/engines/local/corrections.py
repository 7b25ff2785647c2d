"""Corrections: what keeps uv from old packages that were fine in their day, put right.

Without them, nearly every repository of before 2020 that pins pandas, or needs anything that
comes as source only, could not be built at all.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

# uv builds a package without a pyproject.toml with setuptools >= 40.8.0, which came on 2019-02-05:
# seen as of an earlier day, the index has none, and nothing could be built from source. The wheels
# of before do not know how that setuptools asks them for metadata.
TOOLS = ("setuptools", "wheel")
TOOLS_DAY = date(2019, 2, 6)

# These releases ask for “pytz >= 2011k”, which was a version when they were made and is none by
# today's rules (PEP 440), so that uv passes them over. Their requirements, as they meant them.
_PANDAS = {
    ("python-dateutil>=2", "pytz>=2011", "numpy>=1.7.0"): (
        *("0.17.0", "0.17.1", "0.18.0", "0.18.1", "0.19.0", "0.19.1", "0.19.2"),
        *("0.20.0", "0.20.1", "0.20.2", "0.20.3"),
    ),
    ("python-dateutil>=2", "pytz>=2011", "numpy>=1.9.0"): ("0.21.0", "0.21.1", "0.22.0"),
    ("python-dateutil>=2.5.0", "pytz>=2011", "numpy>=1.9.0"): (
        *("0.23.0", "0.23.1", "0.23.2", "0.23.3", "0.23.4"),
    ),
    ("python-dateutil>=2.5.0", "pytz>=2011", "numpy>=1.12.0"): ("0.24.0", "0.24.1", "0.24.2"),
}

# The name “sklearn” stood for scikit-learn until December 2022. Since then its releases refuse to
# be built, unless that is allowed, and then bring nothing.
ALLOWED = {"SKLEARN_ALLOW_DEPRECATED_SKLEARN_PACKAGE_INSTALL": "True"}
_SKLEARN = ("0.0.post1", *(f"0.0.post{number}" for number in (4, 5, 7, 9, 10, 11, 12)))


def cutoffs(day: date | None) -> list[str]:
    """Return uv's options for the package index as it was at the end of *day*; none for today's."""
    if day is None or day >= datetime.now(UTC).date():
        return []
    words = ["--exclude-newer", cutoff(day)]
    if day < TOOLS_DAY:
        for tool in TOOLS:
            words += ["--exclude-newer-package", f"{tool}={cutoff(TOOLS_DAY)}"]
    return words


def cutoff(day: date) -> str:
    """Return the moment, as uv reads it, at which *day* is over in UTC."""
    return f"{day + timedelta(days=1):%Y-%m-%d}T00:00:00Z"


def metadata() -> str:
    """Return the part of a uv.toml that says what packages require whose own word is of no use."""
    told = [("pandas", one, list(requires)) for requires, some in _PANDAS.items() for one in some]
    told += [("sklearn", one, ["scikit-learn"]) for one in _SKLEARN]
    return "".join(
        f'\n[[dependency-metadata]]\nname = "{name}"\nversion = "{version}"\n'
        f"requires-dist = {requires}\n"
        for name, version, requires in told
    )
