"""Newer files of a repository reach a home, and nothing of anybody's is lost: rule by rule."""

from __future__ import annotations

import json
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.engines.local.commands import INSIDE

sys.path.append(str(INSIDE))
import renew_files
from merging import merge
from renew_files import Renewal

OLD, NOW = "a" * 7, "b" * 7


def write(folder, files):
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)
    folder.mkdir(exist_ok=True)
    return folder


def read(folder):
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_text()
    return found


def renewed(tmp_path, base, mine, new):
    """Return what became of the files, and what they are then."""
    folders = [
        write(tmp_path / name, files) for name, files in zip("bnh", (base, new, mine), strict=True)
    ]
    renewal = Renewal(*folders, OLD, NOW)
    looked = list(renewal.steps())
    for step in renewal.steps():
        renewal.take(step)
    left = read(tmp_path / "h")
    assert [step for step in renewal.steps() if step.fate not in {"beside", "merged"}] == []
    return {step.path: step.fate for step in looked}, left


RULES = [
    # base, mine, new, what becomes of it, what is there then
    ("1", "1", "2", "updated", {"f.txt": "2"}),
    ("1", "mine", "1", None, {"f.txt": "mine"}),
    ("1", "mine", None, None, {"f.txt": "mine"}),
    ("1", "1", None, "removed", {}),
    ("1", None, None, None, {}),
    ("1", None, "1", "restored", {"f.txt": "1"}),
    ("1", None, "2", "restored", {"f.txt": "2"}),
    (None, None, "2", "added", {"f.txt": "2"}),
    (None, "2", "2", None, {"f.txt": "2"}),
    (None, "mine", "2", "aside", {"f.txt": "2", f"f.before-{NOW}.txt": "mine"}),
    ("1", "2", "2", None, {"f.txt": "2"}),
    ("1", "mine", "2", "beside", {"f.txt": "mine", f"f.of-{NOW}.txt": "2"}),
    (
        "a\nb\nc\n",
        "mine\nb\nc\n",
        "a\nb\nnew\n",
        "merged",
        {"f.txt": "mine\nb\nnew\n", f"f.before-{NOW}.txt": "mine\nb\nc\n"},
    ),
    (
        "a\nb\nc\nd\n",
        "mine\nb\nc\nd\n",
        "other\nb\nc\nnew\n",
        "merged",
        {
            "f.txt": "mine\nb\nc\nnew\n",
            f"f.before-{NOW}.txt": "mine\nb\nc\nd\n",
            f"f.of-{NOW}.txt": "other\nb\nc\nnew\n",
        },
    ),
    ("a\n\0", "b\n\0", "c\n\0", "beside", {"f.txt": "b\n\0", f"f.of-{NOW}.txt": "c\n\0"}),
]


@pytest.mark.parametrize(("base", "mine", "new", "fate", "left"), RULES)
def test_each_rule(tmp_path, base, mine, new, fate, left):
    versions = [{"sub/f.txt": body} if body is not None else {} for body in (base, mine, new)]
    fates, found = renewed(tmp_path, *versions)
    assert fates == ({"sub/f.txt": fate} if fate else {})
    assert found == {f"sub/{name}": body for name, body in left.items()}


def cell(source, output=None, **more):
    shown = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    code = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": shown}
    return {**code, "source": source, **more}


def notebook(*cells, minor=5, **more):
    whole = {"nbformat": 4, "nbformat_minor": minor, "metadata": {}, "cells": list(cells)}
    return json.dumps({**whole, **more})


def merged(tmp_path, base, mine, new, fate="merged"):
    """Return the cells, each as its source and what it printed, and the names of all files."""
    fates, left = renewed(tmp_path, {"n.ipynb": base}, {"n.ipynb": mine}, {"n.ipynb": new})
    assert fates == {"n.ipynb": fate}
    cells = json.loads(left["n.ipynb"])["cells"]
    assert len({one["id"] for one in cells}) == len(cells)
    printed = ["".join(one["text"] for one in each["outputs"]) for each in cells]
    return list(zip([each["source"] for each in cells], printed, strict=True)), set(left)


def cells(*sources, ids=""):
    return [
        cell(source, *out, **({"id": f"{ids}{at}"} if ids else {}))
        for at, (source, *out) in enumerate(sources)
    ]


