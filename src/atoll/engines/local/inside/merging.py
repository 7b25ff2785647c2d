"""Merging: what two have made of one file becomes one again, by lines or by a notebook's cells.

Runs in a box, beside `renew_files.py`: what it reads is anybody's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from merge3 import Merge3

LARGEST = 20 * 1024**2  # bytes of a file that is merged
MOST_ITEMS = 50_000  # lines or cells of one
Cell = dict[str, Any]


def merged(base: Path, mine: Path, new: Path) -> tuple[bytes, bool] | None:
    """Return the three as one file, and whether some of *new* is not in it; ``None`` if it cannot.

    Text is merged by lines, notebooks by cells.
    """
    three = (base, mine, new)
    if any(one.is_symlink() or not one.is_file() for one in three):
        return None
    if any(one.stat().st_size > LARGEST for one in three):
        return None
    bodies = [one.read_bytes() for one in three]
    if mine.suffix == ".ipynb":
        return merge_notebooks(*bodies)
    if any(b"\0" in body for body in bodies):
        return None
    lines = [body.splitlines(keepends=True) for body in bodies]
    found = merge(lines, lines)
    return found and (b"".join(found[0]), found[1])


def merge_notebooks(base: bytes, mine: bytes, new: bytes) -> tuple[bytes, bool] | None:
    """Return the three notebooks as one; ``None`` if one of them is none of today's shape.

    What counts of a cell are its kind and its source. A person's outputs stay where the source does.
    """
    try:
        three = [_notebook(body) for body in (base, mine, new)]
        cells = [[dict(cell) for cell in one["cells"]] for one in three]
        found = merge(_names(cells), cells, pick=merge_cells, both=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not found:
        return None
    _, own, theirs = three
    whole = {**theirs, **own, "cells": found[0]}
    whole["nbformat_minor"] = max(own["nbformat_minor"], theirs["nbformat_minor"])
    _number(whole)
    text = json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
    return text.encode("utf-8", "surrogatepass"), found[1]


def merge_cells(base: Cell, mine: Cell, new: Cell) -> tuple[Cell, bool]:
    """Return one cell of three, and whether some of *new*'s source is not in it."""
    was, own, theirs = _key(base), _key(mine), _key(new)
    if own == was:
        return (mine, False) if theirs == own else ({**new, "id": mine.get("id")}, False)
    if theirs in (was, own):
        return mine, False
    lines = [_source(one).splitlines(keepends=True) for one in (base, mine, new)]
    found = merge(lines, lines) if was[0] == own[0] == theirs[0] else None
    if found is None or found[1]:
        return mine, True
    return {**mine, "source": "".join(found[0])}, False


def first(base: Any, mine: Any, new: Any) -> tuple[Any, bool]:
    """Return *mine*: all three are the same."""
    return mine, False


def merge(
    keys: Sequence[Sequence[Any]],
    items: Sequence[Sequence[Any]],
    *,
    pick: Callable[[Any, Any, Any], tuple[Any, bool]] = first,
    both: bool = False,
) -> tuple[list[Any], bool] | None:
    """Merge the second and the third of *items*, both made of the first, as *keys* tell them apart.

    *pick* makes one of three that have one key. Where both have changed a stretch, the second's is
    taken; that this was so anywhere is the other thing that is returned. With *both*, what each has
    put into one place is taken. ``None`` for more than can be merged in a moment.
    """
    if max(map(len, items)) > MOST_ITEMS:
        return None
    base, mine, new = keys
    made: list[Any] = []
    clashes: list[bool] = []
    b = m = n = 0
    # Between two stretches that all three have in common, at least one is changed.
    for b_next, b_end, m_next, m_end, n_next, n_end in Merge3(base, mine, new).find_sync_regions():
        before, own, theirs = base[b:b_next], mine[m:m_next], new[n:n_next]
        made += items[2][n:n_next] if own == before else items[1][m:m_next]
        if own != before and theirs not in (before, own):
            clashes.append(bool(before) or not both)
            made += items[2][n:n_next] if not clashes[-1] else []
        shared = (items[0][b_next:b_end], items[1][m_next:m_end], items[2][n_next:n_end])
        for three in zip(*shared, strict=True):
            item, clash = pick(*three)
            made.append(item)
            clashes.append(clash)
        b, m, n = b_end, m_end, n_end
    return made, any(clashes)


def _names(cells: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """Return what each cell of three notebooks is called, so that one cell has one name in all.

    That is its id, where all have ids of their own (since format 4.5). Else it is where the cell, or
    one in its place, stands in the first.
    """
    ids = [[cell.get("id") for cell in some] for some in cells]
    if all(isinstance(one, str) for some in ids for one in some) and all(
        len({*some}) == len(some) for some in ids
    ):
        return [[str(one) for one in some] for some in ids]
    keys = [[_key(cell) for cell in some] for some in cells]
    names = [[f"{which} {at}" for at in range(len(some))] for which, some in enumerate(keys)]
    for which in (1, 2):
        matcher = SequenceMatcher(None, keys[0], keys[which], autojunk=False)
        for _, begin, end, other, other_end in matcher.get_opcodes():
            if end - begin == other_end - other:  # the same, or changed one by one
                names[which][other:other_end] = names[0][begin:end]
    return names


def _notebook(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    if found["nbformat"] != 4 or not isinstance(found["nbformat_minor"], int):  # noqa: PLR2004
        raise ValueError(found["nbformat"])
    return dict(found)


def _source(cell: Cell) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _key(cell: Cell) -> tuple[str, str, str]:
    attached = json.dumps(cell.get("attachments", {}), sort_keys=True)
    return (str(cell["cell_type"]), _source(cell), attached)


def _number(notebook: dict[str, Any]) -> None:
    """Give every cell an id of its own where the format has them, and none where it does not."""
    known: set[str] = set()
    for cell in notebook["cells"]:
        if notebook["nbformat_minor"] < 5:  # noqa: PLR2004 - ids came with 4.5
            cell.pop("id", None)
        elif not isinstance(cell.get("id"), str) or cell["id"] in known:
            cell["id"] = secrets.token_hex(4)
        known.add(cell.get("id", ""))
