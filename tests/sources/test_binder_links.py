"""Anybody's Binder link works as it is."""

from __future__ import annotations

import pytest

from atoll.errors import BadReference
from atoll.sources import RepoRef
from atoll.sources.parsing import binder_spec, parse, parse_binder, path_opening

GITHUB = RepoRef("git", "https://github.com/o/r", "main")


@pytest.mark.parametrize(
    ("query", "opening"),
    [
        ("", ""),
        ("?urlpath=lab%2Ftree%2Fx.ipynb", "lab/tree/x.ipynb"),
        ("?urlpath=/lab", "lab"),
        ("?filepath=a b.ipynb", "tree/a%20b.ipynb"),
        ("?filepath=what%3F.ipynb", "tree/what%3F.ipynb"),
        ("?labpath=notebooks%2Fx.ipynb", "doc/tree/notebooks/x.ipynb"),
        ("?urlpath=u&filepath=f", "tree/f"),
        ("?urlpath=u&filepath=f&labpath=l", "doc/tree/l"),
        ("?urlpath=voila%3Fx%3Dhttps%253A%252F%252Fa", "voila?x=https%3A%2F%2Fa"),
    ],
)
@pytest.mark.parametrize("base", ["https://mybinder.org", "https://hub.example.org/services/x"])
def test_a_link_opens_what_it_says(base: str, query: str, opening: str):
    target = parse(f"{base}/v2/gh/o/r/main{query}")
    assert target.repo == GITHUB
    assert target.opening == opening


@pytest.mark.parametrize(
    ("provider", "spec", "locator", "version"),
    [
        ("gh", "o/r/feature/x", "https://github.com/o/r", "feature/x"),
        ("gh", "o/r/feature%2Fx", "https://github.com/o/r", "feature/x"),
        ("gl", "group%2Fsub%2Frepo/v1", "https://gitlab.com/group/sub/repo", "v1"),
        ("gl", "group/repo/v1", "https://gitlab.com/group/repo", "v1"),
        ("git", "https%3A%2F%2Fgit.example.org%2Fr.git/main", "https://git.example.org/r.git", "main"),
        ("git", "https://git.example.org/r.git/main", "https://git.example.org/r.git", "main"),
        ("git", "git%40git.example.org%3Ar/HEAD", "git@git.example.org:r", "HEAD"),
        ("gist", "someone/0a1b2c", "https://gist.github.com/someone/0a1b2c", "HEAD"),
        ("gist", "someone/0a1b2c/abcdef0", "https://gist.github.com/someone/0a1b2c", "abcdef0"),
    ],
)  # fmt: skip
def test_a_spec_alone_is_understood(provider: str, spec: str, locator: str, version: str):
    assert parse_binder(provider, spec, {}).repo == RepoRef("git", locator, version)


def test_the_links_of_2016_still_work():
    assert parse("http://mybinder.org/repo/o/r").repo == RepoRef("git", "https://github.com/o/r")
    assert parse("mybinder.org/v2/gh/o/r/main").repo == GITHUB


HEX = "8f7c2f0341ef4180b0dbe97f59130756"
REVISION = "swh:1:rev:" + "0a" * 20


@pytest.mark.parametrize(
    ("link", "locator", "version"),
    [
        ("zenodo/10.5281/zenodo.3242074/", "doi:10.5281/zenodo.3242074", "HEAD"),
        ("figshare/10.6084/m9.figshare.9782777.v2", "doi:10.6084/m9.figshare.9782777", "2"),
        ("figshare/10.6084/m9.figshare.9782777", "doi:10.6084/m9.figshare.9782777", "HEAD"),
        ("dataverse/10.7910/DVN/TJCLKP", "doi:10.7910/DVN/TJCLKP", "HEAD"),
        ("dataverse/10.7910/DVN/TJCLKP@1.0", "doi:10.7910/DVN/TJCLKP", "1.0"),
        ("zenodo/10.22002/d1.1235", "doi:10.22002/d1.1235", "HEAD"),
        (f"hydroshare/{HEX}", f"https://www.hydroshare.org/resource/{HEX}", "HEAD"),
        (f"hydroshare/https%3A%2F%2Fwww.hydroshare.org%2Fresource%2F{HEX}%2F", f"https://www.hydroshare.org/resource/{HEX}", "HEAD"),
        ("ckan/https%3A%2F%2Fdemo.ckan.org%2Fdataset%2Fsample", "https://demo.ckan.org/dataset/sample", "HEAD"),
        (f"ckan/https%3A%2F%2Fdemo.ckan.org%2Fdataset%2Fsample%3Factivity_id%3D{HEX[:8]}-0000-0000-0000-{HEX[:12]}", "https://demo.ckan.org/dataset/sample", f"{HEX[:8]}-0000-0000-0000-{HEX[:12]}"),
        (f"swh/{REVISION}", REVISION, "HEAD"),
        (f"swh/{REVISION};origin=https://example.org/r/", REVISION, "HEAD"),
        ("doi/10.22002/d1.1235", "doi:10.22002/d1.1235", "HEAD"),
        ("url/https%3A%2F%2Fexample.org%2Fx.zip%3Fdownload%3D1", "https://example.org/x.zip?download=1", "HEAD"),
    ],
)  # fmt: skip
def test_links_to_deposits_are_read(link: str, locator: str, version: str):
    found = parse(f"https://mybinder.org/v2/{link}?labpath=index.ipynb")
    assert found.repo == RepoRef("deposits", locator, version)
    assert found.opening == "doc/tree/index.ipynb"
    provider, _, spec = link.partition("/")
    assert parse_binder(provider, spec, {}).repo == RepoRef("deposits", locator, version)


