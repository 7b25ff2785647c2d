"""A server, a repository or a reference that means ill gets nowhere, and not for long."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from atoll.errors import AtollError, BadReference, NotFound, Refused, TooLarge, Unreachable
from atoll.providers import programs
from atoll.providers.git.commands import GitFailed
from atoll.providers.git.complaints import translated
from atoll.sources import RepoRef
from atoll.sources.parsing import parse
from support.gitservers import Link, make_repo, run_git, serve_nasty, wait_until


def running(word: str) -> list[str]:
    """Return the command lines of running processes that hold *word*."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = one.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_a_server_that_hangs_or_drips_is_given_up(make_source, kind, *, trusted):
    with serve_nasty() as base:
        begun = time.monotonic()
        with pytest.raises(Unreachable, match=r"within 1\.5 seconds"):
            await make_source(trusted=trusted, timeout=1.5).resolve(parse(f"{base}/{kind}").repo)
        assert time.monotonic() - begun < 5
        wait_until(lambda: not running(f"{base}/{kind}"))


@pytest.mark.parametrize("trusted", [True, False])
async def test_redirects_do_not_go_on_for_ever(make_source, *, trusted):
    with serve_nasty() as base, pytest.raises(Unreachable, match="redirect"):
        await make_source(trusted=trusted).resolve(parse(f"{base}/forever").repo)


async def test_a_redirect_into_the_operators_network_is_refused(make_source):
    said = r"127\.0\.0\.2.* inside the operator's network"  # only 127.0.0.1 is allowed
    with serve_nasty("http://127.0.0.2:1/x") as base, pytest.raises(Refused, match=said):
        await make_source().resolve(parse(f"{base}/away").repo)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_redirect_to_a_file_is_refused(make_source, *, trusted):
    with serve_nasty() as base, pytest.raises((Refused, Unreachable)):
        await make_source(trusted=trusted).resolve(parse(f"{base}/file").repo)


async def test_git_follows_no_redirect_that_was_not_looked_at(remote, base, seen, make_source):
    """The server is kind when we ask, and redirects git, which asks a moment later."""
    make_repo(remote / "inside", {"x": "1"})
    with serve_nasty(f"{base}/inside") as old, pytest.raises((Unreachable, NotFound)):
        await make_source().resolve(parse(f"{old}/fickle").repo)
    assert seen == []


async def test_a_redirect_to_a_repository_is_followed(remote, base, make_source):
    commit = make_repo(remote / "moved", {"x": "1"})
    with serve_nasty(f"{base}/moved") as old:
        ref = await make_source().resolve(parse(f"{old}/away").repo)
    assert ref.version == commit


@pytest.mark.parametrize(
    ("status", "error"),
    [("500", Unreachable), ("503", Unreachable), ("429", Unreachable), ("404", NotFound),
     ("401", NotFound), ("403", NotFound)],
)  # fmt: skip
async def test_what_a_server_answers_is_said_in_one_sentence(make_source, status, error):
    with serve_nasty() as base:
        for trusted in (False, True):
            with pytest.raises(error) as caught:
                await make_source(trusted=trusted).resolve(parse(f"{base}/{status}").repo)
            assert "\n" not in str(caught.value)
            assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:34037/r", "https://example.org/authentication"]
)
def test_what_an_address_is_called_is_no_answer_of_its_server(address):
    said = f"fatal: unable to access '{address}/': The requested URL returned error: "
    assert isinstance(translated(GitFailed([f"{said}503"]), address), Unreachable)
    assert isinstance(translated(GitFailed([f"{said}403"]), address), NotFound)


async def test_a_page_is_no_repository(make_source):
    with serve_nasty() as base:
        for trusted in (False, True):
            with pytest.raises((NotFound, Unreachable)):
                await make_source(trusted=trusted).resolve(parse(f"{base}/page").repo)


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("locator", "version"),
    [
        ("ext::sh -c 'touch {mark}'", "HEAD"),
        ("--upload-pack=touch {mark}", "HEAD"),
        ("ssh://-oProxyCommand=touch%20{mark}/x", "HEAD"),
        ("{base}/course", "--upload-pack=touch {mark}"),
        ("{base}/course", "-x"),
        ("{base}/course", "HEAD:x"),
        ("{base}/course", "main --upload-pack=touch {mark}"),
    ],
)
async def test_arguments_cannot_be_smuggled(
    remote, base, make_source, tmp_path, locator, version, *, trusted
):
    """Even when a reference did not come through `parse`, which refuses all of them as well."""
    make_repo(remote / "course", {"x": "1"})
    mark = tmp_path / "mark"
    repo = RepoRef("git", locator.format(base=base, mark=mark), version.format(mark=mark))
    with pytest.raises(BadReference):
        await make_source(trusted=trusted).resolve(repo)
    assert not mark.exists()


