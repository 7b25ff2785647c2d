from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atoll.errors import NotFound
from atoll.people import Person
from atoll.servers import Ends, Stop, Why
from atoll.settings import settings_from
from atoll.web.hub_api import HubServer
from atoll.web.rows import end_of, ended
from support.browsing import PREFIX, running
from support.web_service import REPO, make_service


@pytest.fixture
async def ada(browse):
    """Ada, who has the server “engine”, which runs."""
    ada = browse()
    await ada.events(await ada.launch(REPO))
    return ada


async def test_the_page_teaches_who_has_no_servers_yet(browse):
    page = await browse().get("servers")
    assert "No islands yet" in page.text


async def test_a_server_is_listed_with_what_it_holds(ada, service):
    service.engine.runner.sizes = {("ada", "engine"): 12_300_000}
    page = await ada.get("servers")
    for shown in ("engine", "Running", "GitHub repository ada/engine", "12 MB", "17 May 2024"):
        assert shown in page.text
    assert (await ada.get("servers/states")).json() == {"engine": "running"}


async def test_a_server_is_opened_stopped_and_started_with_the_plan_it_had(ada, service):
    assert (await ada.get("servers/engine/open")).url.path == "/user/ada/engine/lab"
    page = await ada.post("servers/engine/stop")
    assert "Stopped" in page.text
    first = service.hub.started[0]
    page = await ada.post("servers/engine/start")
    assert page.url.path == "/hub/spawn-pending/ada/engine"
    assert service.hub.started[1] == first


async def test_a_server_whose_environment_was_pruned_is_made_anew_in_its_version(ada, service):
    await ada.post("servers/engine/stop")
    (plan, _) = next(iter(service.store.plans.made.values()))
    service.engine.builder.ill.add(plan.environment.handle)
    service.source.repositories[REPO] = dict(service.source.repositories[REPO])
    page = await ada.post("servers/engine/start")
    assert "/launches/" in page.url.path
    launch = service.store.launches.kept[page.url.path.rsplit("/", 1)[-1]]
    assert launch.request.repo.version == plan.ref.version
    assert launch.request.name == "engine"


async def test_deleting_asks_first_and_takes_everything(ada, service):
    await ada.post("servers/engine/stop")
    page = await ada.get("servers/engine/delete")
    assert "Delete engine?" in page.text
    assert "engine" in service.hub.users["ada"]["servers"]
    page = await ada.post("servers/engine/delete")
    assert "were deleted" in page.text
    assert service.engine.runner.removed == [("ada", "engine")]
    assert service.hub.users["ada"]["servers"] == {}
    with pytest.raises(NotFound):
        await service.store.plans.get(service.hub.started[0][2]["plan"], "ada")


async def test_a_running_server_is_not_deleted(ada, service):
    page = await ada.get("servers/engine/delete")
    assert "Stop it first" in page.text
    page = await ada.post("servers/engine/delete")
    assert page.status_code == 400
    assert service.engine.runner.removed == []


async def test_a_plan_that_never_started_can_be_deleted(ada, service):
    service.hub.users["ada"]["servers"].clear()
    page = await ada.get("servers")
    assert "Stopped" in page.text
    await ada.post("servers/engine/delete")
    assert service.engine.runner.removed == [("ada", "engine")]


async def test_nobody_elses_server_is_touched(ada, browse, service):
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.get("servers/engine/open")).status_code == 404
    for what in ("start", "stop", "delete"):
        assert (await bob.post(f"servers/engine/{what}")).status_code == 404
    assert service.hub.users["ada"]["servers"]["engine"]["ready"]


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a..b", "A", "a%2Fb", "x" * 31])
async def test_a_name_that_no_server_has_is_not_there(ada, name):
    assert (await ada.get(f"servers/{name}/open")).status_code == 404
    assert (await ada.get(PREFIX)).status_code == 200


async def test_what_runs_is_shown_and_not_what_was_prepared_last(ada, service):
    page = await ada.get("servers")
    running = service.hub.started[0][2]["plan"]
    commit = service.store.plans.made[running][0].ref.version[:10]
    assert commit in page.text
    await ada.events(await ada.launch(REPO, version="v2"))
    page = await ada.get("servers")
    assert commit in page.text


