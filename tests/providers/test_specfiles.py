"""Nothing outside the checkout is ever read, whatever a repository calls requirements.txt."""

from __future__ import annotations

import os
import time

import pytest

from atoll.errors import BadSpecification
from atoll.providers.specfiles import NAMES, read_files
from support.gitservers import Link, make_repo


def put(tree, files):
    for name, body in files.items():
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(body, Link):
            place.symlink_to(body.target)
        else:
            place.write_text(body)
    return tree


def test_files_are_read_at_the_top_and_in_both_binder_folders(tmp_path):
    files = {"setup.py": "1", "binder/postBuild": "2", ".binder/start": "3", "x/setup.py": "4"}
    read = read_files(put(tmp_path, files))
    assert read == {"setup.py": b"1", "binder/postBuild": b"2", ".binder/start": b"3"}


def test_every_name_is_looked_for(tmp_path):
    put(tmp_path, dict.fromkeys(NAMES, "x"))
    assert set(read_files(tmp_path)) == set(NAMES)


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../secret", "a/../../secret", "/dev/zero", "loop", "../tree/../secret"],
)
def test_a_link_that_leads_out_is_refused(tmp_path, target):
    tree = tmp_path / "tree"
    put(tree, {"a/x": "", "requirements.txt": Link(target), "loop": Link("loop")})
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(BadSpecification, match=r"requirements\.txt"):
        read_files(tree)


def test_a_folder_that_leads_out_is_refused(tmp_path):
    put(tmp_path / "other", {"requirements.txt": "secret"})
    put(tmp_path / "tree", {"binder": Link("../other")})
    with pytest.raises(BadSpecification, match="binder"):
        read_files(tmp_path / "tree")


def test_a_link_that_stays_inside_is_followed(tmp_path):
    files = {
        "env/base.txt": "six",
        "requirements.txt": Link("env/base.txt"),
        "binder": Link("env/../deep/binder"),
        "deep/binder/postBuild": "true",
        "deep/binder/apt.txt": Link("../../env/./base.txt"),
    }
    read = read_files(put(tmp_path, files))
    assert read["requirements.txt"] == b"six"
    assert read["binder/postBuild"] == b"true"
    assert read["binder/apt.txt"] == b"six"


def test_a_link_to_nothing_is_no_file(tmp_path):
    assert read_files(put(tmp_path, {"requirements.txt": Link("gone")})) == {}


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "requirements.txt")
    begun = time.monotonic()
    with pytest.raises(BadSpecification, match=r"requirements\.txt is not a regular file"):
        read_files(tmp_path)
    assert time.monotonic() - begun < 2


def test_a_device_is_refused(tmp_path):
    """Only root may make devices; everybody else finds one by the link, refused above."""
    if os.getuid():
        put(tmp_path, {"requirements.txt": Link("/dev/zero")})
    else:
        os.mknod(tmp_path / "requirements.txt", 0o020666, os.makedev(1, 5))
    with pytest.raises(BadSpecification, match=r"requirements\.txt"):
        read_files(tmp_path)


def test_a_file_of_two_gigabytes_is_refused_unread(tmp_path):
    with (tmp_path / "requirements.txt").open("wb") as stream:
        stream.truncate(2 * 1024**3)
    with pytest.raises(BadSpecification, match=r"requirements\.txt is larger than 1 MB"):
        read_files(tmp_path)


def test_a_lock_of_conda_packages_may_be_larger(tmp_path):
    put(tmp_path, {"conda-lock.yml": "x" * (3 * 1024**2)})
    assert len(read_files(tmp_path)["conda-lock.yml"]) == 3 * 1024**2
    os.truncate(tmp_path / "conda-lock.yml", 17 * 1024**2)
    with pytest.raises(BadSpecification, match=r"conda-lock\.yml is larger than 16 MB"):
        read_files(tmp_path)


def test_folders_of_such_names_are_no_specification(tmp_path):
    assert (
        read_files(put(tmp_path, {"start/x": "1", "environment.yml/x": "1", "binder": "x"})) == {}
    )


def test_included_requirements_are_read_too(tmp_path):
    files = {
        "requirements.txt": "-r more/a.txt\n--constraint=c.txt # why\n-rb.txt\n-e .\nsix\n",
        "more/a.txt": "--requirement \\\n ../deep/d.txt\n-c https://example.org/x.txt\n",
        "deep/d.txt": "-r ../requirements.txt\n-r gone.txt\n",
        "c.txt": "six==1",
        "b.txt": "attrs",
        "binder/requirements.txt": "-r ../more/a.txt",
        "unused.txt": "x",
    }
    read = read_files(put(tmp_path, files))
    assert set(read) == set(files) - {"unused.txt"}


@pytest.mark.parametrize("where", ["../secret", "/etc/passwd", "more/../../secret", "out"])
def test_an_include_that_leads_out_is_refused(tmp_path, where):
    (tmp_path / "secret").write_text("secret")
    tree = put(tmp_path / "tree", {"requirements.txt": f"-r {where}", "out": Link("../secret")})
    with pytest.raises(BadSpecification):
        read_files(tree)


def test_too_many_includes_are_refused(tmp_path):
    files = {f"{n}.txt": f"-r {n + 1}.txt" for n in range(200)}
    with pytest.raises(BadSpecification, match="too many"):
        read_files(put(tmp_path, {"requirements.txt": "-r 0.txt", **files}))


async def test_a_repository_with_such_a_link_is_refused_and_not_kept(remote, base, open_text):
    make_repo(remote / "bad", {"requirements.txt": Link("/etc/passwd")})
    for _ in range(2):
        with pytest.raises(BadSpecification, match=r"requirements\.txt"):
            await open_text(f"{base}/bad")


@pytest.mark.parametrize(
    "text",
    [
        "dependencies:\n  - pip:\n    - -r more.txt\n",
        "dependencies:\n  - pip:\n    - '--requirement=more.txt' # x\n",
        "dependencies: [{pip: [six, '-c more.txt']}]\n",
    ],
)
def test_what_the_lines_for_pip_of_an_environment_yml_include_is_read_too(tmp_path, text):
    files = {
        "binder/environment.yml": text,
        "binder/more.txt": "-r other.txt",
        "binder/other.txt": "six",
    }
    assert set(read_files(put(tmp_path, files))) == set(files)
