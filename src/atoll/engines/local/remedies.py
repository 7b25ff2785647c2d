"""Remedies: what is tried where a package cannot be built from source, before that is told.

    the newest version that comes ready made -> what its build lacks -> (it fails)

Until 2018 builds saw what was installed already, so that many a setup.py imports numpy and says
so nowhere; and the newest version of a day may have no wheel yet, where the one before has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from packaging.utils import canonicalize_name

from atoll.engines.local.corrections import cutoff
from atoll.engines.local.explanations import Explanation, Kind
from atoll.environments.imports import package_of

MOST = 12  # remedies of one build
# The first setuptools that can do for uv what “-e .” asks for came on 2022-08-13.
EDITABLE = ("--exclude-newer-package", f"setuptools={cutoff(date(2022, 8, 20))}")
# What a build says that wants a setuptools which still has that.
_OLD_SETUPTOOLS = {
    "setuptools<58": re.compile(r"use_2to3 is invalid"),
    "setuptools<81": re.compile(r"No module named ['\"]?(?:setuptools|pkg_resources|distutils)\b"),
}
_LACKING = re.compile(r"No module named ['\"]?(\w+(?:\.\w+)*)")
_NAMED = re.compile(r"\b(numpy|cython|scipy)\b", re.IGNORECASE)  # in a setup.py's own words
_OURS = ("setuptools", "pkg_resources", "distutils")


@dataclass(slots=True)
class Remedies:
    """What has been tried for the packages of one build, by their canonical names.

    ``ready`` are taken as wheels only; ``needs`` says what else builds of a package get. With
    ``editable``, builds see a setuptools that can leave a package in its folder.
    """

    ready: set[str] = field(default_factory=set)
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)  # of which no wheel fits
    editable: bool = False

    def options(self) -> list[str]:
        """Return uv's options."""
        words = [word for name in sorted(self.ready) for word in ("--only-binary", name)]
        return [*words, *EDITABLE] if self.editable else words

    def config(self) -> str:
        """Return the part of a uv.toml that says what builds get."""
        if not self.needs:
            return ""
        lines = (f"{name} = {json.dumps(list(some))}\n" for name, some in self.needs.items())
        return f"\n[extra-build-dependencies]\n{''.join(lines)}"

    def notes(self) -> list[str]:
        """Return sentences for the person."""
        said = []
        if self.ready:
            names = ", ".join(sorted(self.ready))
            said.append(f"What cannot be built was taken as it comes ready made: {names}.")
        for name, some in self.needs.items():
            said.append(f"{name} says nowhere what building it needs: {', '.join(some)}.")
        return said

    def add(self, problem: Explanation, files: Mapping[str, bytes]) -> bool:
        """Note what may help against *problem*; return whether there is anything left to try."""
        if not self.editable and any("'build_editable'" in line for line in problem.told):
            self.editable = True
            return True
        name = canonicalize_name(problem.package)
        if problem.kind is not Kind.BUILD or not name or self._tried() >= MOST:
            return False
        if name not in self.ready | self.unready:
            self.ready.add(name)
            return True
        known = self.needs.get(name, ())
        more = [one for one in lacking(problem.told, files) if one not in known]
        if more:
            self.needs[name] = (*known, *more)
        return bool(more)

    def drop(self, name: str) -> None:
        """Note that there is no wheel of *name* that fits."""
        self.ready.discard(canonicalize_name(name))
        self.unready.add(canonicalize_name(name))

    def _tried(self) -> int:
        return len(self.ready) + len(self.unready) + sum(map(len, self.needs.values()))


def lacking(told: Sequence[str], files: Mapping[str, bytes]) -> list[str]:
    """Return the requirements that a build lacked, which printed *told*.

    Where the specification *files* pin one of them, that version is meant.
    """
    text = "\n".join(told)
    modules = [one.partition(".")[0] for one in _LACKING.findall(text)]
    found = [package_of(one) for one in modules if one not in _OURS]
    if not found:
        found = [one.lower() for one in _NAMED.findall(" ".join(told[-5:]))]
    wanted = [_pinned(one, files) for one in found]
    wanted += [one for one, sign in _OLD_SETUPTOOLS.items() if sign.search(text)]
    return list(dict.fromkeys(wanted))


def _pinned(name: str, files: Mapping[str, bytes]) -> str:
    """Return *name*, with the version that a line of *files* pins it to."""
    pattern = rf"^{re.escape(name)}\s*(===?\s*[\w.+!-]+)\s*(?:;|$)"
    for body in files.values():
        if found := re.search(pattern, body.decode(errors="replace"), re.MULTILINE | re.IGNORECASE):
            return f"{name}{found[1].replace(' ', '')}"
    return name
