"""Any version of a Mercurial repository becomes a work tree, pinned, dated and made once."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

import pytest

from atoll.errors import Lacking, NotFound, Refused, TooLarge, Unreachable
from atoll.providers.mercurial import commands
from atoll.sources import RepoRef
from atoll.sources.parsing import parse
from support.gitservers import Link
from support.hgservers import make_hg, run_hg, serve_hg
from support.lookups import look_up_as
from support.sshserver import serve_ssh

START = "#!/bin/sh\n"


def make_course(folder):
    """Make a repository with a branch, a tag and a bookmark; return the ids of its changesets."""
    ids = [make_hg(folder, {"requirements.txt": "six\n", "start": START, "a": Link("start")})]
    ids.append(make_hg(folder, {"b.ipynb": "{}"}, "2024-05-07 12:00 +0000", "stable"))
    run_hg(folder, "tag", "--local", "v1")
    run_hg(folder, "update", "default")
    ids.append(make_hg(folder, {"c": "3"}, "2024-05-08 12:00 +0000"))
    run_hg(folder, "bookmark", "--rev=0", "first")
    return ids


@pytest.fixture(scope="module")
def course(served):
    return make_course(served.root / "course")


async def test_a_repository_becomes_a_work_tree(served, course, make_hg_source, open_hg):
    ids = course
    told = []
    checkout = await open_hg(f"hg+{served.base}/course", told=told)
    ref, tree = checkout.ref, checkout.path
    assert ref.version == ids[2]
    assert ref.date == datetime(2024, 5, 8, 12, tzinfo=UTC)
    assert checkout.files == {"requirements.txt": b"six\n", "start": START.encode()}
    changed = datetime(2024, 5, 6, 10, tzinfo=UTC)
    assert checkout.changed == {"requirements.txt": changed, "start": changed}
    assert checkout.warnings == ()
    assert (tree / "start").stat().st_mode & 0o100
    assert (tree / "a").readlink().name == "start"
    assert [event.message for event in told] == [f"Fetching hg+{served.base}/course"]
    asked = served.seen("course")
    again = make_hg_source()
    pinned = RepoRef("mercurial", f"hg+{served.base}/course", ids[2])
    assert (await again.fetch(await again.resolve(pinned), print)).path == tree
    assert served.seen("course") == asked  # what is here already is asked of nobody


async def test_people_can_go_on_in_the_work_tree(served, open_hg):
    folder = served.root / "open"
    ids = make_course(folder)
    tree = (await open_hg(f"hg+{served.base}/open@stable")).path
    assert run_hg(tree, "status") == ""
    assert run_hg(tree, "identify", "--debug", "--id") == ids[1]
    assert run_hg(tree, "branch") == "stable"
    assert run_hg(tree, "paths", "default") == f"{served.base}/open"
    newer = make_hg(folder, {"d": "4"})
    run_hg(tree, "pull")
    assert run_hg(tree, "log", "--rev=tip", "--template={node}") == newer


async def test_a_version_is_a_branch_a_bookmark_a_tag_or_an_id(served, course, make_hg_source):
    ids = course
    source, base = make_hg_source(), f"hg+{served.base}/course"
    named = {"stable": ids[1], "first": ids[0], "v1": ids[1], ids[1][:10]: ids[1]}
    for version, node in {**named, ids[1].upper(): ids[1]}.items():
        ref = await source.resolve(parse(base, version).repo)
        assert (ref.version, ref.repo.version) == (node, version)


async def test_without_a_version_it_is_what_hg_clone_would_open_now(served, make_hg_source):
    folder = served.root / "moving"
    source, repo = make_hg_source(), parse(f"hg+{served.base}/moving").repo
    first = make_hg(folder, {"x": "1"}, branch="other")
    assert (await source.resolve(repo)).version == first  # the tip
    second = make_hg(folder, {"x": "2"}, branch="default")
    make_hg(folder, {"x": "3"}, branch="newer")
    assert (await source.resolve(repo)).version == second
    run_hg(folder, "bookmark", "--rev=0", "@")
    assert (await source.resolve(repo)).version == first


async def test_a_crowd_asks_and_pulls_once(served, make_hg_source):
    make_hg(served.root / "crowd", {"c": "3"})
    source, repo = make_hg_source(), parse(f"hg+{served.base}/crowd@tip").repo
    refs = await asyncio.gather(*(source.resolve(repo) for _ in range(20)))
    assert len(set(refs)) == 1
    asked = " ".join(served.seen("crowd"))
    assert asked.count("cmd=lookup") == 1
    assert asked.count("cmd=getbundle") == 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_where_git_is_asked_for_it_the_hint_says_how_it_is_written(
    served, course, make_source, trusted
):
    with pytest.raises(Unreachable) as caught:
        await make_source(trusted=trusted).resolve(parse(f"{served.base}/course").repo)
    assert "write hg+ before its address" in caught.value.hint


async def test_what_is_not_there_is_said(served, course, make_hg_source):
    source = make_hg_source()

    async def failure(kind, text):
        with pytest.raises(kind) as caught:
            await source.resolve(parse(text).repo)
        assert caught.value.hint
        return str(caught.value)

    base = f"{served.base}/course"
    said = f"There is no version “nope” of {base}."
    assert await failure(NotFound, f"hg+{base}@nope") == said
    assert await failure(NotFound, f"hg+{base}@{'ab' * 20}") == said.replace("nope", "ab" * 20)
    said = f"There is no Mercurial repository at {served.base}/none, or it is private."
    assert await failure(NotFound, f"hg+{served.base}/none") == said
    (served.root / "empty").mkdir()
    run_hg(served.root / "empty", "init")
    assert await failure(NotFound, f"hg+{served.base}/empty") == f"{served.base}/empty is empty."


async def test_without_hg_a_sentence_says_what_to_install(tmp_path, make_hg_source, monkeypatch):
    monkeypatch.setattr(commands.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Lacking, match="no Mercurial here") as caught:
        await make_hg_source().resolve(parse("hg+http://127.0.0.1/x").repo)
    assert "pip install mercurial" in caught.value.hint


async def test_subrepositories_are_left_out_and_said(served, open_hg):
    make_hg(served.root / "inner", {"x": "1"})
    outer = served.root / "outer"
    make_hg(outer, {"requirements.txt": "six\n"})
    run_hg(outer, "clone", str(served.root / "inner"), "sub")
    make_hg(outer, {".hgsub": f"sub = {served.base}/inner\n"})
    checkout = await open_hg(f"hg+{served.base}/outer")
    assert not (checkout.path / "sub").exists()
    assert checkout.warnings == (
        "Its subrepositories (.hgsub) were left out: they are not fetched.",
    )
    assert served.seen("inner") == []


async def test_large_files_that_are_kept_apart_are_refused(tmp_path, make_hg_source):
    large = ["extensions.largefiles="]
    folder = tmp_path / "large"
    make_hg(folder, {"x": "1"})
    (folder / "data.bin").write_text("2")
    run_hg(folder, "add", "--large", "data.bin", config=large)
    run_hg(folder, "commit", "--message=x", "--user=ada", config=large)
    with serve_hg(tmp_path, config=large) as served, pytest.raises(Refused, match="large files"):
        await make_hg_source().resolve(parse(f"hg+{served.base}/large").repo)


async def test_over_https_the_name_is_verified_at_the_address_that_was_checked(
    tmp_path, certificate, make_hg_source, monkeypatch
):
    """The names exist nowhere: only the address that was checked can have been used."""
    (tmp_path / "remote").mkdir()
    node = make_hg(tmp_path / "remote" / "course", {"x": "1"})
    source = make_hg_source(allow=["127.0.0.0/8"])
    with serve_hg(tmp_path / "remote", certificate) as served:
        port = int(served.base.rpartition(":")[2])
        look_up_as(monkeypatch, [("127.0.0.1", port)])
        ref = await source.resolve(parse(f"hg+https://git.example.org:{port}/course").repo)
        assert ref.version == node
        with pytest.raises(Unreachable, match="certificate"):
            await source.resolve(parse(f"hg+https://other.example.org:{port}/course").repo)


async def test_what_a_killed_hg_left_is_undone(served, tmp_path, make_hg_source):
    folder = served.root / "killed"
    make_hg(folder, {"c": "3"})
    source, repo = make_hg_source(), parse(f"hg+{served.base}/killed@tip").repo
    await source.resolve(repo)
    newer = make_hg(folder, {"d": "4"})
    [mirror] = (tmp_path / "data" / "mirrors").glob("*.hg")
    dying = ["hooks.pretxnchangegroup=kill -9 $PPID"]
    with pytest.raises(AssertionError):
        run_hg(mirror, "pull", repo.locator.removeprefix("hg+"), config=dying)
    assert (mirror / ".hg/store/journal").exists()
    assert (await source.resolve(repo)).version == newer


async def test_a_repository_that_is_too_large_leaves_nothing(served, tmp_path, make_hg_source):
    noise = "".join(f"{n * n * n % 1000003}\n" for n in range(400_000))
    make_hg(served.root / "large", {"x": noise})
    with pytest.raises(TooLarge):
        await make_hg_source(max_size="1M").resolve(parse(f"hg+{served.base}/large").repo)
    assert not list((tmp_path / "data" / "mirrors").glob("*.hg"))


@pytest.fixture
def over_ssh(tmp_path, monkeypatch):
    """A server of ssh whose host, and the way to whose hg, only the person's configuration knows."""
    with serve_ssh(tmp_path / "ssh") as server:
        person = tmp_path / "hgrc"
        hg = commands.find_hg(os.environ["PATH"])
        person.write_text(f"[ui]\nssh = ssh -F {server.client}\nremotecmd = {hg}\n")
        monkeypatch.setenv("HGRCPATH", str(person))
        yield server


async def test_over_ssh_the_persons_own_configuration_is_used(over_ssh, make_hg_source):
    folder = over_ssh.folder / "course"
    node = make_hg(folder, {"x": "1"})
    source, repo = make_hg_source(trusted=True), parse(f"hg+{over_ssh.url}/{folder}").repo
    assert (await source.resolve(repo)).version == node
    (over_ssh.folder / "known_hosts").write_text("")
    async with asyncio.timeout(20):
        with pytest.raises(Refused, match="Nobody here has said yet"):
            await make_hg_source(trusted=True).resolve(repo)
