"""What one person may have at once: said on the page, to a program, and in Binder's stream."""

from __future__ import annotations

import pytest

from support.browsing import parse_stream, running
from support.web_service import REPO, make_service

SPEC = "/build/gh/ada/engine/main"


@pytest.fixture
async def small(tmp_path):
    """A service where a person may have two servers, and one launch in progress."""
    service = make_service(tmp_path, servers={"per_person": 2}, access={"launches": 1})
    async with running(service) as open_browser:
        yield service, open_browser


async def full(service, browse):
    """Return Ada's browser; she has as many servers as she may."""
    ada = browse()
    for name in ("one", "two"):
        await ada.events(await ada.launch(REPO, name=name))
    await ada.get("")
    return ada


async def test_the_page_says_which_servers_to_stop(small):
    service, browse = small
    ada = await full(service, browse)
    page = await ada.post("launches", repository=REPO, name="three")
    assert page.status_code == 429
    assert "one person may have 2 running or starting" in page.text
    assert "Stop one that you do not need: one, two." in page.text
    assert 'value="three"' in page.text  # what was typed is not lost
    await ada.get("servers")
    await ada.post("servers/two/stop")
    assert (await ada.events(await ada.launch(REPO, name="three")))[-1][2]["state"] == "ready"


async def test_what_a_group_may_have_is_said_and_held_to(tmp_path):
    groups = {"students": {"max_memory": "1G", "per_person": 1}}
    service = make_service(tmp_path, groups=groups)
    service.hub.users["ada"]["groups"] = ["students"]
    async with running(service) as browse:
        ada = browse()
        assert "at most 1G" in (await ada.get("")).text
        page = await ada.post("launches", repository=REPO, memory="2G")
        assert "at most 1G of memory" in page.text
        begun = await ada.launch(REPO)
        await ada.events(begun)
        plan = next(iter(service.store.plans.made.values()))[0]
        assert plan.limits.memory == 1024**3
        page = await ada.post("launches", repository=REPO, name="two")
        assert "one person may have 1 running or starting" in page.text
        service.hub.signed_in = "bob"
        bob = browse()
        assert "at most 16G" in (await bob.get("")).text


async def test_a_server_that_runs_is_opened_however_many_there_are(small):
    service, browse = small
    ada = await full(service, browse)
    assert (await ada.events(await ada.launch(REPO, name="one")))[-1][2]["state"] == "ready"


async def test_a_launch_too_many_is_refused_on_the_page(small):
    service, browse = small
    service.engine.builder.pause = 60
    ada = browse()
    launch = await ada.launch(REPO)
    await ada.get("")
    page = await ada.post("launches", repository=REPO, name="more")
    assert page.status_code == 429
    assert "You have 1 launch in progress" in page.text
    again = await ada.post(f"launches/{launch}/retry")
    assert again.status_code == 429
    service.hub.signed_in = "bob"
    assert len(await browse().launch(REPO)) > 0


async def test_programs_are_told_with_the_status_and_in_the_stream(small):
    service, browse = small
    await full(service, browse)
    program = browse()
    token = service.hub.token_of("ada")
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    answer = await program.http.get(SPEC, headers=headers)
    [(_, _, said)] = parse_stream(answer.text)
    assert (said["phase"], said["status_code"]) == ("failed", 429)
    assert "Stop one that you do not need: one, two." in said["message"]
    assert len(service.hub.started) == 2


async def test_a_script_gets_the_status_and_a_sentence(small):
    service, browse = small
    ada = await full(service, browse)
    await ada.get("servers")
    await ada.post("servers/two/stop")
    service.hub.run("ada", "three")
    service.hub.refuse = "You have no room for another server. Stop one."
    sent = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}
    answer = await ada.post("servers/two/start", headers=sent)
    assert answer.status_code == 429
    assert answer.json()["error"] == service.hub.refuse
