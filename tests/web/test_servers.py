from __future__ import annotations

import pytest

from atoll.errors import NotFound
from support.browsing import PREFIX
from support.web_service import REPO


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
