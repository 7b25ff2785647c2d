"""Additions: packages that a specification's files forget, beside those that they list. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from packaging.utils import canonicalize_name

from atoll.environments import EnvSpec
from atoll.environments.conda import ESSENCE, PIP
from atoll.environments.reading import DEFAULT_TAKEN

ADDED = "added.txt"  # the specification file with them; conda's have one for pip already
_NAMED = re.compile(
    r"^(?:# )?([\w.-]+)==|^# ([\w.-]+) \S*: from "
    r"|/([\w.-]+)-[^-\s/]+-[^-\s/]+\.(?:conda|tar\.bz2)\b",
    re.MULTILINE,
)


def with_added(spec: EnvSpec, packages: Iterable[str], day: date) -> EnvSpec:
    """Return *spec* with *packages* as well, in any version; its key is its own then.

    They are of the day that the rest is of; of *day* where that has none, since all is pinned, or
    since nothing is listed.
    """
    files = dict(spec.files)
    name = PIP if ESSENCE in files else ADDED
    files[name] = files.get(name, b"") + "".join(f"{one}\n" for one in packages).encode()
    bare = DEFAULT_TAKEN in spec.notes
    return replace(
        spec,
        files=tuple(sorted(files.items())),
        as_of=day if bare else spec.as_of or day,
        notes=tuple(note for note in spec.notes if note != DEFAULT_TAKEN),
    )


def installed(lock: str) -> frozenset[str]:
    """Return the canonical names of what an environment's *lock*, a list for people, names.

    Its lines are those of requirements, or the addresses of conda packages.
    """
    found = ("".join(groups) for groups in _NAMED.findall(lock))
    return frozenset(map(canonicalize_name, found))
