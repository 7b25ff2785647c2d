"""Kernels: whether a repository's notebooks were written for Python 2, where nothing else says it.

Until 2020 many named no Python: Binder had one of each kind then, and took what a notebook says.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date

from atoll.environments import EnvSpec
from atoll.environments.conda import CONDA
from atoll.environments.pythons import TWO, show
from atoll.environments.reading import DEFAULT_DAY
from atoll.launching.proposals import notebooks_of
from atoll.sources import Checkout

END = date(2020, 4, 20)  # of Python 2: the day of its last release
NOTE = "Its notebooks are for Python 2, and nothing names another: Python 2.7 is taken."


def as_written(spec: EnvSpec, checkout: Checkout) -> EnvSpec:
    """Return *spec*, of *checkout*, for Python 2 where its notebooks alone say that.

    Reads the disk, but for what is newer. What only conda may have has its Python from there.
    """
    day = spec.as_of
    if day is None or day == DEFAULT_DAY:
        day = checkout.ref.date.astimezone(UTC).date()
    if spec.python or spec.kind == CONDA or day > END:
        return spec
    if set(filter(None, map(major_of, notebooks_of(checkout)))) != {TWO[0]}:
        return spec
    return replace(spec, python=show(TWO), notes=(*spec.notes, NOTE))


def major_of(notebook: bytes) -> int:
    """Return the Python, 2 or 3, that *notebook* says it was written for; 0 if it does not say."""
    try:
        meta = json.loads(notebook)["metadata"]
        kernel, language = meta.get("kernelspec") or {}, meta.get("language_info") or {}
        if str(language.get("name") or kernel.get("language") or "python").lower() != "python":
            return 0
        said = (str(language.get("version", "")), str(kernel.get("name", "")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0
    found = re.match(r"([23])\.", said[0]) or re.fullmatch(r"python([23])", said[1])
    return int(found[1]) if found else 0