async def test_a_branch_named_like_an_option_is_only_a_name(remote, base, make_source, tmp_path):
    course = remote / "course"
    commit = make_repo(course, {"x": "1"})
    (course / ".git/refs/heads/--orphan=x").write_text(f"{commit}\n")
    (course / ".git/HEAD").write_text("ref: refs/heads/--orphan=x\n")
    source = make_source()
    ref = await source.resolve(parse(f"{base}/course").repo)
    checkout = await source.fetch(ref, lambda _: None)
    assert ref.version == commit
    assert run_git(checkout.path, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_repository_over_the_limit_is_refused_and_removed(
    remote, base, make_source, tmp_path, *, trusted
):
    make_repo(remote / "big", {"data.bin": os.urandom(6 * 1024**2)})
    with pytest.raises(TooLarge, match="larger than 2 MB"):
        await make_source(trusted=trusted, max_size="2M").resolve(parse(f"{base}/big").repo)
    kept = sum(one.stat().st_size for one in (tmp_path / "data").rglob("*") if one.is_file())
    assert kept < 1024**2


async def test_a_repository_that_swells_when_it_is_checked_out_is_refused(
    remote, base, make_source, tmp_path
):
    """One blob of zeros in 4^5 places: a few kilobytes to send, gigabytes to write."""
    bomb = remote / "bomb"
    make_repo(bomb, {"x": "1"})
    blob = run_git(bomb, "hash-object", "-w", "--stdin", stdin=b"0" * 1024**2)
    tree = run_git(bomb, "mktree", stdin=f"100644 blob {blob}\tx\n".encode())
    for _ in range(5):
        names = "".join(f"040000 tree {tree}\t{name}\n" for name in "abcd")
        tree = run_git(bomb, "mktree", stdin=names.encode())
    commit = run_git(bomb, "commit-tree", "-m", "bomb", tree)
    run_git(bomb, "update-ref", "refs/heads/main", commit)
    source = make_source(max_size="20M")
    ref = await source.resolve(parse(f"{base}/bomb").repo)
    with pytest.raises(TooLarge):
        await source.fetch(ref, lambda _: None)
    assert not [one for one in (tmp_path / "data/checkouts").iterdir() if one.is_dir()]


async def test_hooks_filters_and_configuration_of_a_repository_do_nothing(
    remote, base, open_text, tmp_path
):
    mark = tmp_path / "mark"
    hook = f"#!/bin/sh\ntouch {mark}\n"
    hooks = {f"{folder}/{name}": hook
             for folder in ("hooks", "githooks")
             for name in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor")}  # fmt: skip
    config = f'[core]\n\thooksPath = githooks\n\tfsmonitor = {mark}\n[filter "x"]\n\tsmudge = touch {mark}\n'
    make_repo(remote / "bad", {**hooks, ".gitconfig": config, "config": config,
                               ".gitattributes": "* filter=x\n", "a": "1"})  # fmt: skip
    for name in ("post-checkout", "post-upload-pack"):
        (remote / "bad/.git/hooks" / name).write_text(hook)
        (remote / "bad/.git/hooks" / name).chmod(0o755)
    checkout = await open_text(f"{base}/bad")
    assert (checkout.path / "a").read_text() == "1"
    assert not mark.exists()
    own = sorted((checkout.path / ".git").glob("hooks/*"))
    assert own == []


async def test_hooks_in_the_mirror_do_not_run(remote, base, open_text, tmp_path):
    make_repo(remote / "course", {"x": "1"})
    await open_text(f"{base}/course")
    mirror = next((tmp_path / "data/mirrors").glob("*.git"))
    (mirror / "hooks").mkdir()
    for name in ("reference-transaction", "post-checkout"):
        (mirror / "hooks" / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
        (mirror / "hooks" / name).chmod(0o755)
    make_repo(remote / "course", {"x": "2"})
    await open_text(f"{base}/course")
    assert not (tmp_path / "mark").exists()


async def test_a_mirrors_configuration_names_no_remote_and_no_secret(
    remote, base, open_text, tmp_path
):
    make_repo(remote / "course", {"x": "1"})
    await open_text(f"{base}/course")
    mirror = next((tmp_path / "data/mirrors").glob("*.git"))
    assert "remote" not in (mirror / "config").read_text()


async def test_the_configuration_of_where_we_stand_is_not_read(
    remote, base, make_source, tmp_path, monkeypatch
):
    make_repo(remote / "course", {"x": "1"})
    trap = tmp_path / "trap"
    make_repo(trap, {"x": "1"})
    run_git(trap, "config", f"url.{tmp_path}/nowhere.insteadOf", base)
    run_git(trap, "config", "core.sshCommand", f"touch {tmp_path}/mark")
    monkeypatch.chdir(trap)
    for trusted in (True, False):
        assert await make_source(trusted=trusted).resolve(parse(f"{base}/course").repo)
    assert not (tmp_path / "mark").exists()


async def test_the_web_sees_nothing_of_the_persons_configuration(
    remote, base, make_source, tmp_path, monkeypatch
):
    course = make_repo(remote / "course", {"x": "1"})
    other = make_repo(remote / "other", {"x": "2"})
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "{base}/other"]\n\tinsteadOf = {base}/course\n')
    monkeypatch.setenv("HOME", str(home))
    repo = parse(f"{base}/course").repo
    assert (await make_source(trusted=True).resolve(repo)).version == other
    assert (await make_source().resolve(repo)).version == course


async def test_no_error_is_anything_but_ours(make_source):
    with serve_nasty() as base:
        for kind in ("hang", "drip", "forever", "away", "file", "page", "418"):
            for trusted in (True, False):
                with pytest.raises(AtollError) as caught:
                    await make_source(trusted=trusted, timeout=0.5).resolve(
                        parse(f"{base}/{kind}").repo
                    )
                assert "Traceback" not in str(caught.value)


async def test_a_tree_cannot_write_through_its_own_links(remote, base, open_text, tmp_path):
    """A link ``a -> outside`` and a file ``a/x`` cannot both be in one tree, unless it is forged."""
    evil = remote / "evil"
    make_repo(evil, {"a": Link(str(tmp_path / "outside"))})
    (tmp_path / "outside").mkdir()
    blob = run_git(evil, "hash-object", "-w", "--stdin", stdin=b"written")
    link = run_git(evil, "rev-parse", "HEAD:a")
    inner = run_git(evil, "mktree", stdin=f"100644 blob {blob}\tx\n".encode())
    lines = f"120000 blob {link}\ta\n040000 tree {inner}\ta\n"
    tree = run_git(evil, "mktree", stdin=lines.encode())
    commit = run_git(evil, "commit-tree", "-m", "evil", tree)
    run_git(evil, "update-ref", "refs/heads/main", commit)
    with contextlib.suppress(AtollError):
        await open_text(f"{base}/evil")
    assert list((tmp_path / "outside").iterdir()) == []


async def test_trees_that_name_one_another_take_no_more_than_their_memory(
    open_text, remote, base, monkeypatch
):
    monkeypatch.setattr(programs, "MEMORY", 200 * 1024**2)
    bomb = remote / "bomb"
    make_repo(bomb, {"f": "x"})
    blob = run_git(bomb, "rev-parse", "HEAD:f")
    tree = f"100644 blob {blob}\tf\n"
    for _ in range(10):  # ten folders in each: 10^10 files
        made = run_git(bomb, "mktree", stdin=tree.encode())
        tree = "".join(f"040000 tree {made}\td{n}\n" for n in range(10))
    top = run_git(bomb, "mktree", stdin=tree.encode())
    commit = run_git(bomb, "commit-tree", top, "-m", "x")
    run_git(bomb, "update-ref", "refs/heads/main", commit)
    with pytest.raises(TooLarge, match="too much for git"):
        await open_text(f"{base}/bomb")
