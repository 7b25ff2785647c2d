"""The page of people in a server, its forms, and the same for programs: who may give what to whom."""

from __future__ import annotations

import pytest

from support.browsing import PREFIX
from support.web_service import REPO

HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture
async def shared(service, browse):
    """Ada's server “engine”, which runs; the hub knows bob, carl and dora, who is a mathematician."""
    ada = browse()
    await ada.events(await ada.launch(REPO, name="engine"))
    for name in ("bob", "carl", "dora"):
        service.hub.add(name)
    service.hub.users["dora"]["groups"] = ["maths"]
    return ada


@pytest.fixture
def ask(service, browse, shared):
    """Return what asks as a program of *who*'s."""
    http = browse().http

    async def call(who, deed="", *, owner="ada", server="engine", **sent):
        headers = {"Authorization": f"Bearer {service.hub.token_of(who)}"}
        url = f"{PREFIX}api/servers/{owner}/{server}/people"
        if not deed:
            return await http.get(url, headers=headers)
        return await http.post(f"{url}/{deed}", json=sent, headers=headers)

    return call


def scopes(service, name, kind="user"):
    found = service.hub.sharing.shares.get(("ada", "engine", kind, name), set())
    return {one.partition("!")[0] for one in found}


async def test_a_server_is_shared_changed_and_taken_back_in_the_page(service, shared):
    page = await shared.get("servers")
    assert "servers/engine/people" in page.text
    page = await shared.get("servers/engine/people")
    assert "runs it as you" in page.text
    page = await shared.post("servers/engine/people/give", whom="bob", level="view")
    assert "<b>bob</b> may look at it" in page.text
    assert scopes(service, "bob") == {"access:servers"}
    page = await shared.post("servers/engine/people/give", whom="bob", level="manage")
    assert len(scopes(service, "bob")) == 3
    page = await shared.post("servers/engine/people/give", whom="bob", level="run")
    assert scopes(service, "bob") == {"access:servers", "custom:atoll:run"}
    await shared.post("servers/engine/people/give", whom="@maths", level="view")
    assert scopes(service, "maths", "group") == {"access:servers"}
    page = await shared.post("servers/engine/people/take", whom="bob")
    assert "<b>bob</b>" not in page.text
    assert scopes(service, "bob") == set()


async def test_a_link_is_shown_once_and_can_be_taken_back(service, shared):
    await shared.get("servers/engine/people")
    page = await shared.post("servers/engine/people/link", level="run", days="30")
    assert "http://atoll.example.org/hub/accept-share?code=" in page.text
    [code] = service.hub.sharing.codes.values()
    assert {one.partition("!")[0] for one in code["scopes"]} == {
        "access:servers",
        "custom:atoll:run",
    }
    page = await shared.get("servers/engine/people")
    assert "code=" not in page.text
    await shared.post("servers/engine/people/unlink", link=code["id"])
    assert service.hub.sharing.codes == {}


async def test_whom_it_is_shared_with_finds_it_and_may_leave(service, shared, ask, browse):
    await ask("ada", "give", whom="bob", level="manage")
    await ask("ada", "give", whom="@maths", level="view")
    service.hub.signed_in = "bob"
    bob = browse()
    page = await bob.get("servers")
    for said in ("Shared with you", "Of ada.", "let others in", "shared/ada/engine/people"):
        assert said in page.text
    opened = await bob.get("shared/ada/engine/open")
    assert opened.url.path == "/user/ada/engine/lab"
    await bob.get("servers")
    await bob.post("shared/ada/engine/stop")
    assert not service.hub.users["ada"]["servers"]["engine"]["ready"]
    await bob.post("shared/ada/engine/start")
    assert service.hub.started[-1][:2] == ("ada", "engine")
    await bob.post("shared/ada/engine/leave")
    assert "Shared with you" not in (await bob.get("servers")).text
    service.hub.signed_in = "dora"
    dora = browse()
    page = await dora.get("servers")
    assert "through @maths" in page.text
    assert ">Leave<" not in page.text


@pytest.mark.parametrize("level", ["view", "run", "manage", ""])
async def test_each_level_does_what_the_table_says_and_no_more(service, shared, ask, browse, level):
    if level:
        await ask("ada", "give", whom="bob", level=level)
    manages, inside = level == "manage", bool(level)
    refused = 403 if inside else 404
    assert (await ask("bob")).status_code == (200 if manages else refused)
    for deed, sent, status in (
        ("give", {"whom": "carl", "level": "run"}, 200),
        ("give", {"whom": "carl", "level": "manage"}, 403),
        ("give", {"whom": "bob", "level": "view"}, 403),  # managers do not depose one another
        ("take", {"whom": "bob"}, 403),
        ("take", {"whom": "carl"}, 200),
        ("link", {"level": "view"}, 200),
        ("link", {"level": "manage"}, 403),
        ("unlink", {"link": "sc_1"}, 200),
    ):
        answer = await ask("bob", deed, **sent)
        assert answer.status_code == (status if manages else refused), (deed, answer.text)
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("servers")
    opened = await bob.get("shared/ada/engine/open")
    assert (opened.url.path == "/user/ada/engine/lab") == inside
    await bob.get("servers")
    for deed in ("stop", "start"):
        answer = await bob.post(f"shared/ada/engine/{deed}")
        assert answer.status_code == (200 if manages else refused), deed
    for path in ("servers/engine/delete", "servers/engine/stop", "servers/engine/restart"):
        assert (await bob.post(path)).status_code == 404
    assert "engine" in service.hub.users["ada"]["servers"]


