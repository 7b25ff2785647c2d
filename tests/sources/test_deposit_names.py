"""DOIs, records' pages, SWHIDs and archives are understood in every form in which people have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import BadReference
from atoll.sources import RepoRef
from atoll.sources.deposits import Kind, place_of
from atoll.sources.parsing import binder_spec, parse, parse_binder

HEX = "b8f6eae9d89241cf8b5904033460af61"
SHA = "94a9ed024d3859793618152ea559a168bbcbb5e2"
OTHER = "0a" * 20
DIGEST = "5f" * 32
ZENODO = "doi:10.5281/zenodo.3242074"
FIGSHARE = "doi:10.6084/m9.figshare.9782777"
HYDRO = f"https://www.hydroshare.org/resource/{HEX}"


@pytest.mark.parametrize(
    ("text", "locator", "version"),
    [
        ("10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("doi:10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("DOI: 10.5281/ZENODO.3242074.", ZENODO, "HEAD"),
        ("doi:https://doi.org/10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("https://doi.org/10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("https://doi.org/10.5281%2Fzenodo.3242074", ZENODO, "HEAD"),
        ("http://dx.doi.org/10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("doi.org/10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("zenodo:3242074", ZENODO, "HEAD"),
        ("zenodo:10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("zenodo:1@3242074", "doi:10.5281/zenodo.1", "3242074"),
        ("https://zenodo.org/record/3242074", ZENODO, "HEAD"),
        ("https://zenodo.org/records/3242074?preview=1#files", ZENODO, "HEAD"),
        ("zenodo.org/records/3242074/", ZENODO, "HEAD"),
        ("https://zenodo.org/doi/10.5281/zenodo.3242074", ZENODO, "HEAD"),
        ("https://zenodo.org/badge/DOI/10.5281/zenodo.3242074.svg", ZENODO, "HEAD"),
        ("https://sandbox.zenodo.org/records/12", "https://sandbox.zenodo.org/records/12", "HEAD"),
        ("https://data.example.org/records/abcde-12345", "https://data.example.org/records/abcde-12345", "HEAD"),
        ("10.6084/m9.figshare.9782777.v2", FIGSHARE, "2"),
        ("10.6084/m9.figshare.9782777", FIGSHARE, "HEAD"),
        ("doi:10.6084/m9.figshare.9782777@3", FIGSHARE, "3"),
        ("https://figshare.com/articles/code/A_title/9782777", FIGSHARE, "HEAD"),
        ("https://figshare.com/articles/A_title/9782777/2", FIGSHARE, "2"),
        ("https://somewhere.figshare.com/articles/dataset/A/9782777/2", FIGSHARE, "2"),
        ("https://osf.io/6ND7C/", "https://osf.io/6nd7c", "HEAD"),
        ("https://osf.io/6nd7c/files/osfstorage", "https://osf.io/6nd7c", "HEAD"),
        ("10.17605/OSF.IO/6ND7C", "https://osf.io/6nd7c", "HEAD"),
        ("https://www.hydroshare.org/resource/" + HEX + "/", HYDRO, "HEAD"),
        ("10.4211/hs." + HEX, HYDRO, "HEAD"),
        ("doi:10.7910/DVN/TJCLKP", "doi:10.7910/DVN/TJCLKP", "HEAD"),
        ("doi:10.7910/DVN/TJCLKP@1.0", "doi:10.7910/DVN/TJCLKP", "1.0"),
        ("https://dv.example.org/dataset.xhtml?persistentId=doi:10.5072/FK2/AB", "https://dv.example.org/dataset.xhtml?persistentId=doi:10.5072/FK2/AB", "HEAD"),
        ("https://dv.example.org/dataset.xhtml?persistentId=doi%3A10.5072/FK2/AB&version=2.1", "https://dv.example.org/dataset.xhtml?persistentId=doi:10.5072/FK2/AB", "2.1"),
        ("https://dv.example.org/dataset.xhtml?persistentId=hdl:11529/10016", "https://dv.example.org/dataset.xhtml?persistentId=hdl:11529/10016", "HEAD"),
        ("https://dv.example.org/citation?persistentId=doi:10.5072/FK2/AB", "https://dv.example.org/citation?persistentId=doi:10.5072/FK2/AB", "HEAD"),
        ("https://ckan.example.org/en/dataset/rain-2020", "https://ckan.example.org/en/dataset/rain-2020", "HEAD"),
        (f"swh:1:dir:{SHA}", f"swh:1:dir:{SHA}", "HEAD"),
        (f"swh:1:dir:{SHA};origin=https://example.org/r;anchor=swh:1:rev:{OTHER}", f"swh:1:dir:{SHA};anchor=swh:1:rev:{OTHER}", "HEAD"),
        (f"swh:1:rev:{SHA};visit=swh:1:snp:{OTHER}", f"swh:1:rev:{SHA}", "HEAD"),
        (f"https://archive.softwareheritage.org/swh:1:snp:{SHA}", f"swh:1:snp:{SHA}", "HEAD"),
        (f"https://archive.softwareheritage.org/browse/revision/{SHA}/?path=x", f"swh:1:rev:{SHA}", "HEAD"),
        ("https://example.org/a/x.zip", "https://example.org/a/x.zip", "HEAD"),
        ("HTTPS://Example.org:443/X.ZIP", "https://example.org/X.ZIP", "HEAD"),
        ("https://example.org/x.tar.gz?download=1#top", "https://example.org/x.tar.gz?download=1", "HEAD"),
        ("https://example.org/x.tgz?who=me@example.org", "https://example.org/x.tgz?who=me%40example.org", "HEAD"),
        (f"https://example.org/x.tar.xz@{DIGEST}", "https://example.org/x.tar.xz", DIGEST),
        (f"https://example.org/x.tar.bz2?a=1@{DIGEST}", "https://example.org/x.tar.bz2?a=1", DIGEST),
        ("https://github.com/o/r/releases/download/v1/data.zip", "https://github.com/o/r/releases/download/v1/data.zip", "HEAD"),
        ("https://zenodo.org/records/3242074/files/x.zip?download=1", "https://zenodo.org/records/3242074/files/x.zip?download=1", "HEAD"),
    ],
)  # fmt: skip
def test_every_form_of_a_deposit_is_understood(text: str, locator: str, version: str):
    target = parse(text)
    assert target.repo == RepoRef("deposits", locator, version)
    assert target.opening == ""
    assert parse(str(target.repo)).repo == target.repo


@pytest.mark.parametrize(
    ("text", "locator", "opening"),
    [
        ("https://zenodo.org/records/32/files/a%20b.ipynb?download=1", "doi:10.5281/zenodo.32", "lab/tree/a%20b.ipynb"),
        (f"swh:1:cnt:{SHA};anchor=swh:1:dir:{OTHER};path=/nb/a b.ipynb;lines=3", f"swh:1:dir:{OTHER}", "lab/tree/nb/a%20b.ipynb"),
        (f"swh:1:rev:{SHA};path=/nb", f"swh:1:rev:{SHA}", "lab/tree/nb"),
        (f"swh:1:cnt:{SHA};path=/nb/a.ipynb", f"swh:1:cnt:{SHA}", ""),
    ],
)  # fmt: skip
def test_a_file_of_a_deposit_is_what_opens(text: str, locator: str, opening: str):
    target = parse(text)
    assert (target.repo.locator, target.opening) == (locator, opening)


def test_a_version_beside_a_deposit_wins():
    assert parse("10.6084/m9.figshare.9.v2", "3").repo.version == "3"
    assert parse("10.6084/m9.figshare.9.v2", "3").repo.provider == "deposits"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("zenodo:abc", "zenodo:NUMBER"),
        ("zendo:123", "zenodo:123"),
        ("doi:zenodo.123", "10.5281/zenodo."),
        ("swh:1:rev:12ab", "40 hexadecimal digits"),
        ("swh:1:ori:" + SHA, "permalink of a directory"),
        ("https://zenodo.org/communities/x", "https://zenodo.org/records/NUMBER"),
        ("https://figshare.com/authors/x/1", "https://figshare.com/articles/"),
        ("https://osf.io/preprints/psyarxiv/abcde", "https://osf.io/ABCDE"),
        ("https://example.org/x.7z", ".tar.gz"),
        ("https://example.org/x.rar", ".tar.gz"),
        ("https://doi.org/", "10.5281/zenodo."),
    ],
)
def test_what_is_nearly_a_deposit_is_told_what_was_meant(text: str, meant: str):
    with pytest.raises(BadReference) as caught:
        parse(text)
    assert meant in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "text",
    [
        "10.5281/../../admin",
        "doi:10.5281/a/%2e%2e/b",
        "doi:10.5281/<script>",
        "doi:10.5281/x y",
        "doi:10.5281/x?y=1",
        "zenodo:1@--upload",
        "https://user:secret@example.org/x.zip",
        "https://token@example.org/x.zip",
        "https://example.org/../x.zip",
        "https://example.org/%2e%2e/x.zip",
        "https://exa mple.org/x.zip",
        "https://example.org:99999/x.zip",
        "ftp://example.org/x.zip",
        "https://dv.example.org/dataset.xhtml?persistentId=doi:10.1/../x",
        "https://dv.example.org/dataset.xhtml?persistentId=x%00y",
        f"swh:1:rev:{SHA};path=/../../x",
        f"swh:2:rev:{SHA}",
    ],
)
def test_hostile_text_is_no_deposit(text: str):
    with pytest.raises(BadReference):
        parse(text)


@pytest.mark.parametrize(
    ("locator", "kind", "site", "number"),
    [
        (ZENODO, Kind.ZENODO, "", "3242074"),
        (FIGSHARE, Kind.FIGSHARE, "", "9782777"),
        ("doi:10.22002/d1.1235", Kind.DOI, "", "10.22002/d1.1235"),
        (HYDRO, Kind.HYDROSHARE, "", HEX),
        ("https://osf.io/6nd7c", Kind.OSF, "", "6nd7c"),
        ("http://127.0.0.1:81/records/7", Kind.INVENIO, "http://127.0.0.1:81", "7"),
        ("https://h.org/citation?persistentId=doi:10.1/A", Kind.DATAVERSE, "https://h.org", "doi:10.1/A"),
        ("https://h.org/p/dataset/n-1", Kind.CKAN, "https://h.org/p", "n-1"),
        (f"swh:1:dir:{SHA}", Kind.HERITAGE, "", f"swh:1:dir:{SHA}"),
        ("https://h.org/x.zip?a=1", Kind.ARCHIVE, "https://h.org", "https://h.org/x.zip?a=1"),
    ],
)  # fmt: skip
def test_a_locator_says_what_kind_of_place_it_is(locator, kind, site, number):
    place = place_of(locator)
    assert (place.kind, place.site, place.id) == (kind, site, number)


words = st.text("abcXYZ019._-", min_size=1, max_size=9).filter(lambda s: s.strip(".") == s)
locators = st.one_of(
    st.builds("doi:10.1234/{}.{}".format, words, words),
    st.builds("doi:10.6084/m9.figshare.{}".format, st.integers(1, 10**9)),
    st.builds("https://www.hydroshare.org/resource/{:032x}".format, st.integers(0, 2**128 - 1)),
    st.builds("https://osf.io/{:05d}".format, st.integers(0, 99999)),
    st.builds("https://h.example.org/records/{}".format, st.integers(1, 10**9)),
    st.builds("https://h.example.org/{}/x.zip?{}".format, words, words),
    st.builds("swh:1:dir:{:040x}".format, st.integers(0, 2**160 - 1)),
)
versions = st.one_of(st.just("HEAD"), st.integers(1, 999).map(str))


@given(locators, versions)
def test_what_is_written_of_a_deposit_is_read_back(locator: str, version: str):
    version = f"{int(version):064x}" if ".zip" in locator and version != "HEAD" else version
    repo = RepoRef("deposits", locator, version)
    assert parse(str(repo)).repo == repo
    provider, spec = binder_spec(repo)
    assert parse_binder(provider, spec, {}).repo == repo
    assert parse(f"https://mybinder.org/v2/{provider}/{spec}").repo == repo
