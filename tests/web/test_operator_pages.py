"""The operator's pages and API: who sees them, what they show, and what they do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from atoll.access import HUB, Kind, Party
from atoll.accounting.costs import Cost, Reading, Thing
from atoll.acts import Act
from atoll.errors import Unreachable
from support.browsing import PREFIX, running
from support.web_service import REPO, make_service

HOSTILE = "<script>alert(1)</script>\"'"
VIEWS = ("log", "costs", "people", "launches", "servers", "environments", "volumes")
PAGES = ("admin", "admin/costs", "admin/costs.csv", "admin/log")
POWER = ("access:services!service=atoll", "admin:servers")


def reading(owner, name, memory=2**30, **more):
    now = datetime.now(UTC)
    return Reading(f"h-{owner}-{name}", owner, name, now, now, 10.0, memory, **more)


@pytest.fixture
def ask(service, browse):
    http = browse().http

    async def call(who, view, *, scopes=POWER, **sent):
        headers = {"Authorization": f"Bearer {service.hub.token_of(who, *scopes)}"}
        url = f"{PREFIX}api/admin/{view}"
        if sent:
            return await http.post(url, json=sent, headers=headers)
        return await http.get(url, headers=headers)

    return call


async def test_an_operator_sees_who_runs_what_and_stops_it(service, browse):
    service.hub.run("bob", "eater")
    service.store.costs.read = [reading("bob", "eater", 3 * 2**30, cpus=1.5)]
    ada = browse()
    page = await ada.get("admin")
    for shown in ("bob", "eater", "3.2 GB", "1.50", "Operator"):
        assert shown in page.text
    page = await ada.post("admin/stop", server="bob/eater")
    assert "Stopped: bob/eater." in page.text
    assert "0 running" in page.text  # though it was when it was last measured
    assert service.hub.users["bob"]["servers"]["eater"]["stopped"]
    [act] = [one for one in service.store.acts.kept if one.deed == "stop"]
    assert (act.who, act.what, act.address) == ("ada", "bob/eater", "203.0.113.5")


async def test_what_is_used_is_measured_once(browse):
    names = [one.get_name() for one in asyncio.all_tasks()]
    assert names.count("measure servers") == 1


async def test_who_is_no_operator_sees_and_does_nothing(service, browse, ask):
    service.hub.run("bob", "x")
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    for path in PAGES:
        assert (await bob.get(path)).status_code == 403
    assert (await bob.post("admin/stop", server="bob/x")).status_code == 403
    for view in VIEWS:
        assert (await ask("bob", view)).status_code == 403
        assert (await ask("ada", view)).status_code == 200
        assert (await ask("ada", view, scopes=POWER[:1])).status_code == 403  # a narrow token
    assert (await ask("bob", "stop", server="bob/x")).status_code == 403
    assert (await ask("ada", "secrets")).status_code == 404
    assert not service.hub.users["bob"]["servers"]["x"]["stopped"]
    assert "admin" not in (await bob.get("servers")).text


async def test_scripts_and_foreign_forms_get_nothing_of_it(service, browse):
    service.hub.run("bob", "x")
    ada = browse()
    await ada.get("admin")
    for path in PAGES:
        for more in (
            {"Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
            {"Sec_Fetch_Dest": "iframe"},
        ):
            assert (await ada.get(path, **more)).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for more in ({"headers": foreign}, {"form_token": "guessed"}):
        assert (await ada.post("admin/stop", server="bob/x", **more)).status_code == 403
    for view in VIEWS:  # a cookie is not enough for the API
        assert (await ada.http.get(f"{PREFIX}api/admin/{view}")).status_code == 403
    assert not service.hub.users["bob"]["servers"]["x"]["stopped"]


async def test_without_its_being_written_down_nobody_elses_server_is_stopped(service, browse):
    service.hub.run("bob", "x")
    ada = browse()
    await ada.get("admin")
    service.store.acts.error = Unreachable("The database does not answer.")
    assert (await ada.post("admin/stop", server="bob/x")).status_code == 502
    assert not service.hub.users["bob"]["servers"]["x"]["stopped"]


async def test_who_acts_for_themselves_is_not_stopped_by_a_log_that_cannot_be_written(
    service, browse, caplog
):
    service.store.acts.error = Unreachable("The database does not answer.")
    ada = browse()
    await ada.get("volumes")
    page = await ada.post("volumes/make", volume="thesis")
    assert "Volume thesis was made." in page.text
    assert "NOT WRITTEN DOWN: ada: make ada/thesis" in caplog.text


async def test_what_people_do_is_found_in_the_log(service, browse, ask):
    ada = browse()
    launch = await ada.launch(REPO, name="lab", trust="yes")
    await ada.events(launch)
    await ada.post("servers/lab/stop")
    await ada.post("servers/lab/delete")
    await ada.get("volumes")
    await ada.post("volumes/make", volume="thesis")
    await ada.post("volumes/share", volume="thesis", whom="@maths", write="yes")
    page = await ada.get("admin/log?who=ada")
    deeds = [one.deed for one in service.store.acts.kept]
    assert deeds == [
        *("launch", "trust", "launch ready", "stop", "delete", "make", "share"),
    ]
    for shown in (REPO, "ada/lab", "ada/thesis", "@maths", "203.0.113.5"):
        assert shown in page.text
    found = (await ask("ada", "log?what=ada/lab&since=1h")).json()
    assert [one["deed"] for one in found] == ["delete", "stop", "launch ready", "launch"]
    assert (await ask("ada", "log?who=bob")).json() == []
    assert "Nothing of that kind" in (await ada.get("admin/log?what=unheard")).text


async def test_hostile_words_are_shown_as_words_and_wrong_ones_are_refused(service, browse):
    for n in range(150):
        await service.store.acts.add(Act(HOSTILE, "start", "server", HOSTILE, detail={"n": str(n)}))
    ada = browse()
    page = await ada.get("admin/log")
    assert HOSTILE not in page.text
    assert "before=51" in page.text
    page = await ada.get("admin/log?before=51")
    assert "n: 49" in page.text
    assert "n: 50" not in page.text
    for query in ("before=x", "after=-1", "since=soon", "before=" + "9" * 40):
        assert (await ada.get(f"admin/log?{query}")).status_code == 400
    for query in ("month=soon", "month=2026-13", "by=colour", "month=999999"):
        assert (await ada.get(f"admin/costs?{query}")).status_code == 400
    assert HOSTILE not in (await ada.get(f"admin?person={HOSTILE}&stopped={HOSTILE}")).text
    for server in ("", "/", "bob/../x", "bob/X Y"):
        assert (await ada.post("admin/stop", server=server)).status_code == 400
    for server in ("nobody/x", "bob/x"):
        assert (await ada.post("admin/stop", server=server)).status_code == 404


async def test_costs_are_summed_by_person_and_group_and_given_as_csv(service, browse, ask):
    day = datetime.now(UTC).date()
    evil = Party(Kind.PERSON, "=cmd")
    await service.store.costs.add(
        [
            Cost(
                day,
                Thing.SERVER,
                Party(Kind.PERSON, "ada"),
                "x",
                7200,
                2**30 * 3600,
                2**31,
                ("maths",),
            ),
            Cost(day, Thing.VOLUME, Party(Kind.GROUP, "maths"), "v", disk=2**30),
            Cost(day, Thing.ENVIRONMENT, HUB, "k", disk=2**30),
            Cost(day, Thing.SERVER, evil, "x", 3600),
            Cost(day - timedelta(days=40), Thing.SERVER, evil, "x", 10**9),
        ]
    )
    rows = {one["who"]: one for one in (await ask("ada", "costs?by=group")).json()}
    assert rows["@maths"]["cpu_hours"] == 2
    assert (rows["@maths"]["server_gib_days"], rows["@maths"]["volume_gib_days"]) == (2, 1)
    assert rows[""]["cpu_hours"] == 1
    ada = browse()
    text = (await ada.get("admin/costs.csv")).text
    assert "ada,2.0,1.0,2.0,0.0,0.0" in text
    assert "\n'=cmd," in text.replace("\r", "")
    page = await ada.get(f"admin/costs?month={day:%Y-%m}&by=group")
    assert "In no group" in page.text
    [bob] = [one for one in (await ask("ada", "people")).json() if one["person"] == "ada"]
    assert bob["cpu_hours"] == 2


async def test_the_service_measures_by_itself(tmp_path):
    service = make_service(tmp_path, operator={"sample": 0.02})
    async with running(service) as browse:
        ada = browse()
        launch = await ada.launch(REPO, name="engine")
        await ada.events(launch)
        [plan] = [plan for plan, _ in service.store.plans.made.values()]
        service.engine.runner.started.append(plan)
        from atoll.servers import Usage

        service.engine.runner.uses[plan.id] = Usage(5.0, 2**20)
        async with asyncio.timeout(10):
            while not service.store.costs.read:
                await asyncio.sleep(0.01)
        page = await ada.get("admin")
        assert "ada</a>/engine" in page.text


async def test_an_operator_sees_what_people_call_their_servers(service, browse, ask):
    ada = browse()
    await ada.events(await ada.launch(REPO, title="Ma <b>thèse</b>"))
    service.store.costs.read = [reading("ada", "ma-b-these-b")]
    page = await ada.get("admin")
    assert '<span title="ma-b-these-b">Ma &lt;b&gt;thèse&lt;/b&gt;</span>' in page.text
    assert 'data-label="Running">Ma &lt;b&gt;thèse&lt;/b&gt;</td>' in page.text
    [row] = (await ask("ada", "servers")).json()
    assert (row["name"], row["title"]) == ("ma-b-these-b", "Ma <b>thèse</b>")
