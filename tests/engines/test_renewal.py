"""Newer files reach a home in a real box, whoever owns it, and its git history goes along."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.engines.local.owners import give, person_owner
from atoll.engines.local.runner import LocalRunner
from atoll.engines.local.volumes import claim, fill, kept_home, origin
from atoll.errors import StartFailed
from atoll.settings import Settings
from atoll.volumes.renewal import NOTHING, Fate, Tree

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


def built(runner, tree, key, **made):
    """Return *tree* with an environment *key* whose build has left what it *made* in its files."""
    home = runner.settings.data / "environments" / key / "home"
    shutil.copytree(tree.folder, home)
    for name, text in made.items():
        (home / name).write_text(text)
        (home / name).chmod(0o600)  # nobody's but the builder's
    return replace(tree, environment=str(home.parent))


async def test_what_a_build_makes_of_the_files_comes_like_the_repositorys_own(runner, tmp_path):
    old, new = versions(tmp_path, {"a": "1"}, {"a": "2"})
    old = built(runner, old, "k1", made="once", mine="once", gone="once")
    new = built(runner, new, "k2", made="twice", mine="twice", added="twice")
    home = kept_home(runner.settings, *WHOSE)
    claim(home, "https://example.org/r", old.version, "k1")
    fill(home, Path(old.environment) / "home", person_owner(runner.settings, "ada"))
    written(home, "mine", "changed")
    done = await runner.renew(*WHOSE, replace(old, environment=""), new)
    assert {one.path: one.fate for one in done.changes} == {
        "a": Fate.UPDATED,
        "added": Fate.ADDED,
        "gone": Fate.REMOVED,
        "made": Fate.UPDATED,
        "mine": Fate.BESIDE,
    }
    assert (home / "made").read_text() == "twice"
    assert (home / "made").stat().st_uid == home.stat().st_uid
    assert (home / "mine").read_text() == "changed"
    assert await runner.renew(*WHOSE, new, new) == NOTHING


async def test_what_a_build_makes_comes_after_the_files_and_what_it_made_before_may_be_gone(
    runner, tmp_path
):
    old, new = versions(tmp_path, {"a": "1"}, {"a": "2"})
    made = built(runner, old, "k1", made="once")
    home = kept_home(runner.settings, *WHOSE)
    claim(home, "https://example.org/r", old.version, "k1")
    fill(home, Path(made.environment) / "home", person_owner(runner.settings, "ada"))
    await runner.renew(*WHOSE, old, new)  # as `atoll update` does, which builds nothing
    assert (home / "made").read_text() == "once"
    shutil.rmtree(made.environment)
    await runner.renew(*WHOSE, new, built(runner, new, "k2", made="twice"))
    assert (home / "made").read_text() == "twice"
    assert [one.read_text() for one in home.glob("made.before-*")] == ["once"]
