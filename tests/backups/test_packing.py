"""Homes of hostile making go into an archive, and come out, as they are."""

import os
import socket
import stat
import subprocess
import time

import pytest

from atoll.backups.packing import entered
from atoll.disk import entries, remove


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    remove(folder)


def listing(folder):
    """Return what is in *folder*: kinds, permissions, dates, and contents."""
    found = {}
    for entry in entries(folder):
        seen = entry.stat(follow_symlinks=False)
        told = [stat.S_IFMT(seen.st_mode), seen.st_mode & 0o777, int(seen.st_mtime)]
        if entry.is_symlink():
            told = [told[0], os.readlink(entry.path)]
        elif entry.is_file():
            with open(entry.path, "rb") as file:
                told.append(file.read())
        found[os.fsencode(entry.path)[len(os.fsencode(folder)) :]] = told
    return found


@pytest.mark.parametrize("name", ["backup.tar.gz", "backup.tar"])
def test_whatever_is_in_a_home_comes_back_as_it_was(home, through, name):
    (home / "work" / "deep").mkdir(parents=True)
    (home / "work" / "analysis.ipynb").write_bytes(os.urandom(3_000_000))
    (home / "empty").touch()
    (home / "read-only").mkdir()
    (home / "read-only" / "x").write_text("x")
    (home / "read-only").chmod(0o555)
    (home / "run.sh").write_text("#!/bin/sh\n")
    (home / "run.sh").chmod(0o4755)
    os.utime(home / "run.sh", (1_500_000_000, 1_500_000_000))
    (home / "out").symlink_to("/etc")
    (home / "nowhere").symlink_to("../../../../nowhere")
    (home / "loop").symlink_to("loop")
    os.mkfifo(home / "pipe")
    for odd in (b"\xff\xfe.txt", b"a\nb=\t12 path=x\n", "ünï✓.txt".encode(), b"-rf", b"x" * 255):
        with open(os.fsencode(home) + b"/" + odd, "wb") as file:
            file.write(odd)
    (home / "run.sh").chmod(0o755)
    expected = listing(home)
    found, packer = through(home, name)
    assert listing(found) == expected
    assert packer.remarks.told() == {}
    assert packer.files == 9
    (found / "read-only").chmod(0o755)


def test_what_is_set_to_run_as_its_owner_loses_that(home, through):
    (home / "su").touch()
    (home / "su").chmod(0o6755)
    found, _ = through(home)
    assert (found / "su").stat().st_mode & 0o7777 == 0o755


def test_names_of_one_file_are_names_of_one_file_again(home, through):
    (home / "first").write_bytes(b"x" * 10_000)
    (home / "folder").mkdir()
    os.link(home / "first", home / "folder" / "second")
    found, packer = through(home)
    assert (found / "first").samefile(found / "folder" / "second")
    assert packer.size == 10_000


def test_holes_stay_holes_and_take_no_time(home, through, tmp_path):
    huge = 1024**4
    with (home / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(huge // 2)
        file.write(b"middle")
        file.truncate(huge)
    with (home / "nothing").open("wb") as file:
        file.truncate(huge)
    began = time.monotonic()
    found, _ = through(home, "sparse.tar")
    assert time.monotonic() - began < 5
    assert (tmp_path / "sparse.tar").stat().st_size < 1024**2
    for name in ("sparse", "nothing"):
        assert (found / name).stat().st_size == huge
        assert (found / name).stat().st_blocks < 1000
    with (found / "sparse").open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(huge // 2)
        assert file.read(7) == b"middle\0"


def test_other_programs_read_the_archive(home, through, tmp_path):
    (home / "notes.txt").write_text("mine")
    with (home / "sparse").open("wb") as file:
        file.seek(10**9)
        file.write(b"end")
    through(home)
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / "backup.tar.gz", "-C", other], check=True)
    assert (other / "data" / "notes.txt").read_text() == "mine"
    assert (other / "data" / "sparse").stat().st_size == 10**9 + 3
    assert (other / "data" / "sparse").stat().st_blocks < 1000


def test_sockets_are_left_out_and_named(home, through):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "s"))
        found, packer = through(home)
    assert list(found.iterdir()) == []
    assert packer.remarks.told() == {"a socket or a device": {"count": 1, "some": ["data/s"]}}


def test_folders_without_end_are_passed_over_and_named(home, through):
    (home / "kept.txt").write_text("kept")
    here = os.open(home, os.O_RDONLY)
    for _ in range(900):
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    found, packer = through(home)
    assert (found / "kept.txt").read_text() == "kept"
    assert packer.remarks.counts == {"too deep": 1}
    remove(found)


def test_a_link_in_the_place_of_a_folder_is_never_followed(home, tmp_path):
    (tmp_path / "secret").mkdir()
    (home / "was-a-folder").symlink_to(tmp_path / "secret")
    top = os.open(home, os.O_RDONLY)
    with pytest.raises(OSError, match="Not a directory"), entered(top, "was-a-folder"):
        pass
    os.close(top)


def test_a_file_that_shrinks_while_it_is_read_is_padded_and_named(home, through, monkeypatch):
    (home / "log.txt").write_bytes(b"x" * 5000)
    fstat = os.fstat

    def and_shrink(descriptor):
        seen = fstat(descriptor)
        if stat.S_ISREG(seen.st_mode):
            os.truncate(home / "log.txt", 100)
        return seen

    monkeypatch.setattr(os, "fstat", and_shrink)
    found, packer = through(home)
    monkeypatch.undo()
    assert (found / "log.txt").read_bytes() == b"x" * 100 + b"\0" * 4900
    assert packer.remarks.counts == {"changed meanwhile": 1}


def test_what_cannot_be_read_is_named_and_the_rest_goes_in(home, through, monkeypatch):
    (home / "closed").write_text("x")
    (home / "open").write_text("y")
    opened = os.open

    def refuse(path, *more, **named):
        if path == "closed":
            raise PermissionError(13, "Permission denied")
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "open", refuse)  # root may read all
    found, packer = through(home)
    monkeypatch.undo()
    assert [one.name for one in found.iterdir()] == ["open"]
    assert packer.remarks.counts == {"unreadable": 1}


def test_many_small_files_take_little_time(home, through):
    for folder in range(4):
        (home / str(folder)).mkdir()
        for file in range(1500):
            (home / str(folder) / str(file)).write_text("small")
    began = time.monotonic()
    found, packer = through(home)
    took = time.monotonic() - began
    assert packer.files == 6000
    assert sum(1 for entry in entries(found) if entry.is_file()) == 6000
    assert took < 20
