"""One field understands anything one can paste, and says what was meant where it does not."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import BadReference
from atoll.sources import RepoRef
from atoll.sources.parsing import binder_spec, parse, parse_binder

GITHUB = "https://github.com/o/r"


@pytest.mark.parametrize(
    ("text", "locator", "version"),
    [
        ("gh:o/r", GITHUB, "HEAD"),
        ("  GH:o/r \n", GITHUB, "HEAD"),
        ("gh:o/r@main", GITHUB, "main"),
        ("gh:o/r.git@feature/x", GITHUB, "feature/x"),
        ("gh:o/r@@scope/pkg@1.0", GITHUB, "@scope/pkg@1.0"),
        ("https://github.com/o/r", GITHUB, "HEAD"),
        ("https://github.com/o/r/", GITHUB, "HEAD"),
        ("https://github.com/o/r.git/", GITHUB, "HEAD"),
        ("https://GitHub.com/o/r?tab=readme-ov-file#install", GITHUB, "HEAD"),
        ("http://www.github.com/o/r@v1.0", GITHUB, "v1.0"),
        ("git://github.com/o/r.git", GITHUB, "HEAD"),
        ("github.com/o/r", GITHUB, "HEAD"),
        ("gl:group/sub/repo@v2", "https://gitlab.com/group/sub/repo", "v2"),
        ("bb:o/r", "https://bitbucket.org/o/r", "HEAD"),
        ("gist:someone/0a1b2c", "https://gist.github.com/someone/0a1b2c", "HEAD"),
        ("https://gist.github.com/someone/0a1b2c#file-x", "https://gist.github.com/someone/0a1b2c", "HEAD"),
        ("https://gist.github.com/someone/0a1b2c/abcdef0", "https://gist.github.com/someone/0a1b2c", "abcdef0"),
        ("https://git.example.org/x/y.git", "https://git.example.org/x/y.git", "HEAD"),
        ("https://git.example.org:443/x", "https://git.example.org/x", "HEAD"),
        ("https://git.example.org:8443/x@v1", "https://git.example.org:8443/x", "v1"),
        ("https://git.example.org/@someone/x", "https://git.example.org/@someone/x", "HEAD"),
        ("http://[2001:DB8::1]:3000/x", "http://[2001:db8::1]:3000/x", "HEAD"),
        ("https://bücher.example.org/x", "https://xn--bcher-kva.example.org/x", "HEAD"),
        ("git@github.com:o/r.git", "git@github.com:o/r", "HEAD"),
        ("git@git.example.org:o/r.git@v1", "git@git.example.org:o/r.git", "v1"),
        ("ssh://git@git.example.org:2222/o/r@feature/x", "ssh://git@git.example.org:2222/o/r", "feature/x"),
        ("git://git.example.org/r", "git://git.example.org/r", "HEAD"),
        ("git+https://git.example.org/r@v1", "https://git.example.org/r", "v1"),
        ("git+ssh://git@git.example.org/r", "ssh://git@git.example.org/r", "HEAD"),
        ("file:///srv/r.git@v1", "file:///srv/r.git", "v1"),
        ("/srv/r@v1", "/srv/r", "v1"),
        ("/srv/./a/../r/", "/srv/r", "HEAD"),
        ("/home/me@work/r", "/home/me@work/r", "HEAD"),
        ("/home/me@work/r@a%2Fb", "/home/me@work/r", "a/b"),
        ("/srv/r@2/", "/srv/r@2", "HEAD"),
        ("/srv/r@2/@main", "/srv/r@2", "main"),
    ],
)  # fmt: skip
def test_every_form_is_understood(text: str, locator: str, version: str):
    target = parse(text)
    assert target.repo == RepoRef("git", locator, version)
    assert target.opening == ""


@pytest.mark.parametrize(
    ("text", "locator", "version", "follows"),
    [
        ("https://github.com/o/r/tree/main", GITHUB, "main", False),
        ("https://github.com/o/r/tree/feature/x/folder", GITHUB, "feature/x/folder", True),
        ("https://github.com/o/r/blob/main/a%20b.ipynb?plain=1#L3", GITHUB, "main/a b.ipynb", True),
        ("https://github.com/o/r/commit/abcdef0", GITHUB, "abcdef0", False),
        ("https://github.com/o/r/releases/tag/v1.0", GITHUB, "v1.0", False),
        ("https://ghe.example.org/o/r/blob/main/x.ipynb", "https://ghe.example.org/o/r", "main/x.ipynb", True),
        ("https://gitlab.com/a/b/c/-/tree/main/x", "https://gitlab.com/a/b/c", "main/x", True),
        ("https://gl.example.org/a/b/-/blob/v1/x.ipynb", "https://gl.example.org/a/b", "v1/x.ipynb", True),
        ("https://bitbucket.org/a/b/src/main/x.ipynb", "https://bitbucket.org/a/b", "main/x.ipynb", True),
        ("https://code.example.org/a/b/src/branch/main/x", "https://code.example.org/a/b", "main/x", True),
    ],
)  # fmt: skip
def test_a_browsers_url_is_understood(text: str, locator: str, version: str, *, follows: bool):
    assert parse(text).repo == RepoRef("git", locator, version, path_follows=follows)


@pytest.mark.parametrize(
    ("text", "locator", "version"),
    [
        ("https://github.com/o/r/archive/refs/heads/feature/x.zip", GITHUB, "feature/x"),
        ("https://github.com/o/r/archive/refs/tags/v1.0.tar.gz", GITHUB, "v1.0"),
        ("https://github.com/o/r/archive/abcdef0.zip", GITHUB, "abcdef0"),
        ("https://gitlab.com/a/b/c/-/archive/v1/c-v1.tar.gz", "https://gitlab.com/a/b/c", "v1"),
    ],
)
def test_an_archive_that_a_forge_makes_is_a_version(text: str, locator: str, version: str):
    assert parse(text).repo == RepoRef("git", locator, version)


def test_relative_folders_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert parse(".").repo.locator == os.fspath(tmp_path)
    assert parse("./x").repo.locator == f"{tmp_path}/x"
    assert parse("../x@v1").repo == RepoRef("git", f"{tmp_path.parent}/x", "v1")
    assert parse("~/x").repo.locator == "/home/ada/x"


def test_a_version_beside_the_text_wins():
    assert parse("gh:o/r@main", "v2").repo.version == "v2"
    assert parse("https://github.com/o/r/tree/main/x", "v2").repo == RepoRef("git", GITHUB, "v2")
    with pytest.raises(BadReference):
        parse("gh:o/r", "--upload-pack=touch /tmp/x")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("o/r", "gh:o/r"),
        ("o/r", "./o/r"),
        ("github:o/r", "gh:o/r"),
        ("htps://git.example.org/r", "https://git.example.org/r"),
        ("git.example.org/x/r", "https://git.example.org/x/r"),
        ("https://github.com/o/r/issues/4", "https://github.com/o/r"),
        ("https://github.com/o", "https://github.com/OWNER/REPOSITORY"),
        ("gist:abc", "gist:USER/ID"),
        ("numpy", "gh:OWNER/REPOSITORY"),
        ("", "gh:OWNER/REPOSITORY"),
        ("file://host/srv/r", "file:///"),
    ],
)
def test_what_was_probably_meant_is_said(text: str, meant: str):
    with pytest.raises(BadReference) as caught:
        parse(text)
    assert meant in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c id",
        "ext::sh -c id% >/tmp/x",
        "git@ext::sh:x",
        "fd::7",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=touch /tmp/x",
        "ssh://-oProxyCommand=x/y",
        "ssh://git@-oProxyCommand=x/y",
        "ssh://-x@git.example.org/y",
        "-x@git.example.org:y",
        "git@git.example.org:-x",
        "git@-x:y",
        "gh:o/--upload-pack=x",
        "gh:-o/r",
        "gh:o/..",
        "gh:o/r/../../x",
        "ftp://git.example.org/r",
        "javascript:alert(1)//x",
        "https://user:token@git.example.org/r",
        "https://token@git.example.org/r",
        "ssh://git:secret@git.example.org/r",
        "https://git.example.org/a/../b",
        "https://git.example.org/a/%2e%2e/b",
        "https://git.example.org/a%2F..%2Fb",
        "https://git.example.org/a?x=1",
        "https://git.example.org/",
        "https:///x",
        "http://[",
        "http://git.example.org:99999/x",
        "https://exa mple.org/x",
        "https://github.com/o/r/blob/main/../../x",
        "https://github.com/o/r/tree/-x",
        "gh:o/r\n--upload-pack=x",
        "gh:o/r\x00",
        "/srv/\x1b[31m",
        "gh:o/" + "r" * 3000,
    ],
)
def test_hostile_text_is_no_reference(text: str):
    with pytest.raises(BadReference):
        parse(text)


@pytest.mark.parametrize(
    "version",
    ["-x", "--upload-pack=x", "a..b", "a b", "a~1", "a^{/x}", "a:b", "a@{1}", "@", "a\\b", "a*",
     "a[b", "a?", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a\tb", "a\x7f", "x" * 300],
)  # fmt: skip
def test_what_git_would_never_name_so_is_no_version(version: str):
    with pytest.raises(BadReference):
        parse("gh:o/r", version)


names = st.text("abcXYZ019_.", min_size=1, max_size=8).filter(
    lambda s: s.strip(".") != "" and not s.endswith(".git")
)
version_words = st.text("abz09+,=!#$&%'();<>{}|`_-.@é", min_size=1, max_size=10)
versions = st.lists(version_words, min_size=1, max_size=3).map("/".join)


def good_version(version: str) -> bool:
    try:
        parse("gh:o/r", version)
    except BadReference:
        return False
    return version == version.strip()


locators = st.one_of(
    st.builds("https://github.com/{}/{}".format, names, names),
    st.builds("https://gitlab.com/{}/{}/{}".format, names, names, names),
    st.builds("https://gist.github.com/{}/{}".format, names, names),
    st.builds("https://git.example.org/{}/{}".format, names, names),
    st.builds("https://git.example.org:8443/@{}/a%40{}".format, names, names),
    st.builds("git@git.example.org:{}/{}".format, names, names),
    st.builds("file:///srv/{}".format, names),
    st.builds("/srv/{}@/{}@{}".format, names, names, names),
)


@given(locators, versions.filter(good_version))
def test_what_is_written_is_read_back(locator: str, version: str):
    if "#" in version and "://" in locator:  # a fragment, when it is part of a URL
        return
    repo = RepoRef("git", locator, version)
    if "%" not in version or not locator.startswith("/"):
        assert parse(str(repo)).repo == repo


@given(locators, versions.filter(good_version))
def test_a_binder_spec_is_read_back(locator: str, version: str):
    repo = RepoRef("git", locator, version)
    provider, spec = binder_spec(repo)
    assert parse_binder(provider, spec, {}).repo == repo
    assert parse(f"https://mybinder.org/v2/{provider}/{spec}").repo == repo


@given(st.text())
def test_any_text_is_a_reference_or_refused_politely(text: str):
    try:
        repo = parse(text).repo
    except BadReference:
        return
    assert not repo.locator.startswith("-")
    assert not repo.version.startswith("-")
