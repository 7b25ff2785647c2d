"""People whom a launch lets in, and visitors: by the form, a link and a program."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from atoll.access import Kind, Party
from atoll.launching.desk import State
from atoll.volumes import Volume
from support.browsing import PREFIX
from support.web_service import REPO

LINK = "/v2/gh/ada/engine/main"


@pytest.fixture
async def ada(service, browse):
    for name in ("carl", "dora", "anna"):
        service.hub.add(name)
    service.hub.users["dora"]["groups"] = ["maths"]
    return browse()


def shares(service, server="engine"):
    found = service.hub.sharing.shares
    return {
        key[3]: {one.partition("!")[0] for one in scopes}
        for key, scopes in found.items()
        if key[:2] == ("ada", server)
    }


LOOKS, RUNS = {"access:servers"}, {"access:servers", "custom:atoll:run"}


async def over(ada, service, launch):
    await ada.events(launch)
    return service.store.launches.kept[launch]


async def test_who_is_named_is_let_in_as_the_server_starts(ada, service):
    launch = await ada.launch(REPO, people="anna, carl:view, group:maths")
    kept = await over(ada, service, launch)
    assert kept.state is State.READY
    assert shares(service) == {"anna": RUNS, "carl": LOOKS, "maths": RUNS}
    plan, _ = service.store.plans.made[kept.plan]
    assert plan.shared  # so that one notebook can be edited at once from the start
    told = [event.message for event in service.site.desk.story(kept).events]
    assert "anna may now run code in it, as you" in told
    page = await ada.get(f"launches/{launch}")
    assert "<b>carl</b> may look at it." in page.text
    page = await ada.get("servers/engine/people")
    assert "from the next start of this server on" not in page.text
    acts = [act for act in service.store.acts.kept if act.deed == "share"]
    assert [act.detail["whom"] for act in acts] == ["anna", "carl", "@maths"]
    assert {(act.who, act.server) for act in acts} == {("ada", "ada/engine")}


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ("nobody-here", "Nobody here is called “nobody-here”."),
        ("@nogroup:view", "Nobody here is called “@nogroup”."),
        ("ada", "It is your own server."),
    ],
)
async def test_who_does_not_exist_is_said_before_anything_is_built(ada, service, people, said):
    launch = await ada.launch(REPO, people=f"anna, {people}")
    kept = await over(ada, service, launch)
    assert (kept.state, kept.error) == (State.FAILED, said)
    assert service.engine.builder.built == 0
    assert shares(service) == {}
    page = await ada.get(f"launches/{launch}/edit")
    assert html.escape(people) in page.text


async def test_launching_again_adds_whom_it_names_once_that_is_confirmed_and_drops_nobody(
    ada, service
):
    await over(ada, service, await ada.launch(REPO, people="anna:manage, carl:view"))
    service.hub.users["ada"]["servers"]["engine"]["started"] = "2026-01-01T00:00:00Z"
    again = await over(ada, service, await ada.launch(REPO, people="anna:view, carl:view"))
    assert again.state is State.READY  # nothing new
    begun = await ada.launch(REPO, people="carl, dora:view", visitors="yes")
    kept = await over(ada, service, begun)
    assert kept.state is State.ASKING
    assert [(one.what, one.was, one.now) for one in kept.changes] == [
        ("People", "anna (manage), carl (view)", "anna (manage), carl (run), dora (view)"),
        ("Visitors", "get no copies", "get copies by a link"),
    ]
    page = await ada.get(f"launches/{begun}")
    assert "It is updated as it runs" in page.text
    assert "dora" not in shares(service)
    page = await ada.post(f"launches/{begun}/answer", how="update")
    await over(ada, service, page.url.path.rsplit("/", 1)[-1])
    assert shares(service)["carl"] == RUNS
    assert shares(service)["dora"] == LOOKS
    assert len(shares(service)["anna"]) == 3
    assert len(service.hub.started) == 1  # nothing was stopped
    assert ("ada", "engine") in service.store.copies.kept


async def test_the_volumes_that_visitors_will_read_are_named_before(ada, service):
    volume = Volume("id-thesis", Party(Kind.PERSON, "ada"), "thesis", datetime.now(UTC))
    service.store.volumes.kept[volume.id] = volume
    await service.engine.files.make(volume.id)
    page = await ada.get(f"{LINK}?visitors=yes&volumes=thesis:data")
    assert "get copies of its files, and read <b>thesis</b>" in page.text
    await over(ada, service, await ada.launch(REPO, volumes="thesis:data"))
    kept = await over(ada, service, begun := await ada.launch(REPO, visitors="yes"))
    [change] = kept.changes
    assert (change.what, change.now) == ("Visitors", "get copies by a link, and read thesis")
    assert not service.store.copies.kept
    page = await ada.post(f"launches/{begun}/answer", how="update")
    await over(ada, service, page.url.path.rsplit("/", 1)[-1])
    assert service.store.copies.kept["ada", "engine"].volumes == ("id-thesis",)


async def test_a_link_says_whom_it_would_let_in_each_time(ada, service):
    path = f"{LINK}?people=anna,carl:view&visitors=yes"
    page = await ada.get(path)
    assert "this would let <b>anna</b> run code in your server, as you" in page.text
    assert "<b>carl</b> look at your server" in page.text
    assert "nobody else gets into the server" not in page.text
    assert "would get copies of its files" in page.text
    assert "Don’t ask again" not in page.text
    # Nor is it skipped where the repository is trusted, or the link on a page of this hub.
    plain = await ada.get(LINK)
    fields = dict(re.findall(r'type="text"[^>]*name="(\w+)" value="([^"]*)"', plain.text))
    await ada.post("launches", **fields, trust="yes")
    assert "data-autostart" in (await ada.get(LINK)).text
    for headers in ({}, {"Referer": f"http://atoll.example.org{PREFIX}"}):
        assert "data-autostart" not in (await ada.get(path, **headers)).text
        assert "data-autostart" not in (await ada.get(f"{LINK}?visitors=1", **headers)).text
    assert shares(service) == {}


async def test_a_pasted_link_and_a_filled_in_form_let_nobody_in_unseen(ada, service):
    link = f"http://atoll.example.org{LINK}?people=anna"
    await ada.get("")
    page = await ada.post("launches", repository=link)
    assert "this would let <b>anna</b> run code in your server" in page.text
    assert not service.store.launches.kept
    fields = dict(re.findall(r'type="text"[^>]*name="(\w+)" value="([^"]*)"', page.text))
    assert fields["people"] == "anna"
    page = await ada.post("launches", **{**fields, "people": ""})  # who has thought better of it
    await over(ada, service, page.url.path.rsplit("/", 1)[-1])
    assert shares(service) == {}
    page = await ada.post("launches", **{**fields, "repository": link, "name": "two"})
    await over(ada, service, page.url.path.rsplit("/", 1)[-1])
    assert shares(service, "two") == {"anna": RUNS}
    page = await ada.get(f"?repository={quote(REPO)}&people=carl&visitors=yes")
    assert "carl" not in page.text


async def test_what_strangers_write_into_names_stays_text(ada, service):
    evil = "<img src=x onerror=alert(1)>"
    page = await ada.get(f"{LINK}?people={quote(evil)}")
    assert "<img src=x" not in page.text
    launch = await ada.launch(REPO, people=evil)
    await over(ada, service, launch)
    page = await ada.get(f"launches/{launch}")
    assert "<img src=x" not in page.text
    page = await ada.get(f"{LINK}?people=a%0Ab")
    assert page.status_code == 400


async def test_a_program_names_people_too_and_a_visitor_cannot(ada, service, browse, public):
    token = {
        "Authorization": f"Bearer {service.hub.token_of('ada', 'access:services!service=atoll')}"
    }
    url = "/build/gh/ada/engine/main?people=anna&visitors=yes"
    answer = await browse().http.get(url, headers={**token, "Accept": "text/event-stream"})
    assert '"ready"' in answer.text
    assert shares(service) == {"anna": RUNS}
    assert ("ada", "engine") in service.store.copies.kept
    theirs, as_visitor = public
    theirs.hub.add("anna")
    visitor = as_visitor()
    kept = await over(visitor, theirs, await visitor.launch(REPO, people="anna"))
    assert (kept.state, kept.error) == (State.FAILED, "Only who has signed in lets others in.")


async def test_a_temporary_server_lets_people_in_and_visitors_copy_nothing_of_it(ada, service):
    kept = await over(
        ada, service, await ada.launch(REPO, temporary="yes", people="anna", visitors="yes")
    )
    assert "keeps no files" in kept.error
    kept = await over(ada, service, await ada.launch(REPO, temporary="yes", people="anna"))
    assert shares(service, kept.name) == {"anna": RUNS}


async def test_nobody_only_looks_in_a_repositorys_own_lab(ada, service):
    service.engine.builder.own_lab = True
    kept = await over(ada, service, await ada.launch(REPO, people="anna:view"))
    assert "nobody can be held to looking" in kept.error
    assert shares(service) == {}
    assert service.hub.started == []
