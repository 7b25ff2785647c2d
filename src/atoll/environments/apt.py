"""Apt: which Debian packages an ``apt.txt`` asks for.

The format is Binder's: names of packages, and comments that begin with “#”. Nothing else that apt
would understand (options, versions, releases, patterns, files) is a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from atoll.environments.requirements import decode
from atoll.errors import BadSpecification

FILE = "apt.txt"
ESSENCE = "debian.json"  # in a specification: the file with the names, sorted
MOST = 2000  # packages of one file
# Debian Policy, 5.6.1; a minus at the end would ask apt to remove the package.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,99}(?<!-)")


def read_apt(path: str, body: bytes, more: tuple[str, ...] = ()) -> bytes:
    """Return what an ``apt.txt``, and *more* names, change in an environment; nothing for none.

    Raises `BadSpecification` for anything that is not a package's name.
    """
    names = set(more)
    for number, line in enumerate(decode(path, body).splitlines(), 1):
        for word in line.partition("#")[0].split():
            if not _NAME.fullmatch(word):
                raise BadSpecification(
                    f"{path}, line {number}: “{word[:80]}” is not the name of a Debian package.",
                    hint=_hint(word),
                )
            names.add(word)
    if len(names) > MOST:
        raise BadSpecification(f"{path} names more than {MOST} packages.")
    return json.dumps(sorted(names)).encode() if names else b""


def packages_of(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the Debian packages that the *files* of a specification ask for, sorted."""
    return tuple(json.loads(files[ESSENCE])) if ESSENCE in files else ()


def _hint(word: str) -> str:
    if re.match(r"[a-z0-9][a-z0-9+.-]*[=/:]", word):
        return "Write the name alone: its version is the one that this system's release has."
    if _NAME.fullmatch(word.lower()):
        return f"Names are written in small letters: {word.lower()}."
    return "Write one name in each line, such as figlet; a comment begins with #."