async def test_a_server_is_called_otherwise_while_it_runs(ada, service):
    page = await ada.post("servers/engine/title", title="  Ma  <b>thèse</b> ")
    assert "<h2>Ma &lt;b&gt;thèse&lt;/b&gt;</h2>" in page.text
    assert "<code>engine</code>" in page.text
    assert len(service.hub.started) == 1
    assert service.hub.users["ada"]["servers"]["engine"]["ready"]
    assert [act.deed for act in service.store.acts.kept][-1] == "retitle"
    page = await ada.get("servers/engine/delete")
    assert "<h1>Delete Ma &lt;b&gt;thèse&lt;/b&gt;?</h1>" in page.text
    page = await ada.get("servers/engine/people")
    assert "<h1>People in Ma &lt;b&gt;thèse" in page.text
    page = await ada.post("servers/engine/title", title="")
    assert "<h2>engine</h2>" in page.text


async def test_a_notice_says_what_its_person_calls_it(ada):
    await ada.post("servers/engine/title", title="Ma thèse")
    page = await ada.post("servers/engine/delete")
    assert "Server Ma thèse is running." in page.text
    await ada.post("servers/engine/stop")
    page = await ada.post("servers/engine/delete")
    assert "Server “Ma thèse” and its files were deleted." in page.text


async def test_a_program_calls_a_server_otherwise(ada, service):
    url = f"{PREFIX}api/servers/engine/title"
    token = {"Authorization": f"Bearer {service.hub.token_of('ada')}"}
    answer = await ada.http.post(url, json={"title": " Ma  thèse"}, headers=token)
    assert answer.json() == {"name": "engine", "title": "Ma thèse"}
    for sent in ({"title": 7}, {"title": "a\nb"}, ["title"]):
        assert (await ada.http.post(url, json=sent, headers=token)).status_code == 400
    assert (await ada.http.post(url, json={"title": "x"})).status_code == 403
    theirs = {"Authorization": f"Bearer {service.hub.token_of('bob')}"}
    assert (await ada.http.post(url, json={"title": "x"}, headers=theirs)).status_code == 404
    assert (await service.store.plans.newest("ada", "engine")).title == "Ma thèse"


async def test_what_is_no_title_changes_nothing(ada, service):
    for title in ("x" * 101, "a\nb", "gpj.\u202eexe"):
        assert (await ada.post("servers/engine/title", title=title)).status_code == 400
    forged = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await ada.post("servers/engine/title", forged, title="owned")).status_code == 403
    assert (await ada.post("servers/other/title", title="x")).status_code == 404
    [(plan, _)] = service.store.plans.made.values()
    assert plan.title == ""


async def test_a_server_gets_its_name_from_its_title(browse, service):
    ada = browse()
    launch = await ada.launch(REPO, title="Ma thèse", idle="8h")
    await ada.events(launch)
    page = await ada.get(f"launches/{launch}")
    assert "Ma thèse" in page.text
    [(plan, _)] = service.store.plans.made.values()
    assert (plan.name, plan.title, plan.ends) == ("ma-these", "Ma thèse", Ends(idle=8 * 3600))
    page = await ada.get("servers")
    assert "if it is not used" in page.text  # which the operator has not set


async def test_what_runs_is_called_as_its_newest_plan_has_it(ada, service):
    await ada.events(await ada.launch(REPO, version="v2"))  # prepared, and not what runs
    page = await ada.post("servers/engine/title", title="New")
    assert "<h2>New</h2>" in page.text


NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ADA, VISITOR = Person("ada"), Person("visitor-1-2")
RUNS = HubServer("x", ready=True, stopped=False, started="2026-05-04T10:00:00Z")
USED = replace(RUNS, last_activity="2026-05-04T11:59:00.5Z")
STOPPED = HubServer("x", last_activity="2026-05-04T12:00:03Z")


