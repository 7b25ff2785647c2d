"""Folders as hostile code leaves them: they are measured and removed all the same."""

from __future__ import annotations

import os

import pytest

from atoll.disk import discard, entries, freed, locked, remove, usage
from atoll.engines.local.owners import FIRST, give
from atoll.engines.local.volumes import size
from atoll.engines.local.workshop import changed

DEPTH = 3000  # beyond Python's recursion, and with names of two letters beyond a path's 4096 bytes


def nest(folder):
    """Nest folders in *folder*, with a file in the deepest."""
    folder.mkdir(parents=True, exist_ok=True)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("dd", dir_fd=here)
        inner = os.open("dd", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    return folder


@pytest.fixture
def deep(tmp_path):
    folder = nest(tmp_path / "deep")
    yield folder
    remove(folder)  # pytest's own way of clearing up would not manage


def test_folders_nested_thousands_deep_are_removed(deep):
    remove(deep)
    assert not deep.exists()


def test_they_are_discarded_too(deep):
    discard([deep])
    assert list(deep.parent.iterdir()) == []


def test_they_can_be_measured_compared_and_given_away(deep, tmp_path):
    (deep / "f").write_bytes(b"x" * 10_000)
    assert size(deep) >= 10_000
    assert usage({"one": deep})["one"].all >= 10_000
    assert changed(deep, tmp_path)
    assert sum(1 for _ in entries(deep)) > 1000
    give(deep, FIRST + 77 if os.getuid() == 0 else os.getuid())


def test_folders_without_permissions_are_removed(tmp_path):
    inner = tmp_path / "made" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "f").write_text("x")
    for folder in (inner, inner.parent):
        folder.chmod(0)
    remove(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_no_link_is_followed_and_odd_names_and_fifos_go(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "f").write_text("precious")
    made = tmp_path / "made"
    (made / "in").mkdir(parents=True)
    (made / "link").symlink_to(kept)
    (made / "in" / "link").symlink_to(kept)
    os.mkfifo(made / "fifo")
    (made / os.fsdecode(b"bad\xff\n\x1b[31m")).mkdir()
    remove(made)
    assert not made.exists()
    assert (kept / "f").read_text() == "precious"


def test_a_link_in_the_place_of_the_folder_is_left_alone(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "link").symlink_to(kept)
    remove(tmp_path / "link")
    assert kept.exists()
    remove(tmp_path / "nothing")  # may be gone already


def test_only_what_has_no_name_elsewhere_is_freed(tmp_path):
    for name in ("a", "b", "kept"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "f").write_bytes(b"x" * 8192)
    os.link(tmp_path / "a" / "f", tmp_path / "b" / "f")
    (tmp_path / "b" / "g").write_bytes(b"x" * 4096)
    os.link(tmp_path / "b" / "g", tmp_path / "kept" / "g")
    assert freed([tmp_path / "a"]) == 0
    assert freed([tmp_path / "a", tmp_path / "b"]) == 8192


def held_alone(file):
    return locked(file, alone=True, wait=False)


def test_a_lock_is_held_by_many_or_by_one_alone(tmp_path):
    file = tmp_path / "lock"
    with locked(file), locked(file), pytest.raises(BlockingIOError), held_alone(file):
        pass
    with locked(file, alone=True), pytest.raises(BlockingIOError), locked(file, wait=False):
        pass
    with held_alone(file):
        pass
    with pytest.raises(FileNotFoundError), locked(tmp_path / "no" / "lock"):
        pass