@pytest.mark.parametrize("ids", [("c", "c", "c"), ("", "m", "")], ids=["ids", "format 4.4"])
def test_a_cell_next_to_a_persons_own_answer_is_corrected(tmp_path, ids):
    minors = [5 if one else 4 for one in ids]
    base = notebook(
        *cells(("# Mean",), ("# your code",), ("sum(x) - 1",), ids=ids[0]), minor=minors[0]
    )
    own = cells(("# Mean",), ("mine", "7"), ("sum(x) - 1", "3"), ids=ids[1])
    mine = notebook(*own, cell("my own", "9", id="mine"), minor=minors[1])
    new = notebook(*cells(("# Means",), ("# your code",), ("sum(x)",), ids=ids[2]), minor=minors[2])
    found, names = merged(tmp_path, base, mine, new)
    assert found == [("# Means", ""), ("mine", "7"), ("sum(x)", ""), ("my own", "9")]
    assert names == {"n.ipynb", f"n.before-{NOW}.ipynb"}


def test_what_both_add_in_one_place_is_there_twice_and_what_one_deletes_is_gone(tmp_path):
    base = notebook(*cells(("a",), ("b",), ("c",), ids="c"))
    mine = notebook(*cells(("a",), ("b",), ("c",), ids="c"), cell("mine", id="m"))
    new = notebook(*cells(("a",), ids="c"), cell("c", id="c2"), cell("exercise", id="e"))
    found, names = merged(tmp_path, base, mine, new)
    assert [source for source, _ in found] == ["a", "c", "mine", "exercise"]
    assert len(names) == 2


def test_one_cell_that_both_have_changed_is_merged_by_lines_or_stays_the_persons(tmp_path):
    base = notebook(*cells(("a\nb\nc\n",), ("x",), ("y",), ids="c"))
    mine = notebook(*cells(("mine\nb\nc\n",), ("x mine",), ("y",), ids="c"))
    new = notebook(*cells(("a\nb\nnew\n",), ("x new",), ("y new",), ids="c"))
    found, names = merged(tmp_path, base, mine, new)
    assert [source for source, _ in found] == ["mine\nb\nnew\n", "x mine", "y new"]
    assert names == {"n.ipynb", f"n.before-{NOW}.ipynb", f"n.of-{NOW}.ipynb"}


def test_a_correction_reaches_a_notebook_that_was_only_run_or_added_to(tmp_path):
    base = notebook(cell("# One"), cell("x = 1"), cell("# Two"), cell("y = 3"))
    mine = notebook(
        cell("# One"), cell("x = 1", "1"), cell("# Two"), cell("y = 3", "3"), cell("z = 9", "9")
    )
    new = notebook(cell("# One"), cell("x = 2"), cell("# Two"), cell("y = 3"))
    fates, left = renewed(tmp_path, {"n.ipynb": base}, {"n.ipynb": mine}, {"n.ipynb": new})
    assert fates == {"n.ipynb": "merged"}
    assert set(left) == {"n.ipynb", f"n.before-{NOW}.ipynb"}
    found = json.loads(left["n.ipynb"])["cells"]
    assert [one["source"] for one in found] == ["# One", "x = 2", "# Two", "y = 3", "z = 9"]
    assert [bool(one["outputs"]) for one in found] == [False, False, False, True, True]
    assert len({one["id"] for one in found}) == len(found)
    assert left[f"n.before-{NOW}.ipynb"] == mine


@pytest.mark.parametrize(
    "broken",
    ["{", "[]", '{"nbformat": 3}', notebook({"cell_type": "code"}), notebook(7), "[" * 100_000],
)
def test_what_is_no_notebook_is_left_and_the_new_one_put_beside(tmp_path, broken):
    base, new = notebook(cell("1")), notebook(cell("2"))
    fates, left = renewed(tmp_path, {"n.ipynb": base}, {"n.ipynb": broken}, {"n.ipynb": new})
    assert fates == {"n.ipynb": "beside"}
    assert left == {"n.ipynb": broken, f"n.of-{NOW}.ipynb": new}


