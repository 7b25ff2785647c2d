"""Every kind of data repository is asked as it wants to be, and what it holds becomes a work tree."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from atoll.errors import BadReference, NotFound, Refused, Unreachable
from atoll.providers.deposits import heritage
from atoll.sources import RepoRef
from support.depositservers import (
    ckan_dataset,
    dataverse_dataset,
    figshare_article,
    files_in,
    heritage_revision,
    heritage_snapshot,
    hydroshare_resource,
    make_tar,
    make_zip,
    osf_project,
    rdm_record,
    register_doi,
    unquoted,
    zenodo_record,
)

HEX = "b8f6eae9d89241cf8b5904033460af61"
FILES = {"index.ipynb": b"{}", "requirements.txt": b"six==1.16\n", "data/a b.csv": b"1,2\n"}


async def test_a_zenodo_record_is_opened_with_its_files_and_date(web, open_deposit):
    zenodo_record(web, "32", FILES)
    found = await open_deposit("zenodo:32")
    assert files_in(found) == FILES
    assert found.ref.version == "32"
    assert found.ref.date == datetime(2019, 6, 9, 12, tzinfo=UTC)
    assert found.files == {"requirements.txt": b"six==1.16\n"}
    assert found.changed == {}  # a file of its own has no date but the record's
    assert found.warnings == ()


async def test_a_record_with_one_archive_is_unpacked(web, open_deposit):
    """Zenodo keeps what GitHub sends it: a zip with a slash in its name, and a folder in it."""
    zenodo_record(web, "32", {"ada/engine-v1.zip": make_zip(FILES, "ada-engine-5f3/")})
    found = await open_deposit("10.5281/zenodo.32")
    assert files_in(found) == FILES
    assert found.changed == {"requirements.txt": datetime(2018, 3, 4, 5, 6, 8, tzinfo=UTC)}


async def test_archives_among_other_files_stay_packed(web, open_deposit):
    files = {"a.zip": make_zip(FILES), "b.tar.gz": make_tar(FILES)}
    zenodo_record(web, "32", files)
    assert files_in(await open_deposit("zenodo:32")) == files


async def test_a_doi_of_all_versions_means_the_newest_and_says_which(web, open_deposit):
    zenodo_record(web, "32", {"x": b"1"}, concept="31", created="2018-01-01T00:00:00+00:00")
    zenodo_record(web, "33", {"x": b"2"}, concept="31")
    told = []
    found = await open_deposit("zenodo:31", told=told)
    assert found.ref.version == "33"
    notes = [event.message for event in told if event.note]
    assert notes == ["The newest version was taken, 33 of 2019-06-09"]
    told.clear()
    found = await open_deposit("zenodo:31@32", told=told)
    assert files_in(found) == {"x": b"1"}
    assert not [event for event in told if event.note]
    with pytest.raises(NotFound, match="34"):
        await open_deposit("zenodo:31@34")
    zenodo_record(web, "40", {"x": b"3"}, concept="39")
    with pytest.raises(NotFound, match="Record 40 is not a version of record 31"):
        await open_deposit("zenodo:31@40")


async def test_any_invenio_is_known_by_its_pages(web, open_deposit):
    rdm_record(web, "abcde-12345", "zyxwv-98765", FILES)
    assert files_in(await open_deposit(f"{web.base}/records/abcde-12345")) == FILES
    found = await open_deposit(f"{web.base}/records/zyxwv-98765")
    assert found.ref.version == "abcde-12345"


async def test_figshare_versions_are_told_apart(web, open_deposit):
    figshare_article(web, 97, {1: {"x.txt": b"1"}, 2: {"x.txt": b"2", "y.txt": b"3"}})
    found = await open_deposit("10.6084/m9.figshare.97.v1")
    assert (found.ref.version, files_in(found)) == ("1", {"x.txt": b"1"})
    assert found.ref.date == datetime(2011, 1, 2, 3, 4, 5, tzinfo=UTC)
    found = await open_deposit("https://figshare.com/articles/dataset/An_article/97")
    assert (found.ref.version, len(files_in(found))) == ("2", 2)
    assert found.warnings == ("a link was left out: Figshare only links to it.",)
    with pytest.raises(NotFound):
        await open_deposit("10.6084/m9.figshare.97@3")
    with pytest.raises(NotFound, match="no version “main”"):
        await open_deposit("10.6084/m9.figshare.97@main")


async def test_a_dataverse_is_found_through_the_registry(web, open_deposit):
    number = "doi:10.7910/DVN/TJCLKP"
    dataverse_dataset(web, number, {"1.0": {"code/a.py": b"1"}, "2.1": FILES})
    register_doi(web, "10.7910/DVN/TJCLKP", f"{web.base}/citation?persistentId={number}")
    found = await open_deposit(number)
    assert (found.ref.version, files_in(found)) == ("2.1", FILES)
    assert found.warnings == ("secret.csv was left out: who may have it is restricted.",)
    assert files_in(await open_deposit(f"{number}@1.0")) == {"code/a.py": b"1"}
    page = f"{web.base}/dataset.xhtml?persistentId={number}"
    assert (await open_deposit(f"{page}&version=1.0")).ref.version == "1.0"


async def test_a_file_of_a_dataverse_leads_to_its_dataset(web, open_deposit):
    number = "doi:10.7910/DVN/TJCLKP"
    dataverse_dataset(web, number, {"1.0": FILES})
    of = f"/api/files/:persistentId?persistentId={number}/X&returnDatasetVersion=true"
    web.put(of, {"data": {"datasetVersion": {"datasetPersistentId": number}}})
    register_doi(web, "10.7910/DVN/TJCLKP/X", f"{web.base}/file.xhtml?persistentId={number}/X")
    assert files_in(await open_deposit(f"{number}/X")) == FILES


async def test_a_table_is_fetched_as_its_authors_uploaded_it(web, open_deposit):
    dataverse_dataset(web, "doi:10.5072/A", {"1.0": {}})
    table = {
        "id": 5, "filename": "t.tab", "filesize": 99, "md5": "0" * 32, "originalFileFormat": "x",
        "originalFileName": "t.dta", "originalFileSize": 4,
    }  # fmt: skip
    path = "/api/datasets/:persistentId/versions/:latest-published?persistentId=doi:10.5072/A"
    data = {"versionNumber": 1, "versionMinorNumber": 0, "releaseTime": "2020-01-01T00:00:00Z"}
    web.put(path, {"data": data | {"files": [{"label": "t.tab", "dataFile": table}]}})
    web.put("/api/access/datafile/5?format=original", b"dta!")
    found = await open_deposit(f"{web.base}/dataset.xhtml?persistentId=doi:10.5072/A")
    assert files_in(found) == {"t.dta": b"dta!"}


async def test_a_dataverse_that_its_page_does_not_tell_is_asked(web, open_deposit):
    dataverse_dataset(web, "doi:10.5072/B", {"1.0": FILES})
    register_doi(web, "10.5072/B", f"{web.base}/somewhere")
    web.put("/somewhere", b"<h1>A page</h1>")
    assert files_in(await open_deposit("doi:10.5072/B")) == FILES


async def test_a_page_that_redirects_to_a_known_one_is_followed(web, open_deposit):
    rdm_record(web, "abcde-12345", "zyxwv-98765", FILES)
    register_doi(web, "10.22002/d1.1235", f"{web.base}/doi/10.22002/d1.1235")
    web.redirect("/doi/10.22002/d1.1235", "/records/abcde-12345")
    web.put("/records/abcde-12345", b"<h1>A page</h1>")
    assert (await open_deposit("10.22002/D1.1235".lower())).ref.version == "abcde-12345"


async def test_a_doi_of_a_paper_is_refused_and_the_place_named(web, open_deposit):
    register_doi(web, "10.21105/joss.01277", f"{web.base}/papers/joss.01277")
    web.put("/papers/joss.01277", b"<h1>A paper</h1>")
    with pytest.raises(BadReference, match=r"leads to 127.0.0.1, which is no kind") as caught:
        await open_deposit("10.21105/joss.01277")
    assert "Dataverse" in caught.value.hint
    web.put("/api/handles/10.21105/nobody", {"responseCode": 100}, 404)
    with pytest.raises(NotFound, match="There is no DOI"):
        await open_deposit("10.21105/nobody")
    web.put("/api/handles/10.21105/empty", {"responseCode": 1, "values": []})
    with pytest.raises(NotFound, match="leads nowhere"):
        await open_deposit("10.21105/empty")


async def test_a_hydroshare_resource_is_named_by_what_it_holds(web, make_deposits, open_deposit):
    hydroshare_resource(web, HEX, FILES)
    found = await open_deposit(f"10.4211/hs.{HEX}")
    assert files_in(found) == FILES
    assert found.ref.date == datetime(2019, 9, 25, tzinfo=UTC)
    version = found.ref.version
    hydroshare_resource(web, HEX, FILES | {"new.txt": b"new"})
    assert (await open_deposit(f"10.4211/hs.{HEX}")).ref.version != version
    pinned = f"https://www.hydroshare.org/resource/{HEX}@{version}"
    assert files_in(await open_deposit(pinned)) == FILES  # it is here already
    shutil.rmtree(found.path.parent)
    with pytest.raises(NotFound, match="any more") as caught:
        await open_deposit(pinned)
    assert "keeps no older ones" in caught.value.hint


async def test_a_ckan_dataset_is_opened_as_it_is_and_as_it_was(web, open_deposit):
    activity = f"{HEX[:8]}-0000-0000-0000-{HEX[:12]}"
    ckan_dataset(web, "rain", {"a.csv": b"new", "b.ipynb": b"{}"}, prefix="/en")
    ckan_dataset(web, "rain", {"a.csv": b"old"}, prefix="/en", activity=activity)
    web.put("/download/1/a.csv", b"new")
    page = f"{web.base}/en/dataset/rain"
    found = await open_deposit(page)
    assert files_in(found) == {"a.csv": b"new", "b.ipynb": b"{}"}
    assert found.ref.date == datetime(2024, 2, 27, 14, 15, 54, 573058, tzinfo=UTC)
    assert (await open_deposit(f"{page}?activity_id={activity}")).ref.version == activity


async def test_what_a_ckan_only_links_to_may_be_missing(web, open_deposit):
    ckan_dataset(web, "rain", {"a.csv": b"1"})
    [result] = [answer for path, answer in web.answers.items() if "package_show" in path]
    told = json.loads(result(None)[2])
    links = [
        {"id": "x1", "url": f"{web.base}/gone/a.csv", "url_type": None},
        {"id": "x2", "url": "http://10.0.0.1/secret", "url_type": None},
        {"id": "x3", "url": "file:///etc/passwd", "url_type": None},
    ]
    told["result"]["resources"] += links
    web.put("/api/3/action/package_show?id=rain", told)
    found = await open_deposit(f"{web.base}/dataset/rain")
    assert files_in(found) == {"a.csv": b"1"}
    assert [line.split(" was left out")[0] for line in found.warnings] == [
        "x1-a.csv",
        "secret",
        "passwd",
    ]


async def test_an_osf_project_is_walked_folder_by_folder(web, open_deposit):
    files = {**FILES, "data/c.csv": b"3", "data/d.csv": b"4", "z.txt": b"5"}
    osf_project(web, "6nd7c", files)
    found = await open_deposit("https://osf.io/6nd7c/")
    assert files_in(found) == files
    assert found.ref.date == datetime(2021, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    assert found.warnings == ("dropbox was left out: only what OSF itself stores is fetched.",)
    osf_project(web, "abc12", FILES, kind="registrations")
    assert files_in(await open_deposit("10.17605/OSF.IO/ABC12")) == FILES


async def test_software_heritage_packs_what_is_then_checked(
    web, open_deposit, tmp_path, monkeypatch
):
    monkeypatch.setattr(heritage, "LOOKS", (0.01,))
    tree = tmp_path / "tree"
    for name, body in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(body)
    directory, revision, snapshot = heritage.git_tree(tree), "0a" * 20, "0b" * 20
    heritage_revision(web, revision, directory, make_tar(FILES, f"swh:1:dir:{directory}/"))
    heritage_snapshot(web, snapshot, revision)
    when = datetime(2017, 8, 9, 8, 11, 12, tzinfo=UTC)
    for text in (
        f"swh:1:rev:{revision};origin=https://example.org/r",
        f"swh:1:rel:{revision}",
        f"swh:1:snp:{snapshot}",
        f"swh:1:dir:{directory};anchor=swh:1:rev:{revision}",
    ):
        found = await open_deposit(text)
        assert files_in(found) == FILES
        assert (found.ref.version, found.ref.tree, found.ref.date) == (directory, directory, when)
        assert found.warnings == ()
    assert web.count(f"/vault/flat/swh:1:dir:{directory}/raw/") == 4
    with pytest.raises(NotFound):
        await open_deposit(f"swh:1:rev:{revision}@main")


async def test_what_software_heritage_gives_that_is_not_what_was_named_is_said(
    web, open_deposit, monkeypatch
):
    monkeypatch.setattr(heritage, "LOOKS", (0.01,))
    heritage_revision(web, "0a" * 20, "0c" * 20, make_tar(FILES, "x/"))
    found = await open_deposit(f"swh:1:rev:{'0a' * 20}")
    assert "not exactly those that the identifier names" in found.warnings[0]


async def test_a_single_file_of_software_heritage_is_opened(web, open_deposit):
    digits, body = "0d" * 20, b"print(1)\n"
    sums = {"checksums": {"sha1": hashlib.sha1(body).hexdigest()}, "length": len(body)}
    web.put(f"/content/sha1_git:{digits}/", sums)
    web.put(f"/content/sha1_git:{digits}/raw/", body)
    assert files_in(await open_deposit(f"swh:1:cnt:{digits}")) == {"content": body}


async def test_a_vault_that_fails_is_said(web, open_deposit):
    heritage_revision(web, "0a" * 20, "0c" * 20, b"")
    failed = {"status": "failed", "progress_message": "No such directory"}
    web.put(f"/vault/flat/swh:1:dir:{'0c' * 20}/", failed)
    with pytest.raises(Unreachable, match="No such directory"):
        await open_deposit(f"swh:1:rev:{'0a' * 20}")


async def test_what_is_here_already_is_asked_of_nobody(web, make_deposits, open_deposit):
    zenodo_record(web, "33", FILES, concept="31")
    found = await open_deposit("zenodo:31")
    web.seen.clear()
    again = await open_deposit(f"zenodo:31@{found.ref.version}", source=make_deposits())
    assert again.path == found.path
    assert again.ref.tree == found.ref.tree
    assert web.seen == []


async def test_a_crowd_asks_once(web, make_deposits, open_deposit):
    zenodo_record(web, "32", FILES)
    source = make_deposits()
    found = await asyncio.gather(*[open_deposit("zenodo:32", source) for _ in range(12)])
    assert len({one.path for one in found}) == 1
    assert web.count("/api/records/32") == web.count("/api/records/32/files") == 1
    assert web.count("/api/records/32/files/index.ipynb/content") == 1


async def test_the_same_files_have_the_same_tree_wherever_they_are(web, open_deposit):
    zenodo_record(web, "32", FILES)
    zenodo_record(web, "33", FILES)
    zenodo_record(web, "34", FILES | {"x": b"1"})
    trees = [(await open_deposit(f"zenodo:{number}")).ref.tree for number in (32, 33, 34)]
    assert trees[0] == trees[1] != trees[2]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_restricted_record_is_refused(web, open_deposit, status):
    zenodo_record(web, "32", FILES)
    web.put("/api/records/32/files", {"message": "Permission denied."}, status)
    with pytest.raises(Refused, match="without signing in"):
        await open_deposit("zenodo:32")


async def test_a_record_without_files_is_said(web, open_deposit):
    zenodo_record(web, "32", {})
    with pytest.raises(NotFound, match="has no files"):
        await open_deposit("zenodo:32")


@pytest.mark.parametrize(
    "body", [b"", b"<h1>A page</h1>", b"[]", b"null", b"7", b'{"id": null}', b'{"metadata": []}',
             b"[" * 100_000, b"\xff\xfe", b'{"id": 32, "metadata": {"title": 5}, "created": {}}'],
)  # fmt: skip
async def test_an_answer_that_makes_no_sense_is_unreachable(web, open_deposit, body):
    zenodo_record(web, "32", FILES)
    web.put("/api/records/32", body)
    web.put("/api/records/32/files", body)
    with pytest.raises((Unreachable, NotFound)):
        await open_deposit("zenodo:32")


@pytest.mark.parametrize("number", ["../../x", "a b", "x\n<script>", "x" * 400])
async def test_an_id_that_is_none_is_not_taken_over(web, open_deposit, number):
    zenodo_record(web, "32", FILES)
    web.put("/api/records/32", {"id": number, "created": "2020-01-01", "metadata": {}})
    for path in (f"/api/records/{quote(number, safe='')}/files", "/x"):
        web.put(path, {"entries": [{"key": "x", "links": {"content": f"{web.base}/x"}}]})
    with pytest.raises((Unreachable, NotFound)):
        await open_deposit("zenodo:32")


@pytest.mark.parametrize(
    "url", ["", "x", "http://[", "http://h:99999/", "http:///x", "//h/x", "a:b"]
)
async def test_addresses_of_files_that_are_none_are_refused(web, make_deposits, open_deposit, url):
    zenodo_record(web, "32", FILES)
    entry = {"key": "x", "links": {"content": url or " "}}
    web.put("/api/records/32/files", {"entries": [entry]})
    for trusted in (True, False):
        with pytest.raises((Refused, Unreachable)):
            await open_deposit("zenodo:32", make_deposits(trusted=trusted))
    web.put("/x.zip", b"", 302, Location=url or " ")
    with pytest.raises((Refused, Unreachable, NotFound)):
        await open_deposit(f"{web.base}/x.zip")


async def test_file_names_that_lead_away_are_refused(web, open_deposit):
    for bad in ("../../x", "a/../../x"):
        zenodo_record(web, "32", {"a.txt": b"1", bad: b"2"})
        with pytest.raises(Refused, match="outside of its folder"):
            await open_deposit("zenodo:32")
        assert not web.count("/api/records/32/files/a.txt/content")


async def test_file_names_that_cannot_be_are_left_out(web, open_deposit):
    good = {"ok.txt": b"1", "/abs.txt": b"2", "deep/x": b"3"}
    bad = {"x" * 300: b"4", "a\nb": b"5", "deep": b"6"}
    zenodo_record(web, "32", good | bad)
    found = await open_deposit("zenodo:32")
    assert files_in(found) == {"ok.txt": b"1", "abs.txt": b"2", "deep/x": b"3"}
    assert len(found.warnings) == 3


async def test_a_crafted_locator_is_refused(make_deposits):
    for locator in ("doi:10.5281/../x", "https://osf.io/6nd7c/..", "doi: 10.5281/zenodo.1", "x"):
        with pytest.raises(BadReference):
            await make_deposits().resolve(RepoRef("deposits", locator))


async def test_what_was_not_needed_for_long_is_removed(web, make_deposits, open_deposit):
    zenodo_record(web, "32", FILES)
    source = make_deposits()
    found = await open_deposit("zenodo:32", source)
    later = datetime.now(UTC) + timedelta(days=9)
    assert await source.prune(later, ()) == []  # it was needed today
    os.utime(found.path.parent, (1, 1))
    assert await source.prune(later, [str(found.path)]) == []
    assert [one.path for one in await source.prune(later, (), dry_run=True)] == [found.path.parent]
    assert [one.path for one in await source.prune(later, ())] == [found.path.parent]
    assert not found.path.exists()
    assert files_in(await open_deposit("zenodo:32", source)) == FILES


async def test_names_are_quoted_as_each_service_wants(web, open_deposit):
    zenodo_record(web, "32", {"a #1?.csv": b"1", "ü/é.txt": b"2"})
    assert files_in(await open_deposit("zenodo:32")) == {"a #1?.csv": b"1", "ü/é.txt": b"2"}
    assert any("ü/é.txt" in unquoted(line) for line in web.seen)