@pytest.mark.parametrize(
    ("server", "person", "rules", "end"),
    [
        (USED, ADA, {}, None),
        (USED, ADA, {"idle": "1h"}, ("12:59:00", Why.IDLE)),
        (RUNS, ADA, {"idle": "1h"}, ("11:00:00", Why.IDLE)),
        (USED, ADA, {"idle": "1h", "max_age": "2h"}, ("12:00:00", Why.AGE)),
        (USED, ADA, {"idle": "1h", "max_age": "8h"}, ("12:59:00", Why.IDLE)),
        (USED, VISITOR, {}, ("12:19:00", Why.IDLE)),
        (USED, VISITOR, {"idle": "60"}, ("12:00:00", Why.IDLE)),
        (STOPPED, ADA, {"idle": "1h"}, None),
        (replace(USED, pending="stop"), ADA, {"idle": "1h"}, None),
        (replace(RUNS, started=""), ADA, {"idle": "1h", "max_age": "2h"}, None),
    ],
)
def test_when_a_server_will_be_stopped_is_reckoned_from_its_last_use(server, person, rules, end):
    known = settings_from({"servers": rules})
    visitors = known.access.idle if person.visitor else 0
    found = end_of(server, known.servers, visitors=visitors)
    assert (found and (f"{found[0]:%H:%M:%S}", found[1])) == end


@pytest.mark.parametrize(
    ("own", "end"),
    [
        (Ends(lifetime=9000), ("12:30:00", Why.AGE)),
        (Ends(idle=7200), ("13:59:00", Why.IDLE)),
        (Ends(idle=0), ("15:59:00", Why.IDLE)),  # no longer than it may
    ],
)
def test_what_its_person_asked_for_is_reckoned_with(own, end):
    rules = settings_from({"servers": {"idle": "1h", "max_idle": "4h"}}).servers
    found = end_of(USED, rules, own)
    assert (f"{found[0]:%H:%M:%S}", found[1]) == end


def test_why_a_server_was_stopped_is_said_until_something_happens_to_it():
    stop = Stop("ada", "x", NOON, Why.IDLE)
    assert ended(STOPPED, stop) is stop
    assert ended(STOPPED, None) is None
    assert ended(RUNS, stop) is None
    later = replace(STOPPED, last_activity="2026-05-04T13:00:00Z")  # it ran again
    assert ended(later, stop) is None
    assert ended(HubServer("x"), stop) is None


async def test_the_page_says_when_a_server_stops_and_afterwards_why_it_did(tmp_path):
    service = make_service(tmp_path, servers={"idle": "2h"})
    async with running(service) as browse:
        ada = browse()
        await ada.events(await ada.launch(REPO))
        server = service.hub.users["ada"]["servers"]["engine"]
        now = datetime.now(UTC)
        server["last_activity"] = now.isoformat()
        end = now + timedelta(hours=2)
        page = await ada.get("servers")
        assert f'Stops at <time datetime="{end.isoformat()}">' in page.text
        assert "if it is not used" in page.text
        server["last_activity"] = (now - timedelta(hours=3)).isoformat()
        assert "Stops soon if it is not used" in (await ada.get("servers")).text
        await ada.post("servers/engine/stop")
        server["last_activity"] = now.isoformat()
        await service.store.stops.put(Stop("ada", "engine", now, Why.IDLE))
        page = await ada.get("servers")
        assert "because nobody used it. Everything saved is there." in page.text
        await ada.post("servers/engine/start")
        await service.store.stops.put(Stop("bob", "engine", now, Why.IDLE))
        assert "because nobody used it" not in (await ada.get("servers")).text


async def test_files_that_are_older_than_what_was_launched_are_said_to_be(ada, service):
    launched = service.store.plans.made[next(iter(service.store.plans.made))][0].ref.version
    service.engine.runner.origins = {("ada", "engine"): "bcc85dd" + "0" * 33}
    page = await ada.get("servers")
    assert "Your files are of version <code>bcc85dd000</code>, as you left them" in page.text
    assert f"the environment is of <code>{launched[:10]}</code>" in page.text
    assert "17 May 2024" not in page.text
    service.engine.runner.origins = {("ada", "engine"): launched}
    assert "Your files are of" not in (await ada.get("servers")).text