@pytest.mark.parametrize(
    ("provider", "spec"),
    [
        ("zenodo", "3242074"),
        ("zenodo", "10.5281/../../x"),
        ("figshare", "10.6084"),
        ("hydroshare", "abc"),
        ("ckan", "https%3A%2F%2Fdemo.ckan.org%2Fgroup%2Fx"),
        ("swh", "swh:1:rev:12"),
        ("url", "https%3A%2F%2Fexample.org%2Fx"),
        ("url", "file%3A%2F%2F%2Fetc%2Fx.zip"),
        ("url", "https%3A%2F%2Fuser%3Asecret%40example.org%2Fx.zip"),
        ("url", "http%3A%2F%2F%5B"),
    ],
)
def test_links_to_no_deposit_are_refused(provider: str, spec: str):
    with pytest.raises(BadReference):
        parse_binder(provider, spec, {})


@pytest.mark.parametrize(
    ("repo", "link"),
    [
        (("doi:10.5281/zenodo.3242074", "HEAD"), ("zenodo", "10.5281/zenodo.3242074")),
        (("doi:10.5281/zenodo.1", "3242074"), ("zenodo", "10.5281/zenodo.3242074")),
        (("doi:10.6084/m9.figshare.9", "2"), ("figshare", "10.6084/m9.figshare.9.v2")),
        (("doi:10.7910/DVN/TJCLKP", "1.0"), ("dataverse", "10.7910/DVN/TJCLKP@1.0")),
        (("doi:10.22002/d1.1235", "HEAD"), ("doi", "10.22002/d1.1235")),
        (
            ("https://dv.example.org/dataset.xhtml?persistentId=doi:10.70122/FK2/AB", "HEAD"),
            ("dataverse", "10.70122/FK2/AB"),
        ),
        (("https://osf.io/6nd7c", "HEAD"), ("url", "https%3A%2F%2Fosf.io%2F6nd7c")),
    ],
)
def test_a_deposit_has_the_link_that_binder_gives_it(repo, link):
    assert binder_spec(RepoRef("deposits", *repo)) == link


@pytest.mark.parametrize(
    ("provider", "spec"),
    [
        ("gh", "o/r"),
        ("gh", "o"),
        ("git", "https%3A%2F%2Fgit.example.org%2Fr"),
        ("gl", "group%2Frepo"),
        ("gist", "abc"),
        ("git", "ext%3A%3Ash%20-c%20id/main"),
        ("gh", "o/r/--upload-pack=x"),
        ("gh", "o/r/..%2F..%2Fx"),
        ("svn", "x/y"),
    ],
)
def test_what_binder_would_not_launch_is_refused(provider: str, spec: str):
    with pytest.raises(BadReference):
        parse_binder(provider, spec, {})


def test_specs_are_written_as_binder_writes_them():
    assert binder_spec(GITHUB) == ("gh", "o/r/main")
    there = RepoRef("git", "https://git.example.org/r.git", "v1")
    assert binder_spec(there) == ("git", "https%3A%2F%2Fgit.example.org%2Fr.git/v1")
    assert binder_spec(RepoRef("git", "https://gitlab.com/a/b/c")) == ("gl", "a%2Fb%2Fc/HEAD")


def test_a_file_is_opened_whatever_its_name():
    assert path_opening("") == "lab"
    assert path_opening("nb/50% & é?.ipynb") == "lab/tree/nb/50%25%20&%20%C3%A9%3F.ipynb"
