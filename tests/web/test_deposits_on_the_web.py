"""A deposit is launched from the web as any repository is: by its DOI, its page or its link."""

from __future__ import annotations

import pytest

from support.browsing import parse_stream, running
from support.depositservers import deposits_at, make_zip, serve_web, zenodo_record
from support.web_service import make_service

FILES = {"requirements.txt": b"six==1.16.0\n", "index.ipynb": b"{}"}


@pytest.fixture
def web():
    with serve_web() as web:
        yield web


@pytest.fixture
def service(tmp_path, web):
    """The service on stand-ins, but for a real source of deposits."""
    return make_service(tmp_path, real=deposits_at(web, tmp_path))


async def build(service, browser, spec):
    headers = {"Accept": "text/event-stream"}
    headers["Authorization"] = f"Bearer {service.hub.token_of('ada')}"
    answer = await browser.http.get(f"/build/{spec}", headers=headers)
    return [data for _, _, data in parse_stream(answer.text)]


async def test_a_doi_becomes_a_server(service, web):
    zenodo_record(web, "32", {"ada/engine-v1.zip": make_zip(FILES, "ada-engine-5f3/")}, "31")
    async with running(service) as browse:
        told = await build(service, browse(), "zenodo/10.5281/zenodo.31")
    last = told[-1]
    assert last["phase"] == "ready", last
    assert last["url"] == "http://atoll.example.org/user/ada/zenodo-31/"
    assert last["repo_url"] == "https://zenodo.org/records/31"
    assert last["binder_ref_url"] == "https://zenodo.org/records/32"
    assert last["binder_request"] == "v2/zenodo/10.5281/zenodo.31"
    assert last["binder_persistent_request"] == "v2/zenodo/10.5281/zenodo.32"
    assert "The newest version was taken, 32 of 2019-06-09\n" in [one["message"] for one in told]
    [record] = service.store.records.kept
    assert (record.provider, record.spec, record.ref, record.status) == (
        "Zenodo",
        "10.5281/zenodo.31",
        "32",
        "success",
    )


async def test_an_archive_becomes_a_server_by_a_link_of_ours(service, web):
    web.put("/course.zip", make_zip(FILES))
    quoted = f"http%3A%2F%2F127.0.0.1%3A{web.base.rpartition(':')[2]}%2Fcourse.zip"
    async with running(service) as browse:
        told = await build(service, browse(), f"url/{quoted}")
        assert told[-1]["phase"] == "ready", told[-1]
        again = await build(service, browse(), told[-1]["binder_persistent_request"][3:])
        assert again[-1]["phase"] == "ready", again[-1]
    assert web.count("/course.zip") == 1


async def test_what_cannot_be_is_said_as_an_event(service, web):
    async with running(service) as browse:
        told = await build(service, browse(), "zenodo/10.5281/zenodo.99")
        assert told[-1]["phase"] == "failed"
        assert "There is nothing at" in told[-1]["message"]
        told = await build(service, browse(), "url/http%3A%2F%2F10.0.0.1%2Fx.zip")
        assert "inside the operator's network" in told[-1]["message"]


async def test_a_link_leads_to_the_launch_page_of_the_deposit(service, web):
    async with running(service) as browse:
        ada = browse()
        await ada.get("")
        page = await ada.get("v2/figshare/10.6084/m9.figshare.97.v2?labpath=index.ipynb")
    assert 'value="doi:10.6084/m9.figshare.97"' in page.text
    assert "Figshare article <b>97</b>, version 2, opens <b>index.ipynb</b>" in page.text
