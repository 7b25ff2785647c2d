from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from atoll.sources.binder import DEPOSITS
from support.browsing import PREFIX, running
from support.web_service import PLACE, make_service


async def test_health_says_what_was_looked_at(browse):
    answer = await browse().http.get("/health")
    assert answer.status_code == 200
    told = answer.json()
    assert told["ok"]
    assert [one["service"] for one in told["checks"]] == ["JupyterHub API", "Database", "Disk"]
    assert all(one["ok"] for one in told["checks"])


async def test_a_hub_that_is_away_is_bad_health(browse, service):
    service.hub.down = True
    answer = await browse().http.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"][0] == {"service": "JupyterHub API", "ok": False}
    assert (await browse().http.head("/health")).status_code == 503


async def test_who_serves_people_is_ready_though_the_disk_is_full(browse, service, monkeypatch):
    monkeypatch.setattr("atoll.web.status.ROOM", 1024**6)
    assert (await browse().http.get("/health")).status_code == 503
    assert (await browse().http.get("/health/ready")).status_code == 200
    assert (await browse().http.head("/health/live")).status_code == 200


async def test_who_cannot_serve_people_is_not_ready_but_lives(browse, service):
    service.hub.down = True
    answer = await browse().http.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ok": False})
    assert (await browse().http.get("/health/live")).status_code == 200


async def test_a_database_that_is_away_is_bad_health(browse, service):
    async def away(**_: object):
        raise OSError("away")

    service.store.records = type("Records", (), {"newest": staticmethod(away)})()
    answer = await browse().http.get("/health")
    assert {"service": "Database", "ok": False} in answer.json()["checks"]


async def test_versions_are_for_everybody(browse):
    answer = await browse().http.get("/versions")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"builder_info", "binderhub"} <= set(answer.json())


async def test_providers_are_described_as_binders_pages_expect(browse):
    told = (await browse().http.get("/api/repoproviders")).json()
    typed = [one for one in DEPOSITS if one != "upload"]  # which nobody writes into a form
    assert [one["id"] for one in told] == ["gh", "gl", "gist", "git", "hg", *typed]
    for one in told:
        assert {"displayName", "spec", "repo", "ref"} <= set(one)
        assert {"label", "placeholder", "urlEncode"} <= set(one["repo"])


@pytest.mark.parametrize("path", ["/badge_logo.svg", "/badge.svg", f"{PREFIX}static/logo.svg"])
async def test_pictures_are_whole(browse, path):
    answer = await browse().http.get(path)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(answer.text).tag.endswith("svg")


async def test_about_needs_no_sign_in(browse):
    page = await browse().get("/about")
    assert page.url.path == f"{PREFIX}about"
    assert page.status_code == 200


async def test_static_files_are_kept_only_while_they_are_the_same(browse):
    page = await browse().get("about")
    url = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    marked = await browse().http.get(url)
    assert "immutable" in marked.headers["cache-control"]
    plain = await browse().http.get(url.split("?")[0])
    assert "immutable" not in plain.headers["cache-control"]
    assert (await browse().http.get(f"{PREFIX}static/../app.py")).status_code == 404


async def test_an_installation_below_a_path_is_all_below_it(tmp_path):
    place = replace(PLACE, base="/jupyter/", prefix="/jupyter/services/atoll/")
    service = make_service(tmp_path, place=place, access={"anonymous": True})
    async with running(service) as browse:
        visitor = browse()
        assert (await visitor.http.get("/jupyter/versions")).status_code == 200
        page = await visitor.get("/jupyter/v2/gh/ada/engine/main")
        assert page.url.path == "/jupyter/services/atoll/v2/gh/ada/engine/main"
        assert "http://atoll.example.org/jupyter/v2/gh/ada/engine/main" in page.text
        assert not re.search(r'(?:href|src|action)="/(?!jupyter/)', page.text)
