"""Making an environment anew that is there: who may, and by which ways."""

from __future__ import annotations

import pytest

from atoll.errors import BuildFailed
from support.browsing import parse_stream, running
from support.web_service import REPO, make_service

FIELD = 'name="rebuild"'
LINK = "/v2/gh/ada/engine/main?rebuild=true"
STREAM = "/build/gh/ada/engine/main?rebuild=true"


async def ready(service, browser, **fields):
    launch = await browser.launch(REPO, **fields)
    await browser.events(launch)
    return service.store.launches.kept[launch]


async def stream(service, browser, name="ada"):
    sent = {"Accept": "text/event-stream", "Authorization": f"token {service.hub.token_of(name)}"}
    return await browser.http.get(STREAM, headers=sent)


async def test_an_administrator_has_it_made_anew_by_form_link_and_stream(browse, service):
    ada = browse()
    await ready(service, ada)
    assert not (await ready(service, ada, rebuild="yes")).cached
    assert service.engine.builder.built == 2
    page = (await ada.get(LINK)).text
    assert 'name="rebuild" value="yes" checked' in page
    assert "<details open>\n<summary>Advanced" in page
    assert parse_stream((await stream(service, ada)).text)[-1][2]["phase"] == "ready"
    assert service.engine.builder.built == 3
    assert (await ready(service, ada, version="main")).cached


@pytest.mark.parametrize("rule", ["admins", "people"])
async def test_nobody_else_may_unless_the_operator_says_so(tmp_path, rule):
    service = make_service(tmp_path, access={"rebuild": rule})
    service.hub.signed_in = "bob"
    async with running(service) as open_browser:
        bob = open_browser()
        assert (FIELD in (await bob.get("")).text) == (rule == "people")
        assert (FIELD in (await bob.get(LINK)).text) == (rule == "people")
        answer = await bob.post("launches", repository=REPO, rebuild="yes")
        asked = await stream(service, bob, "bob")
    assert {answer.status_code, asked.status_code} == ({403} if rule == "admins" else {200})
    assert bool(service.store.launches.kept) == (rule == "people")


async def test_visitors_never_may(public):
    service, open_browser = public
    visitor = open_browser()
    assert FIELD not in (await visitor.get("")).text
    page = (await visitor.get(LINK)).text
    assert FIELD not in page
    answer = await visitor.post("launches", repository=REPO, rebuild="yes")
    assert answer.status_code == 403
    refused = await visitor.http.get(STREAM, headers={"Accept": "text/event-stream"})
    assert refused.status_code == 403
    assert not service.store.launches.kept


async def test_a_rebuild_that_fails_says_that_the_old_one_is_there_and_it_is(browse, service):
    ada = browse()
    await ready(service, ada)
    service.engine.builder.error = BuildFailed("No such package.")
    failed = await ready(service, ada, rebuild="yes")
    assert failed.hint == "The environment of before is still there."
    assert (await ready(service, ada)).cached


async def test_a_server_that_runs_in_the_old_one_is_said_to(browse, service):
    ada = browse()
    await ready(service, ada)
    again = await ready(service, ada, rebuild="yes")
    said = [event.message for event in service.site.desk.story(again).events]
    assert any("it is opened as it is" in line for line in said)
