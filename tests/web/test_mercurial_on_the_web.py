"""A Mercurial repository is launched from the web as any repository is: by its address or a link."""

from __future__ import annotations

from atoll.providers.mercurial import open_source
from atoll.settings import settings_from
from support.browsing import parse_stream, running
from support.hgservers import make_hg, serve_hg
from support.web_service import make_service


async def test_a_mercurial_repository_becomes_a_server_by_its_link(tmp_path):
    root = tmp_path / "remote"
    node = make_hg(root / "engine", {"requirements.txt": "six==1.16.0\n"}, branch="stable")
    settings = settings_from({"data": str(tmp_path), "sources": {"allow": ["127.0.0.1"]}})
    service = make_service(tmp_path, real=open_source(settings, trusted=False))
    with serve_hg(root) as served:
        url = f"{served.base}/engine"
        async with running(service) as browse:
            quoted = url.replace(":", "%3A").replace("/", "%2F")
            told = await build(service, browse(), f"hg/{quoted}/stable")
            last = told[-1]
            assert last["phase"] == "ready", last
            page = await browse().get(f"v2/{last['binder_persistent_request'][3:]}")
            nowhere = await build(service, browse(), f"hg/{quoted}x/stable")
    assert last["url"].endswith("/user/ada/engine/")
    assert last["repo_url"] == url
    assert last["binder_ref_url"] == f"{url}/rev/{node}"
    assert last["binder_persistent_request"] == f"v2/hg/{quoted}/{node}"
    assert "Mercurial repository <b>127.0.0.1" in page.text
    assert nowhere[-1]["phase"] == "failed"
    assert "There is no Mercurial repository at" in nowhere[-1]["message"]
    record = service.store.records.kept[0]
    assert (record.provider, record.spec, record.ref) == ("Mercurial", f"{quoted}/stable", node)


async def build(service, browser, spec):
    headers = {"Accept": "text/event-stream"}
    headers["Authorization"] = f"Bearer {service.hub.token_of('ada')}"
    answer = await browser.http.get(f"/build/{spec}", headers=headers)
    return [data for _, _, data in parse_stream(answer.text)]
