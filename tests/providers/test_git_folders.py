"""A folder of this machine is taken as it is, whole, and left alone."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime

import pytest

from atoll.errors import BadSpecification, NotFound, Refused, TooLarge
from atoll.sources.parsing import parse
from support.gitservers import make_repo, run_git


@pytest.fixture
def source(make_source):
    return make_source(trusted=True)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "project"
    (folder / "nb").mkdir(parents=True)
    (folder / "requirements.txt").write_text("six\n")
    (folder / "nb/a b.ipynb").write_text("{}")
    (folder / "link").symlink_to("nb")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "empty").mkdir()
    return folder


async def test_a_plain_folder_is_copied(folder, source, open_text):
    checkout = await open_text(str(folder), source)
    tree = checkout.path
    assert tree != folder
    assert (tree / "nb/a b.ipynb").read_text() == "{}"
    assert (tree / "link").readlink().name == "nb"
    assert os.access(tree / "run.sh", os.X_OK)
    assert (tree / "empty").is_dir()
    assert checkout.files == {"requirements.txt": b"six\n"}
    assert checkout.warnings == ()
    assert abs((datetime.now(UTC) - checkout.ref.date).total_seconds()) < 60
    assert set(checkout.changed) == {"requirements.txt"}


async def test_a_plain_folder_is_as_old_as_its_files(folder, source, open_text):
    for path, year in (("requirements.txt", 2021), ("nb/a b.ipynb", 2023), ("run.sh", 1980)):
        stamp = datetime(year, 5, 6, tzinfo=UTC).timestamp()
        os.utime(folder / path, (stamp, stamp))
    checkout = await open_text(str(folder), source)
    assert checkout.ref.date.year == 2023
    assert checkout.changed["requirements.txt"].year == 2021


async def test_a_date_that_no_author_meant_is_now(folder, source, open_text):
    for path in ("requirements.txt", "nb/a b.ipynb", "run.sh"):
        os.utime(folder / path, (0, 0))
    checkout = await open_text(str(folder), source)
    assert abs((datetime.now(UTC) - checkout.ref.date).total_seconds()) < 60


async def test_a_clean_checkout_is_its_newest_commit(tmp_path, source, open_text):
    course = tmp_path / "course"
    commit = make_repo(course, {"requirements.txt": "six\n"}, date="2021-03-04T12:00:00Z")
    checkout = await open_text(str(course), source)
    assert checkout.ref.version == commit
    assert checkout.changed["requirements.txt"].year == 2021
    (course / "new.txt").write_text("in no commit")
    assert (await open_text(str(course), source)).ref.version != commit


async def test_a_checkout_without_commits_is_a_plain_folder(folder, source, open_text):
    run_git(folder, "init", "--quiet")
    assert (await open_text(str(folder), source)).path


async def test_the_same_content_is_the_same_version(folder, source, open_text):
    first = await open_text(str(folder), source)
    second = await open_text(str(folder), source)
    assert (first.ref.version, first.ref.tree, first.path) == (second.ref.version, second.ref.tree, second.path)  # fmt: skip
    for change in (
        lambda: (folder / "nb/a b.ipynb").write_text("{ }"),
        lambda: (folder / "run.sh").chmod(0o644),
        (folder / "new").mkdir,
        (folder / "link").unlink,
        lambda: (folder / "requirements.txt").rename(folder / "r.txt"),
    ):
        change()
        third = await open_text(str(folder), source)
        assert third.ref.tree != second.ref.tree
        second = third


async def test_a_checkout_is_taken_with_its_changes_and_says_so(tmp_path, source, open_text):
    course = tmp_path / "course"
    commit = make_repo(course, {"a.txt": "committed", ".gitignore": "data\n"})
    clean = await open_text(str(course), source)
    assert clean.warnings == ()
    (course / "a.txt").write_text("changed")
    (course / "data").write_text("ignored by git")
    dirty = await open_text(str(course), source)
    assert (dirty.path / "a.txt").read_text() == "changed"
    assert (dirty.path / "data").read_text() == "ignored by git"
    assert "not committed" in dirty.warnings[0]
    assert run_git(dirty.path, "rev-parse", "HEAD") == commit
    committed = await open_text(f"{course}@main", source)
    assert committed.ref.version == commit
    assert (committed.path / "a.txt").read_text() == "committed"


async def test_a_bare_repository_is_opened_at_its_head(tmp_path, source, open_text):
    commit = make_repo(tmp_path / "course", {"a.txt": "1"})
    run_git(tmp_path, "clone", "--quiet", "--bare", "course", "bare.git")
    assert (await open_text(str(tmp_path / "bare.git"), source)).ref.version == commit


async def test_a_plain_folder_has_no_versions(folder, source):
    with pytest.raises(NotFound, match="no version"):
        await source.resolve(parse(f"{folder}@main").repo)


async def test_a_folder_that_is_not_there_is_not_found(tmp_path, source):
    for text in (f"{tmp_path}/nowhere", f"{tmp_path}/nowhere@main"):
        with pytest.raises(NotFound):
            await source.resolve(parse(text).repo)


async def test_a_folder_over_the_limit_is_refused_uncopied(folder, make_source, tmp_path):
    with (folder / "big").open("wb") as stream:
        stream.write(os.urandom(3 * 1024**2))
    with pytest.raises(TooLarge):
        await make_source(trusted=True, max_size="2M").resolve(parse(str(folder)).repo)
    assert not (tmp_path / "data/checkouts").exists()


async def test_sockets_are_left_out_and_named(folder, source, open_text, monkeypatch):
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("s.sock")
        checkout = await open_text(str(folder), source)
    assert not (checkout.path / "s.sock").exists()
    assert checkout.warnings == ("s.sock is not a file and was left out.",)


async def test_a_requirements_file_that_is_a_pipe_is_refused(folder, source, open_text):
    (folder / "requirements.txt").unlink()
    os.mkfifo(folder / "requirements.txt")
    with pytest.raises(BadSpecification, match=r"requirements\.txt"):
        await open_text(str(folder), source)


async def test_a_folder_that_changes_meanwhile_is_not_taken_by_halves(folder, source, tmp_path):
    ref = await source.resolve(parse(str(folder)).repo)
    (folder / "new.txt").write_text("new")
    with pytest.raises(NotFound, match="changed"):
        await source.fetch(ref, lambda _: None)
    assert not [one for one in (tmp_path / "data/checkouts").iterdir() if one.is_dir()]


async def test_the_folder_of_atolls_own_data_is_refused(tmp_path, source):
    (tmp_path / "data").mkdir()
    with pytest.raises(Refused, match="own data"):
        await source.resolve(parse(str(tmp_path)).repo)


async def test_a_checkout_that_names_programs_runs_none(tmp_path, source, open_text):
    course, mark = tmp_path / "course", tmp_path / "mark"
    make_repo(course, {"a.txt": "1", ".gitattributes": "* filter=x\n"})
    run_git(course, "config", "core.fsmonitor", f"touch {mark}")
    run_git(course, "config", "filter.x.clean", f"touch {mark}; cat")
    run_git(course, "config", "core.sshCommand", f"touch {mark}")
    mark.unlink(missing_ok=True)
    (course / "a.txt").write_text("2")
    assert (await open_text(str(course), source)).path
    assert not mark.exists()
