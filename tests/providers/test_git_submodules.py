"""Submodules come along, under the rules for any repository."""

from __future__ import annotations

import pytest

from atoll.errors import BadReference, BadSpecification, Refused
from atoll.providers.git.checkouts import _is_real
from atoll.providers.git.submodules import Submodule
from support.gitservers import make_repo, run_git


def add_submodule(repo, commit, path="sub", url="../sub", name=""):
    """Add a submodule to *repo* as a forger would: by writing what git reads."""
    file = repo / ".gitmodules"
    known = file.read_text() if file.exists() else ""
    file.write_text(f'{known}[submodule "{name or path}"]\n\tpath = {path}\n\turl = {url}\n')
    run_git(repo, "add", ".gitmodules")
    run_git(repo, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    run_git(repo, "commit", "--quiet", "-m", "submodule")


async def test_submodules_of_submodules_are_checked_out(remote, base, open_text):
    deep = make_repo(remote / "deep", {"d.txt": "deep"})
    sub = make_repo(remote / "sub", {"s.txt": "sub"})
    add_submodule(remote / "sub", deep, "inner/deep", f"{base}/deep")
    sub = run_git(remote / "sub", "rev-parse", "HEAD")
    make_repo(remote / "sub", {"s.txt": "newer"})
    make_repo(remote / "course", {"x": "1"})
    add_submodule(remote / "course", sub)
    checkout = await open_text(f"{base}/course")
    assert checkout.warnings == ()
    assert (checkout.path / "sub/s.txt").read_text() == "sub"
    assert (checkout.path / "sub/inner/deep/d.txt").read_text() == "deep"
    assert run_git(checkout.path, "status", "--porcelain") == ""
    status = run_git(checkout.path, "submodule", "status", "--recursive")
    assert not [line for line in status.splitlines() if line.strip().startswith(("-", "+"))]
    assert run_git(checkout.path / "sub", "remote", "get-url", "origin") == f"{base}/sub"


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    "url",
    ["ext::sh -c 'touch {mark}'", "file://{secret}", "{secret}", "-u./x", "--upload-pack=touch {mark}",
     "ssh://-oProxyCommand=touch {mark}/x", "http://u:p@127.0.0.1/x", "../../../..{secret}"],
)  # fmt: skip
async def test_other_protocols_are_left_out_and_said(
    remote, base, make_source, open_text, tmp_path, url, *, trusted
):
    mark, secret = tmp_path / "mark", tmp_path / "secret"
    commit = make_repo(secret, {"secret.txt": "secret"})
    make_repo(remote / "course", {"x": "1"})
    add_submodule(remote / "course", commit, url=url.format(mark=mark, secret=secret))
    checkout = await open_text(f"{base}/course", make_source(trusted=trusted))
    assert list((checkout.path / "sub").iterdir()) == []
    assert len(checkout.warnings) == 1
    assert "submodule sub" in checkout.warnings[0]
    assert not mark.exists()


async def test_submodules_inside_the_operators_network_are_left_out(remote, base, open_text):
    commit = make_repo(remote / "course", {"x": "1"})
    add_submodule(remote / "course", commit, url="http://169.254.169.254/latest/x")
    checkout = await open_text(f"{base}/course")
    assert "inside the operator's network" in checkout.warnings[0]


async def test_a_missing_submodule_is_a_warning(remote, base, open_text):
    commit = make_repo(remote / "course", {"x": "1"})
    add_submodule(remote / "course", commit, url="../gone")
    checkout = await open_text(f"{base}/course")
    assert "There is no repository at" in checkout.warnings[0]
    assert (await open_text(f"{base}/course")).warnings == checkout.warnings


async def test_a_gitlink_without_a_description_is_a_warning(remote, base, open_text):
    commit = make_repo(remote / "course", {"x": "1"})
    run_git(remote / "course", "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    run_git(remote / "course", "commit", "--quiet", "-m", "x")
    assert len((await open_text(f"{base}/course")).warnings) == 1


async def test_a_repository_that_holds_itself_comes_to_an_end(remote, base, open_text):
    commit = make_repo(remote / "self", {"x": "1"})
    for _ in range(12):
        (remote / "self/.gitmodules").unlink(missing_ok=True)
        add_submodule(remote / "self", commit, url="./")
        commit = run_git(remote / "self", "rev-parse", "HEAD")
    with pytest.raises(BadSpecification, match="too many submodules"):
        await open_text(f"{base}/self")


async def test_a_local_checkout_may_have_local_submodules(tmp_path, make_source, open_text):
    commit = make_repo(tmp_path / "sub", {"s.txt": "sub"})
    make_repo(tmp_path / "course", {"x": "1"})
    add_submodule(tmp_path / "course", commit)
    checkout = await open_text(f"{tmp_path}/course@main", make_source(trusted=True))
    assert (checkout.path / "sub/s.txt").read_text() == "sub"


def test_a_submodule_is_put_only_where_no_link_leads(tmp_path):
    (tmp_path / "tree/real/sub").mkdir(parents=True)
    (tmp_path / "outside/sub").mkdir(parents=True)
    (tmp_path / "tree/linked").symlink_to(tmp_path / "outside")
    assert _is_real(tmp_path / "tree", "real/sub")
    for path in ("linked/sub", "linked", "real/gone", "../outside/sub"):
        assert not _is_real(tmp_path / "tree", path)


@pytest.mark.parametrize(
    ("parent", "url", "locator"),
    [
        ("https://github.com/o/r", "../other.git", "https://github.com/o/other"),
        ("https://github.com/o/r", "../../p/other", "https://github.com/p/other"),
        ("https://github.com/o/r", "git@github.com:p/other.git", "https://github.com/p/other"),
        ("https://github.com/o/r", "ssh://git@github.com/p/other", "https://github.com/p/other"),
        ("https://github.com/o/r", "git://github.com/p/other", "https://github.com/p/other"),
        ("git@git.example.org:o/r", "../other", "git@git.example.org:o/other"),
        ("/srv/r", "../other", "/srv/other"),
    ],
)
def test_addresses_are_read_as_git_reads_them(parent: str, url: str, locator: str):
    assert Submodule("s", "s", url, "0" * 40, parent).locator() == locator


@pytest.mark.parametrize("url", ["", "../../../../x", "file:///srv/x", "/srv/x", "ext::x"])
def test_addresses_that_lead_elsewhere_are_refused(url: str):
    with pytest.raises((BadReference, Refused)):
        Submodule("s", "s", url, "0" * 40, "https://github.com/o/r").locator()
