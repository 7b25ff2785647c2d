from __future__ import annotations

import html
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.sources import RepoRef, Target
from atoll.sources.parsing import parse, parse_binder
from atoll.web.links import field_from, links_for, opening_from, shown

REPO = RepoRef("git", "https://github.com/ada/engine", "main")
HOME = "https://hub.example.org/"


@pytest.mark.parametrize(
    "opening",
    [
        "",
        "lab",
        "lab/tree/a%20b/c.ipynb",
        "doc/tree/n.ipynb",
        "tree/folder",
        "voila/render/x.ipynb",
        "rstudio",
    ],
)
def test_a_link_leads_back_to_what_it_was_made_for(opening):
    url = urlsplit(links_for(Target(REPO, opening), HOME).url)
    provider, spec = url.path.removeprefix("/v2/").split("/", 1)
    target = parse_binder(provider, spec, dict(parse_qsl(url.query)))
    assert target.repo == REPO
    assert target.opening == ("" if opening == "lab" else opening)


@pytest.mark.parametrize(
    "locator", ["https://gitlab.com/g/h/p", "https://git.example.org/r.git", "git@example.org:r"]
)
def test_a_pasted_link_of_ours_is_recognised(locator):
    repo = RepoRef("git", locator, "v1.0")
    assert parse(links_for(Target(repo), HOME).url).repo == repo


@pytest.mark.parametrize("opening", ["", "lab/tree/a%20b/c.ipynb", "doc/tree/n.ipynb", "x?y=1&z#w"])
@pytest.mark.parametrize(
    "content",
    [
        REPO,
        RepoRef("git", "https://git.example.org/r+s.git", "feature/x"),
        RepoRef("git", "git@example.org:r"),
        RepoRef("mercurial", "hg+https://hg.example.org/r", "stable/1.0"),
        RepoRef("mercurial", "hg+http://hg.example.org:8000/x"),
        RepoRef("deposits", "doi:10.5281/zenodo.31"),
        RepoRef("deposits", "https://example.org/x.zip?a=b&c"),
    ],
)
def test_a_link_carries_both_halves_of_a_pair(content, opening):
    target = Target(content, opening, RepoRef("git", "https://gitlab.com/g/h/env", "v1"))
    assert parse(links_for(target, HOME).url) == target
    assert parse(str(links_for(target, HOME).html.split('"')[1].replace("&amp;", "&"))) == target


def test_the_badge_shows_the_picture_and_leads_to_the_link():
    links = links_for(Target(REPO, "voila/render/a.ipynb?x=1&y=2"), HOME)
    assert links.markdown == f"[![Launch]({HOME}badge_logo.svg)]({links.url})"
    assert f":target: {links.url}" in links.rst
    assert html.unescape(links.html.split('"')[1]) == links.url


@pytest.mark.parametrize(
    ("typed", "opening"),
    [
        ("", ""),
        ("  intro.ipynb ", "lab/tree/intro.ipynb"),
        ("a b/ü.ipynb", "lab/tree/a%20b/%C3%BC.ipynb"),
        ("/voila/render/x.ipynb", "voila/render/x.ipynb"),
        ("folder/", "lab/tree/folder"),
    ],
)
def test_the_field_takes_a_file_or_an_address(typed, opening):
    assert opening_from(typed) == opening


@given(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1))
def test_the_field_is_filled_in_with_what_was_typed(name):
    assert field_from(opening_from(name)) == name


def test_a_person_sees_the_file_and_not_the_address():
    assert shown("doc/tree/a%20b.ipynb") == "a b.ipynb"
    assert shown("lab") == ""
    assert shown("rstudio") == "/rstudio"
