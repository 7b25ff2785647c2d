"""Mistakes: what is wrong in a settings file, a sentence each, with what may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic_core import ErrorDetails

from atoll.sign_in import KINDS


def explained(mistake: ErrorDetails, known: Any) -> str:
    """Return what is wrong, of which pydantic says *mistake*, in a table of the form *known*."""
    path = [str(part) for part in mistake["loc"]]
    if path[0] == "sign_in" and len(path) > 1:
        kind = path.pop(1)  # what it was taken for
        if kind == "several" and len(path) > 3:  # noqa: PLR2004 - ways, which one, and its kind
            kind = path.pop(3)
        path = [part for part in path if part != "ways"]
        known = KINDS[kind]
    elif mistake["type"] == "extra_forbidden":
        for part in path[:-1]:
            known = _below(known, part)
    where = ".".join(path)
    if mistake["type"] == "extra_forbidden":
        return f"{where}: there is no such setting{_meant(path[-1], known.model_fields)}"
    if mistake["type"] == "union_tag_invalid":
        kind = mistake["ctx"]["tag"]
        kinds = re.findall(r"'(\w+)'", mistake["ctx"]["expected_tags"])
        return f"{where}.kind: there is no such kind as “{kind}”{_meant(kind, kinds)}"
    if mistake["type"] == "missing":
        return f"{where}: must be given"
    return f"{where}: {mistake['msg'].removeprefix('Value error, ')}"


def _below(known: Any, part: str) -> Any:
    """Return what stands at *part* of *known*: of a section, a list or a table of them."""
    if get_origin(known) in {list, dict}:
        return get_args(known)[-1]
    return known.model_fields[part].annotation


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    # Whoever has installed a wheel has no documentation.
    return f"; did you mean “{close[0]}”?" if close else f"; there are {', '.join(known)}"
