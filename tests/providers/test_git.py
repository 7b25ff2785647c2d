"""A reference becomes a commit, and a commit a work tree, over a real git server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from atoll.errors import BadReference, NotFound, Unreachable
from atoll.sources import RepoRef
from atoll.sources.parsing import parse
from support.gitservers import Link, make_repo, run_git

FILES = {"requirements.txt": "six==1.16\n", "nb/a b.ipynb": "{}", "README.md": "hello"}


def lists_of(seen):
    return [line for line in seen if "info/refs" in line]


async def test_head_is_resolved_to_commit_tree_and_date(remote, base, make_source):
    commit = make_repo(remote / "course", FILES, date="2019-03-04T23:30:00-05:00")
    ref = await make_source().resolve(parse(f"{base}/course").repo)
    assert ref.version == commit
    assert ref.tree == run_git(remote / "course", "rev-parse", "HEAD^{tree}")
    assert ref.date == datetime(2019, 3, 5, 4, 30, tzinfo=UTC)
    assert ref.date.tzinfo is UTC


async def test_every_kind_of_version_is_found(remote, base, make_source):
    course = remote / "course"
    first = make_repo(course, FILES)
    run_git(course, "tag", "light")
    run_git(course, "tag", "-a", "v1.0", "-m", "annotated")
    second = make_repo(course, {"x": "2"}, branch="feature/x")
    third = make_repo(course, {"x": "3"}, branch="main")
    source = make_source()

    async def commit(version: str) -> str:
        return (await source.resolve(RepoRef("git", f"{base}/course", version))).version

    assert await commit("HEAD") == third
    assert await commit("main") == third
    assert await commit("refs/heads/main") == third
    assert await commit("feature/x") == second
    assert await commit("light") == first
    assert await commit("v1.0") == first
    assert await commit(second) == second
    assert await commit(second[:7]) == second


async def test_the_path_of_a_pasted_url_is_told_from_its_branch(remote, base, make_source):
    make_repo(remote / "o/r", FILES)
    slashed = make_repo(remote / "o/r", {"x": "2"}, branch="feature/x")
    source = make_source()
    ref = await source.resolve(parse(f"{base}/o/r/blob/main/nb/a%20b.ipynb").repo)
    assert (ref.repo.version, ref.path) == ("main", "nb/a b.ipynb")
    assert not ref.repo.path_follows
    ref = await source.resolve(parse(f"{base}/o/r/tree/feature/x/nb").repo)
    assert (ref.repo.version, ref.path, ref.version) == ("feature/x", "nb", slashed)
    ref = await source.resolve(parse(f"{base}/o/r/tree/{slashed}/nb").repo)
    assert (ref.path, ref.version) == ("nb", slashed)
    with pytest.raises(NotFound):
        await source.resolve(parse(f"{base}/o/r/tree/nowhere/nb").repo)


async def test_a_path_that_is_not_there_is_warned_of(remote, base, open_text):
    make_repo(remote / "o/r", FILES)
    assert not (await open_text(f"{base}/o/r/blob/main/README.md")).warnings
    checkout = await open_text(f"{base}/o/r/blob/main/gone.ipynb")
    assert checkout.warnings == ("There is no gone.ipynb in this version.",)


async def test_what_is_missing_is_said_with_what_is_near(remote, base, make_source):
    make_repo(remote / "course", FILES)
    (remote / "empty").mkdir()
    run_git(remote / "empty", "init", "--quiet")
    source = make_source()
    for text, hint in ((f"{base}/course@mian", "main"), (f"{base}/course@master", "main")):
        with pytest.raises(NotFound) as caught:
            await source.resolve(parse(text).repo)
        assert f"Did you mean {hint}?" in caught.value.hint
    for text in (f"{base}/nothing", f"{base}/course@{'a' * 40}", f"{base}/course@abcdef1"):
        with pytest.raises(NotFound):
            await source.resolve(parse(text).repo)
    with pytest.raises(NotFound, match="is empty"):
        await source.resolve(parse(f"{base}/empty").repo)


async def test_a_short_commit_that_may_be_several_is_refused(remote, base, make_source):
    make_repo(remote / "course", FILES)
    person = "committer Ada <ada@example.org> 1700000000 +0000"
    stream = "".join(
        f"commit refs/heads/many\n{person}\ndata {len(str(n))}\n{n}\n" for n in range(1500)
    )
    run_git(remote / "course", "fast-import", "--quiet", stdin=stream.encode())
    commits = run_git(remote / "course", "rev-list", "many").splitlines()
    starts = [commit[:4] for commit in commits]
    short = next(start for start in starts if starts.count(start) > 1)
    with pytest.raises(BadReference, match="several"):
        await make_source().resolve(RepoRef("git", f"{base}/course", short))
    ref = await make_source().resolve(RepoRef("git", f"{base}/course", commits[700][:12]))
    assert ref.version == commits[700]


async def test_a_checkout_is_a_normal_clone_of_the_real_remote(remote, base, open_text):
    commit = make_repo(remote / "course", FILES)
    checkout = await open_text(f"{base}/course@main")
    tree = checkout.path
    assert (tree / "nb/a b.ipynb").read_text() == "{}"
    assert run_git(tree, "rev-parse", "HEAD") == commit
    assert run_git(tree, "symbolic-ref", "--short", "HEAD") == "main"
    assert run_git(tree, "remote", "get-url", "origin") == f"{base}/course"
    assert run_git(tree, "status", "--porcelain") == ""
    assert run_git(tree, "rev-parse", "--abbrev-ref", "@{upstream}") == "origin/main"
    newer = make_repo(remote / "course", {"x": "new"})
    run_git(tree, "fetch", "--quiet")  # stands on its own: no mirror is needed for it
    assert run_git(tree, "rev-parse", "origin/main") == newer
    assert not (tree / ".git/objects/info/alternates").exists()


async def test_a_commit_is_checked_out_without_a_branch(remote, base, open_text):
    commit = make_repo(remote / "course", FILES)
    checkout = await open_text(f"{base}/course@{commit}")
    assert run_git(checkout.path, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


async def test_files_have_their_bytes_and_the_dates_of_their_last_change(remote, base, open_text):
    course = remote / "course"
    odd = b"six\n# caf\xe9\n"  # not UTF-8: the bytes are given as they are
    make_repo(course, {"requirements.txt": odd, "postBuild": "#!/bin/sh\n"}, "2018-01-02T00:00:00Z")
    make_repo(course, {"binder/environment.yml": "name: x\n"}, "2019-01-02T00:00:00Z")
    make_repo(course, {"postBuild": "#!/bin/sh\ntrue\n", "a.ipynb": "{}"}, "2020-01-02T00:00:00Z")
    make_repo(course, {"a.ipynb": "{ }"}, "2021-01-02T00:00:00Z")
    checkout = await open_text(f"{base}/course")
    assert checkout.files["requirements.txt"] == odd
    assert set(checkout.files) == {"requirements.txt", "postBuild", "binder/environment.yml"}
    years = {name: date.year for name, date in checkout.changed.items()}
    assert years == {"requirements.txt": 2018, "binder/environment.yml": 2019, "postBuild": 2020}
    assert checkout.ref.date.year == 2021


async def test_a_full_commit_that_is_there_needs_no_network(remote, base, seen, open_text):
    commit = make_repo(remote / "course", FILES)
    first = await open_text(f"{base}/course@{commit}")
    assert seen
    seen.clear()
    second = await open_text(f"{base}/course@{commit}")
    assert second == first
    assert seen == []


async def test_fetching_what_is_there_is_free(remote, base, seen, open_text):
    make_repo(remote / "course", FILES)
    first = await open_text(f"{base}/course")
    seen.clear()
    assert (await open_text(f"{base}/course")).path == first.path
    assert not [line for line in seen if line.startswith("POST") and "upload-pack" in line][1:]


async def test_asking_at_once_shares_one_fetch(remote, base, seen, make_source):
    make_repo(remote / "course", FILES)
    source = make_source()
    told: list[list[str]] = [[] for _ in range(12)]

    async def one(number: int):
        def tell(event):
            told[number].append(event.message)

        return await source.fetch(await source.resolve(parse(f"{base}/course").repo, tell), tell)

    checkouts = await asyncio.gather(*(one(number) for number in range(12)))
    assert len({checkout.path for checkout in checkouts}) == 1
    assert len(lists_of(seen)) == 4  # ours and git's, once to look and once to fetch
    assert all(f"Fetching {base}/course" in messages for messages in told)


async def test_a_crowd_that_opens_one_link_asks_its_remote_twice(remote, base, seen, make_source):
    make_repo(remote / "course", FILES)
    mirrors = make_source().mirrors
    await mirrors.refs(f"{base}/course")
    once = len(lists_of(seen))
    await asyncio.gather(*(mirrors.refs(f"{base}/course") for _ in range(12)))
    assert len(lists_of(seen)) == 2 * once


async def test_what_is_pushed_while_others_ask_is_in_the_answer_to_who_asks_then(
    remote, base, make_source
):
    make_repo(remote / "course", FILES)
    mirrors = make_source().mirrors
    earlier = asyncio.create_task(mirrors.refs(f"{base}/course"))
    while not mirrors.crowds._asked:
        await asyncio.sleep(0)
    pushed = make_repo(remote / "course", {"x": "2"})
    assert (await mirrors.refs(f"{base}/course")).head == pushed
    await earlier


async def test_a_failure_is_not_the_answer_to_who_asks_after_it(remote, base, make_source):
    mirrors = make_source().mirrors
    with pytest.raises(NotFound):
        await mirrors.refs(f"{base}/course")
    commit = make_repo(remote / "course", FILES)
    assert (await mirrors.refs(f"{base}/course")).head == commit


async def test_two_processes_share_one_mirror(remote, base, make_source):
    """Two sources know nothing of each other, as two processes do."""
    make_repo(remote / "course", FILES)
    one, two = make_source(), make_source()
    repo = parse(f"{base}/course").repo
    first, second = await asyncio.gather(one.resolve(repo), two.resolve(repo))
    assert first == second
    trees = await asyncio.gather(one.fetch(first, lambda _: None), two.fetch(first, lambda _: None))
    assert trees[0] == trees[1]


async def test_what_the_command_line_fetched_is_not_there_for_the_web(
    remote, base, seen, make_source
):
    commit = make_repo(remote / "private", FILES)
    repo = parse(f"{base}/private@{commit}").repo
    await make_source(trusted=True).resolve(repo)
    seen.clear()
    await make_source().resolve(repo)
    assert seen  # it had to ask the server, which may say no


async def test_a_moved_branch_is_followed_and_old_checkouts_stay(remote, base, open_text):
    course = remote / "course"
    make_repo(course, FILES)
    old = await open_text(f"{base}/course")
    run_git(course, "checkout", "--quiet", "--orphan", "fresh")
    new_commit = make_repo(course, {"README.md": "new"}, branch="fresh")
    run_git(course, "branch", "--force", "main", "fresh")
    run_git(course, "checkout", "--quiet", "main")
    new = await open_text(f"{base}/course")
    assert new.ref.version == new_commit
    assert (old.path / "README.md").read_text() == "hello"
    assert (new.path / "README.md").read_text() == "new"


async def test_a_cancelled_fetch_leaves_nothing_half_made(remote, base, make_source, tmp_path):
    make_repo(remote / "course", {"big": b"x" * 100} | FILES)
    source = make_source()
    repo = parse(f"{base}/course").repo
    for pause in (0.0, 0.02, 0.05, 0.1):
        task = asyncio.ensure_future(_open(source, repo))
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait([task])
    checkout = await _open(source, repo)
    assert (checkout.path / "README.md").exists()
    folders = [one.name for one in (tmp_path / "data/checkouts").iterdir() if one.is_dir()]
    assert folders == [checkout.path.parent.name]


async def _open(source, repo):
    return await source.fetch(await source.resolve(repo), lambda _: None)


async def test_a_killed_fetch_does_not_stand_in_the_way(remote, base, make_source, tmp_path):
    make_repo(remote / "course", FILES)
    source = make_source()
    await source.resolve(parse(f"{base}/course").repo)
    mirror = next((tmp_path / "data/mirrors").glob("*.git"))
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs/heads/main.lock").touch()
    (mirror / "objects/pack/tmp_pack_abc").write_bytes(b"half")
    newer = make_repo(remote / "course", {"x": "new"})
    assert (await source.resolve(parse(f"{base}/course").repo)).version == newer
    assert not (mirror / "objects/pack/tmp_pack_abc").exists()


async def test_progress_is_told_line_by_line(remote, base, open_text):
    make_repo(remote / "course", FILES)
    told = []
    await open_text(f"{base}/course", told=told)
    assert {event.phase for event in told} == {"fetch"}
    assert any(event.detail for event in told)
    passing = [
        event.message for event in told if "%" in event.message and "done" not in event.message
    ]
    assert not passing  # what lasts no half second is no news


async def test_a_bad_mirror_date_is_no_crash(remote, base, make_source):
    make_repo(remote / "course", FILES, date="@99999999999 +0000")
    ref = await make_source().resolve(parse(f"{base}/course").repo)
    assert ref.date.tzinfo is UTC


async def test_a_server_that_is_not_there_is_unreachable(make_source):
    with pytest.raises(Unreachable):
        await make_source().resolve(parse("http://127.0.0.1:1/course").repo)
    with pytest.raises(Unreachable):
        await make_source(trusted=True).resolve(parse("http://127.0.0.1:1/course").repo)


async def test_links_in_the_tree_stay_links(remote, base, open_text):
    make_repo(remote / "course", {**FILES, "link": Link("README.md"), "out": Link("/etc/passwd")})
    checkout = await open_text(f"{base}/course")
    assert (checkout.path / "out").is_symlink()
    assert "out" not in checkout.files