def test_no_file_of_a_persons_is_overwritten_by_what_is_kept_beside(tmp_path):
    mine = {"f.txt": "mine", f"f.of-{NOW}.txt": "also mine"}
    _, left = renewed(tmp_path, {"f.txt": "1"}, mine, {"f.txt": "2"})
    assert left == {**mine, f"f.of-{NOW}-2.txt": "2"}


def test_a_link_of_a_persons_leads_nothing_elsewhere(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f.txt").write_text("outside")
    home = tmp_path / "h"
    home.mkdir()
    (home / "sub").symlink_to(outside)
    (home / "g.txt").symlink_to(outside / "f.txt")
    base = {"g.txt": "outside"}
    fates, _ = renewed(tmp_path, base, {}, {"sub/f.txt": "new", "g.txt": "new"})
    assert (outside / "f.txt").read_text() == "outside"
    assert fates["g.txt"] == "beside"
    assert (home / "sub" / "f.txt").read_text() == "new"
    assert os.path.islink(home / f"sub.before-{NOW}")


def test_a_file_where_a_folder_is_to_be_makes_room(tmp_path):
    fates, left = renewed(tmp_path, {}, {"data": "mine"}, {"data/f.txt": "new"})
    assert fates == {"data/f.txt": "added"}
    assert left == {"data/f.txt": "new", f"data.before-{NOW}": "mine"}


def test_a_folder_where_a_file_is_to_be_stays(tmp_path):
    fates, left = renewed(tmp_path, {}, {"data/mine.txt": "mine"}, {"data": "new"})
    assert fates == {"data": "beside"}
    assert left == {"data/mine.txt": "mine", f"data.of-{NOW}": "new"}


def test_history_and_checkpoints_are_no_files_of_the_repository(tmp_path):
    new = {".git/config": "new", ".ipynb_checkpoints/a.ipynb": "new", "f.txt": "1"}
    fates, _ = renewed(tmp_path, {"f.txt": "1"}, {"f.txt": "1", ".git/config": "mine"}, new)
    assert fates == {}


def test_a_kill_in_the_middle_loses_nothing_and_the_rest_is_done_the_next_time(tmp_path):
    base = dict.fromkeys(("1.txt", "2.txt", "3.txt"), "a\nb\nc\n")
    mine = dict.fromkeys(base, "mine\nb\nc\n")
    new = dict.fromkeys(base, "a\nb\nnew\n")
    folders = [
        write(tmp_path / name, files) for name, files in zip("bnh", (base, new, mine), strict=True)
    ]
    renewal = Renewal(*folders, OLD, NOW)
    renewal.take(next(renewal.steps()))
    for step in renewal.steps():
        renewal.take(step)
    left = read(tmp_path / "h")
    assert {left[name] for name in base} == {"mine\nb\nnew\n"}
    assert {body for name, body in left.items() if ".before-" in name} == {"mine\nb\nc\n"}
    assert len(left) == 2 * len(base)


def test_what_cannot_be_written_is_said_and_the_rest_is_done(tmp_path, monkeypatch):
    folders = [write(tmp_path / name, {"a.txt": "1", "b.txt": "1"}) for name in "bh"]
    new = write(tmp_path / "n", {"a.txt": "2", "b.txt": "2"})
    renewal = Renewal(folders[0], new, folders[1], OLD, NOW)
    take = Renewal.take

    def refused(self, step):
        if step.path == "a.txt":
            raise PermissionError(13, "Permission denied")
        take(self, step)

    monkeypatch.setattr(Renewal, "take", refused)
    fates = [renew_files._taken(renewal, step) for step in renewal.steps()]
    assert fates == ["failed", "updated"]
    assert read(tmp_path / "h") == {"a.txt": "1", "b.txt": "2"}


LINES = st.lists(st.sampled_from("abcdef"), max_size=8)


@settings(derandomize=True)
@given(LINES, LINES, LINES)
def test_a_merge_takes_what_only_one_has_changed_and_never_drops_a_persons_line(base, mine, new):
    made, conflicts = merge((base, mine, new), (base, mine, new))
    if mine == base:
        assert (made, conflicts) == (new, False)
    if new in (base, mine):
        assert (made, conflicts) == (mine, False)
    assert all(made.count(one) >= 1 for one in set(mine) - set(base))