async def test_what_makes_no_sense_is_said_and_changes_nothing(service, shared, ask):
    for deed, sent, status, said in (
        ("give", {"whom": "nobody", "level": "run"}, 404, "once they have signed in"),
        ("give", {"whom": "@nobodies", "level": "run"}, 404, "once they have signed in"),
        ("give", {"whom": "ada", "level": "run"}, 400, "own"),
        ("give", {"whom": "visitor-1", "level": "run"}, 400, "visitor"),
        ("give", {"whom": "../users", "level": "run"}, 400, "neither"),
        ("give", {"whom": HOSTILE, "level": "run"}, 400, "neither"),
        ("give", {"whom": "", "level": "run"}, 400, "neither"),
        ("give", {"whom": "bob", "level": "own"}, 400, "no level"),
        ("give", {"whom": "bob", "level": ["run"]}, 400, "text"),
        # What could not be written down is not done either.
        ("show", {"volumes": [1]}, 400, "text"),
        ("link", {"level": "run", "days": 0}, 400, "365"),
        ("link", {"level": "run", "days": 100000}, 400, "365"),
        ("link", {"level": "run", "days": [1]}, 400, "365"),
        ("link", {"level": "run", "days": "9" * 5000}, 400, "365"),
        ("unlink", {"link": "sc_9&id=sc_1"}, 404, "no such link"),
        ("appoint", {}, 404, "cannot be done"),
    ):
        answer = await ask("ada", deed, **sent)
        assert answer.status_code == status, (deed, sent, answer.text)
        assert said in answer.json()["error"] + answer.json()["hint"]
    for server in ("other", "a b", "..", "engine%2F..", "engine;x"):
        assert (await ask("ada", server=server)).status_code == 404
    assert service.hub.sharing.shares == {}


async def test_a_server_that_never_ran_is_to_be_started_first(service, shared, ask):
    del service.hub.users["ada"]["servers"]["engine"]
    answer = await ask("ada", "give", whom="bob", level="run")
    assert (answer.status_code, answer.json()["hint"]) == (400, "Start it once, then share it.")


async def test_nobody_is_held_to_looking_where_the_repository_brings_its_own_lab(
    service, shared, ask
):
    from dataclasses import replace

    for key, (plan, made) in list(service.store.plans.made.items()):
        own = replace(plan, environment=replace(plan.environment, own_lab=True))
        service.store.plans.made[key] = (own, made)
    for deed in ("give", "link"):
        answer = await ask("ada", deed, whom="bob", level="view")
        assert answer.status_code == 403
        assert "own JupyterLab" in answer.json()["error"]
    assert (await ask("ada", "give", whom="bob", level="run")).status_code == 200
    page = await shared.get("servers/engine/people")
    assert "nobody can be held to looking" in page.text
    assert 'value="view"' not in page.text


async def test_forms_of_other_sites_and_narrow_tokens_share_nothing(service, shared, ask, browse):
    await shared.get("servers/engine/people")
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for more in ({"headers": foreign}, {"form_token": "guessed"}):
        answer = await shared.post("servers/engine/people/give", whom="bob", level="run", **more)
        assert answer.status_code == 403
    assert (await shared.get("servers/engine/people", Sec_Fetch_Dest="iframe")).status_code == 403
    narrow = service.hub.token_of("ada", "access:servers!server=ada/engine")  # as her server's
    url = f"{PREFIX}api/servers/ada/engine/people/give"
    for headers in ({}, {"Authorization": f"Bearer {narrow}"}):
        answer = await shared.http.post(url, json={"whom": "bob", "level": "run"}, headers=headers)
        assert answer.status_code == 403
    assert service.hub.sharing.shares == {}


async def test_the_page_says_when_a_notebook_can_be_edited_at_once(service, shared, ask):
    await ask("ada", "give", whom="bob", level="run")
    server = service.hub.users["ada"]["servers"]["engine"]
    server["started"] = "2025-12-31T00:00:00.000000Z"  # before it was shared
    assert "Restart it now" in (await shared.get("servers/engine/people")).text
    await shared.post("servers/engine/restart")
    assert service.hub.started[-1][:2] == ("ada", "engine")
    server = service.hub.users["ada"]["servers"]["engine"]
    server.update(ready=True, pending=None, started="2026-01-02T00:00:00.000000Z")
    assert "Restart it now" not in (await shared.get("servers/engine/people")).text
    assert (await ask("ada")).json()["at_once"] is True


async def test_a_temporary_server_is_not_restarted_as_its_files_would_be_gone(
    service, shared, ask, browse
):
    await shared.events(await shared.launch(REPO, name="passing", temporary="yes"))
    await ask("ada", "give", server="passing", whom="bob", level="run")
    service.hub.users["ada"]["servers"]["passing"]["started"] = "2025-12-31T00:00:00.000000Z"
    page = await shared.get("servers/passing/people")
    assert "from the next start" in page.text
    assert "Restart it now" not in page.text
    answer = await shared.post("servers/passing/restart")
    assert (answer.status_code, "would be gone" in answer.text) == (400, True)
    assert service.hub.users["ada"]["servers"]["passing"]["ready"]


async def test_others_see_a_shared_server_by_its_title(service, shared, browse):
    await shared.get("servers/engine/people")
    await shared.post("servers/engine/people/give", whom="bob", level="view")
    await shared.post("servers/engine/title", title="Ma <b>thèse</b>")
    service.hub.signed_in = "bob"
    bob = browse()
    page = await bob.get("servers")
    assert '<h3 title="engine">Ma &lt;b&gt;thèse&lt;/b&gt;</h3>' in page.text
    assert (await bob.post("servers/engine/title", title="owned")).status_code == 404
    [(plan, _)] = service.store.plans.made.values()
    assert plan.title == "Ma <b>thèse</b>"
