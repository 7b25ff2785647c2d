"""Newer files reach a home in a real box, whoever owns it, and its git history goes along."""

from __future__ import annotations

import os
import subprocess

import pytest

from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.runner import LocalRunner
from atoll.engines.local.volumes import claim, fill, kept_home, origin
from atoll.errors import StartFailed
from atoll.settings import Settings
from atoll.volumes.renewal import Fate, Tree

WHOSE = ("ada", "first")


@pytest.fixture
def runner(tmp_path):
    return LocalRunner(Settings(data=tmp_path))


def git(folder, *words):
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    command = ["git", "-C", str(folder), "-c", f"safe.directory={folder}", *names, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def versions(tmp_path, *trees):
    """Return clones of a repository, one at each of its versions."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    made = []
    for files in trees:
        for name, text in files.items():
            (folder / name).write_text(text)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "x")
        clone = tmp_path / f"checkout-{len(made)}"
        git(tmp_path, "clone", "--quiet", str(folder), str(clone))
        made.append(Tree(git(folder, "rev-parse", "HEAD"), clone))
    return made


def filled(runner, tree):
    home = kept_home(runner.settings, *WHOSE)
    claim(home, "https://example.org/r", tree.version)
    fill(home, tree.folder, person_owner(runner.settings, "ada"))
    return home


def written(home, name, text):
    (home / name).write_text(text)
    give(home / name, home.stat().st_uid if os.geteuid() == 0 else None)


async def test_files_and_history_are_of_the_newer_version_and_a_persons_change_is_theirs(
    runner, tmp_path
):
    old, new = versions(tmp_path, {"a": "1", "b": "1\n2\n3\n"}, {"a": "2", "b": "1\n2\nnew\n"})
    home = filled(runner, old)
    written(home, "b", "mine\n2\n3\n")
    looked = await runner.renew(*WHOSE, old, new, look=True)
    assert (home / "a").read_text() == "1"
    assert origin(home) == old.version
    done = await runner.renew(*WHOSE, old, new)
    assert done == looked
    assert [(one.path, one.fate) for one in done.changes] == [
        ("a", Fate.UPDATED),
        ("b", Fate.MERGED),
    ]
    assert (home / "b").read_text() == "mine\n2\nnew\n"
    assert (home / "a").stat().st_uid == home.stat().st_uid
    assert origin(home) == new.version
    assert git(home, "rev-parse", "HEAD") == new.version
    changed = git(home, "status", "--porcelain").splitlines()
    assert sorted(changed) == ["?? b.before-" + new.version[:7], " M b".strip()]
    assert not list(tmp_path.glob("renewing-*"))


async def test_who_has_committed_keeps_their_history(runner, tmp_path):
    old, new = versions(tmp_path, {"a": "1"}, {"a": "2"})
    home = filled(runner, old)
    git(home, "commit", "--quiet", "--allow-empty", "--message", "mine")
    for entry in [*home.rglob("*"), home]:
        give(entry, home.stat().st_uid if os.geteuid() == 0 else None)
    mine = git(home, "rev-parse", "HEAD")
    await runner.renew(*WHOSE, old, new)
    assert git(home, "rev-parse", "HEAD") == mine
    assert (home / "a").read_text() == "2"


async def test_a_hook_of_the_homes_is_not_run(runner, tmp_path):
    old, new = versions(tmp_path, {"a": "1"}, {"a": "2"})
    home = filled(runner, old)
    hook = home / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch ~/ran\n")
    hook.chmod(0o755)
    await runner.renew(*WHOSE, old, new)
    assert git(home, "rev-parse", "HEAD") == new.version
    assert not (home / "ran").exists()


async def test_what_cannot_be_done_says_so_and_the_version_stays(runner, tmp_path):
    old, new = versions(tmp_path, {"a": "1"}, {"a": "2"})
    home = filled(runner, old)
    gone = Tree(new.version, tmp_path / "nowhere")
    with pytest.raises(StartFailed, match="newer files could not be brought in"):
        await runner.renew(*WHOSE, old, gone)
    assert (origin(home), (home / "a").read_text()) == (old.version, "1")
