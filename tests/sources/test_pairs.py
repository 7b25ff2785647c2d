"""An environment from one place and the content from another, however it was written."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import BadReference
from atoll.sources import RepoRef, Target, written
from atoll.sources.parsing import parse, parse_binder

ENV = RepoRef("git", "https://github.com/me/env")
COURSE = RepoRef("git", "https://github.com/me/course")
HUB = "https://hub.example.org/hub/user-redirect/git-pull"
BINDER = "https://mybinder.org/v2/gh/me/env/HEAD"


def at(repo: RepoRef, version: str) -> RepoRef:
    return RepoRef(repo.provider, repo.locator, version)


def pull(repo: str = COURSE.locator, **more: str) -> str:
    return "&".join(f"{name}={quote(one, safe='')}" for name, one in {"repo": repo, **more}.items())


@pytest.mark.parametrize(
    ("text", "environment", "content"),
    [
        ("gh:me/env + gh:me/course", ENV, COURSE),
        ("  gh:me/env   +\u00a0gh:me/course ", ENV, COURSE),
        ("gh:me/env@v1+local + gh:me/course@a+b", at(ENV, "v1+local"), at(COURSE, "a+b")),
        ("https://github.com/me/env + git@h.example.org:c++/x", ENV, RepoRef("git", "git@h.example.org:c++/x")),
        ("./e + /srv/c", None, RepoRef("git", "/srv/c")),
        ("gh:me/env + 10.5281/zenodo.31", ENV, RepoRef("deposits", "doi:10.5281/zenodo.31")),
        (f"{BINDER} + gh:me/course", ENV, COURSE),
        (f"gh:me/env + {HUB}?{pull(branch='b')}", ENV, at(COURSE, "b")),
        ("gh:me/env + gh:me/env@v2", ENV, at(ENV, "v2")),
        ("./a + b + github.com/me/course", None, COURSE),
        ("gh:me/env + /srv/a + b", ENV, RepoRef("git", "/srv/a + b")),
    ],
)  # fmt: skip
def test_a_pair_is_an_environment_and_a_content(text, environment, content):
    target = parse(text)
    assert target.repo == content
    assert target.environment == environment or (environment is None and target.environment)


def test_a_repository_in_its_own_environment_is_no_pair():
    assert parse("gh:me/env + https://github.com/me/env") == parse("gh:me/env")


def test_the_version_beside_the_text_and_what_opens_are_the_contents():
    target = parse("gh:me/env@v1 + https://github.com/me/course/blob/main/a.ipynb", "dev")
    assert target == Target(at(COURSE, "dev"), environment=at(ENV, "v1"))
    assert parse(f"{BINDER}?urlpath=rstudio + gh:me/course").opening == ""


@pytest.mark.parametrize(
    "folder", ["/srv/a + b", "/srv/a +", "./c++ + c", "/srv/c++/x", "/srv/a +b + c"]
)
def test_a_folder_may_have_a_plus_in_its_name(folder):
    target = parse(folder)
    assert target.environment is None
    assert target.repo.locator.endswith(folder.removeprefix("."))
    assert parse(str(target.repo)) == target


@pytest.mark.parametrize(
    "text",
    [
        "+",
        "gh:me/env +",
        "+ gh:me/course",
        "gh:me/env + + gh:me/course",
        "gh:a/b + gh:c/d + gh:e/f",
        "gh:me/env + me/course",
        "gh:me/env + ext::sh -c id",
        "gh:me/env + javascript:alert(1)//x",
        "gh:me/env + --upload-pack=x",
        f"gh:a/b + {BINDER}?content=gh/me/course/HEAD",
        f"{BINDER}?content=gh/me/course/HEAD + gh:a/b",
        f"{BINDER}?content=gh/me/course/HEAD%3Fcontent=gh/a/b/HEAD",
        f"{BINDER}?content=gh/me/course/HEAD&urlpath={quote('git-pull?' + pull(), safe='')}",
        f"{BINDER}?content=gh",
        f"{BINDER}?content=git/ext%253A%253Ash/HEAD",
        f"gh:a/b + {BINDER}?urlpath={quote('git-pull?' + pull(), safe='')}",
        "gh:me/env+gh:me/course",
    ],
)
def test_what_is_no_pair_is_refused(text):
    with pytest.raises(BadReference):
        parse(text)


@pytest.mark.parametrize(
    ("said", "opening"),
    [
        ({}, ""),
        ({"urlpath": "lab"}, "lab"),
        ({"urlpath": "lab/tree/course"}, "lab"),
        ({"urlpath": "lab/tree/course/"}, "lab"),
        ({"urlpath": "/lab/tree/course/a/b%20c.ipynb?autodecode"}, "lab/tree/a/b%20c.ipynb?autodecode"),
        ({"urlpath": "lab/tree/course/course/x"}, "lab/tree/course/x"),
        ({"urlpath": "lab/tree/courses/x"}, "lab/tree/courses/x"),
        ({"urlpath": "tree/course.git/x"}, "tree/x"),
        ({"urlPath": "notebooks/course/x.ipynb#top"}, "notebooks/x.ipynb#top"),
        ({"urlpath": "lab/workspaces/w/tree/course/x"}, "lab/workspaces/w/tree/x"),
        ({"urlpath": "voila/render/course/x.ipynb"}, "voila/render/x.ipynb"),
        ({"urlpath": "shiny/course/app/"}, "shiny/app/"),
        ({"urlpath": "rstudio/"}, "rstudio/"),
        ({"urlpath": "lab/tree/deep/er/x", "targetpath": "deep/er"}, "lab/tree/x"),
        ({"urlpath": "lab/tree/my%20own/x", "targetPath": "my own"}, "lab/tree/x"),
        ({"urlpath": "lab/tree/course/x", "targetpath": "else"}, "lab/tree/course/x"),
        ({"subPath": "a b.ipynb"}, "lab/tree/a%20b.ipynb"),
        ({"subpath": ".", "app": "lab", "depth": "1"}, ""),
    ],
)  # fmt: skip
def test_nbgitpullers_link_names_the_content_and_what_opens_in_it(said, opening):
    query = pull(**said)
    assert parse(f"{HUB}?{query}") == Target(COURSE, opening)
    asked = quote(f"git-pull?{query}", safe="")
    assert parse(f"{BINDER}?urlpath={asked}") == Target(COURSE, opening, ENV)


@pytest.mark.parametrize(
    "link",
    [
        "https://hub.example.org/jupyter/user/ada/git-pull",
        "https://hub.example.org/hub/user-redirect/git-pull/",
        "http://localhost:8888/git-pull",
    ],
)
def test_nbgitpullers_link_is_known_at_every_hub(link):
    assert parse(f"{link}?{pull('https://github.com/me/course.git')}").repo == COURSE


def test_a_repository_called_so_is_one():
    assert parse("https://github.com/me/git-pull?repo=x").repo.locator.endswith("/me/git-pull")
    assert parse("https://git.example.org/me/git-pull").repo.locator.endswith("/me/git-pull")


@pytest.mark.parametrize(
    "said",
    [
        {"urlpath": "javascript:alert(1)"},
        {"urlpath": "https://evil.example.org/lab/tree/course"},
        {"urlpath": "//evil.example.org/x"},
        {"urlpath": "lab/tree/course/../../../../hub/admin"},
        {"urlpath": "lab/tree/course/%2e%2e/%252e%252e/x"},
        {"urlpath": "lab\\x"},
        {"subpath": "../x"},
        {"branch": "--upload-pack=x"},
        {"repo": "/etc"},
        {"repo": "file:///etc"},
        {"repo": "ext::sh -c id"},
        {"repo": "../x"},
        {"repo": "https://user:secret@git.example.org/x"},
        {"repo": f"{HUB}?{pull()}"},
        {"repo": f"{BINDER}?urlpath=git-pull%3Frepo%3Dx"},
        {"repo": "gh:me/env + gh:me/course"},
    ],
)
def test_a_hostile_pull_is_refused(said):
    query = pull(**said)
    for link in (f"{HUB}?{query}", f"{BINDER}?urlpath={quote(f'git-pull?{query}', safe='')}"):
        with pytest.raises(BadReference):
            parse(link)


def test_a_link_to_the_puller_that_pulls_nothing_stays_as_it_is():
    assert parse_binder("gh", "me/env/HEAD", {"urlpath": "git-pull"}).opening == "git-pull"


references = st.sampled_from(
    ["gh:me/env@v1+x", "gl:g/h/r", "/srv/a + b", "/srv/x@1/", "git@h.example.org:r", "swh:1:dir:" + "ab" * 20]
)  # fmt: skip


@given(references, references)
def test_what_is_written_of_a_pair_is_read_back(one: str, other: str):
    environment, content = parse(one).repo, parse(other).repo
    target = parse(written(content, environment))
    assert target.repo == content
    assert target.environment == (None if environment == content else environment)
