"""Large files come along where git-lfs is there; where it is not, that is said."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from support.gitservers import make_repo

BODY = b"large" * 1000


@pytest.fixture
def large(remote):
    """A repository with one large file, whose body its server's LFS store has."""
    oid = hashlib.sha256(BODY).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(BODY)}\n"
    make_repo(remote / "large", {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
                                 "a.bin": pointer, "x.txt": "x"})  # fmt: skip
    store = remote / "large/.git/lfs/objects" / oid[:2] / oid[2:4]
    store.mkdir(parents=True)
    (store / oid).write_bytes(BODY)
    return remote / "large"


async def test_without_git_lfs_the_person_is_warned(large, base, open_text, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("git", "prlimit"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    checkout = await open_text(f"{base}/large")
    assert checkout.path.joinpath("x.txt").read_text() == "x"
    assert checkout.warnings == (
        "1 large file (a.bin) are missing: git-lfs is not installed here.",
    )


async def test_large_files_are_fetched_where_git_lfs_is_there(large, make_source, open_text):
    checkout = await open_text(f"file://{large}", make_source(trusted=True))
    if shutil.which("git-lfs"):
        assert checkout.warnings == ()
        assert (checkout.path / "a.bin").read_bytes() == BODY
    else:
        assert "git-lfs is not installed" in checkout.warnings[0]


async def test_a_server_without_large_files_is_a_warning(large, base, open_text):
    checkout = await open_text(f"{base}/large")
    assert len(checkout.warnings) == 1
    assert "a.bin" in checkout.warnings[0]


async def test_an_lfsconfig_does_not_lead_strangers_elsewhere(large, base, open_text, seen):
    """What a repository says of its LFS server is not believed when the web asks."""
    make_repo(large, {".lfsconfig": f"[lfs]\n\turl = {base}/trap\n"})
    checkout = await open_text(f"{base}/large")
    assert checkout.warnings
    assert not [line for line in seen if "/trap" in line]
