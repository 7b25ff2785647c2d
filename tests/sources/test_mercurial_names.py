"""A Mercurial repository has one locator, however it was typed."""

from __future__ import annotations

import pytest

from atoll.errors import BadReference
from atoll.sources import RepoRef
from atoll.sources.parsing import binder_spec, parse, parse_binder

COURSE = "hg+https://hg.example.org/course"


@pytest.mark.parametrize(
    ("text", "locator", "version"),
    [
        (COURSE, COURSE, "HEAD"),
        ("HG+HTTPS://HG.example.org:443/course/", COURSE, "HEAD"),
        ("hg:https://hg.example.org/course@stable", COURSE, "stable"),
        ("https://hg.example.org/course@stable/1.0", COURSE, "stable/1.0"),
        ("https://hg.example.org/course/file/tip/", COURSE, "tip"),
        ("https://hg.example.org/course/rev/0a1b2c", COURSE, "0a1b2c"),
        ("hg+https://code.example.org/a/b@v1", "hg+https://code.example.org/a/b", "v1"),
        ("hg+http://[2001:DB8::1]:8000/x", "hg+http://[2001:db8::1]:8000/x", "HEAD"),
        (
            "hg+ssh://hg@hg.example.org/~ada/course",
            "hg+ssh://hg@hg.example.org/~ada/course",
            "HEAD",
        ),
    ],
)
def test_every_form_is_understood_and_can_be_written_back(text, locator, version):
    target = parse(text)
    assert target.repo == RepoRef("mercurial", locator, version)
    assert parse(str(target.repo)) == target
    assert parse_binder(*binder_spec(target.repo), {}).repo == target.repo


def test_a_file_of_hgwebs_pages_is_opened():
    target = parse("https://hg.example.org/course/file/stable/a%20b/c.ipynb")
    assert target.repo == RepoRef("mercurial", COURSE, "stable")
    assert target.opening == "lab/tree/a%20b/c.ipynb"


def test_an_archive_on_such_a_host_is_an_archive_and_a_binder_link_a_link():
    assert parse("https://hg.example.org/course/archive/tip.zip").repo.provider == "deposits"
    assert parse("https://hg.example.org/v2/gh/o/r/main").repo.provider == "git"


@pytest.mark.parametrize(
    "spec", ["https%3A%2F%2Fhg.example.org%2Fcourse/v1", "https://hg.example.org/course/v1"]
)
def test_links_have_its_quoted_url(spec):
    target = parse(f"https://hub.example.org/v2/hg/{spec}?labpath=a.ipynb")
    assert target.repo == RepoRef("mercurial", COURSE, "v1")
    assert target.opening == "doc/tree/a.ipynb"


@pytest.mark.parametrize(
    "text",
    ["hg+file:///srv/course", "hg+/srv/course", "hg+./course", "hg:git://hg.example.org/course",
     "hg+https://ada:secret@hg.example.org/course", "hg+https://hg.example.org/a/../b",
     "hg+https://hg.example.org/course?x=1", "hg+https://hg.example.org/course#stable",
     "hg+https://", "hg+https://hg.example.org/", "hg+ssh://hg.example.org", "hg+ssh://-oProxyCommand=x/y",
     "hg+https://hg.example.org/course@-x", "hg+https://hg.example.org/course@a:b"],
)  # fmt: skip
def test_what_is_no_mercurial_repository_is_said(text):
    with pytest.raises(BadReference):
        parse(text)
