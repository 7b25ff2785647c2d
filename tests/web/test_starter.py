from __future__ import annotations

from dataclasses import replace

import pytest

from atoll.errors import Busy, StartFailed, Unreachable
from atoll.launching import Existing
from atoll.launching.desk import State
from atoll.web.starter import join, server_of
from support.browsing import until
from support.hub_stand_in import NOTE
from support.web_service import REPO


def said(service, launch):
    return [event.message for event in service.site.desk.story(launch).events]


async def launched(service, browser, **fields):
    launch_id = await browser.launch(REPO, **fields)
    await browser.events(launch_id)
    return service.store.launches.kept[launch_id]


async def launched_by_a_program(service, before, version):
    """Launch *version* of what was launched *before*, as the Binder interface does: it asks nobody."""
    repo = replace(before.request.repo, version=version)
    asked = replace(before.request, repo=repo, existing=Existing.LEAVE)
    begun = await service.site.desk.open(asked)
    async for _ in service.site.desk.story(begun).follow():
        pass
    return service.store.launches.kept[begun.id]


async def test_a_server_that_runs_already_is_opened_and_not_started_again(browse, service):
    ada = browse()
    await launched(service, ada)
    launch = await launched(service, ada)
    assert launch.url == "/user/ada/engine/lab"
    assert len(service.hub.started) == 1
    assert "Server engine is running already" in said(service, launch)


async def test_a_server_of_another_version_is_opened_as_it_is_stopped_or_not(browse, service):
    ada = browse()
    before = await launched(service, ada)
    launch = await launched_by_a_program(service, before, "v2")
    assert len(service.hub.started) == 1
    told = "\n".join(said(service, launch))
    assert "Your server engine is there already, and is opened as it is" in told
    assert "Version" in told
    assert "existing=update" in told
    assert launch.ref == before.ref
    await ada.post("servers/engine/stop")
    await launched_by_a_program(service, before, "v2")
    assert [name for _, name, _ in service.hub.started] == ["engine", "engine"]
    plan = await service.store.plans.newest("ada", "engine")
    assert plan.ref.version == before.ref


def napping(service, nap):
    """Have the service's starter call *nap* where it would wait."""
    service.site.desk.starter = replace(service.site.desk.starter, nap=nap)


async def test_for_an_update_a_server_is_stopped_unless_only_its_files_differ(browse, service):
    plan = service.store.plans.made[(await launched(service, browse())).plan][0]
    starter, server = service.site.desk.starter, service.hub.users["ada"]["servers"]["engine"]
    await starter.halt(replace(plan, id="newer", opening="tree"))
    assert server["ready"]
    await starter.halt(replace(plan, id="newer", start="./start"))
    assert server["stopped"]
    await starter.halt(replace(plan, name="another"))  # which there is not


async def test_a_server_that_is_just_being_stopped_is_waited_for(browse, service):
    ada = browse()
    await launched(service, ada)
    server = service.hub.users["ada"]["servers"]["engine"]
    server.update(ready=False, pending="stop")
    asked = []

    async def nap(seconds):
        asked.append(seconds)
        server.update(pending=None, stopped=True)

    napping(service, nap)
    launch = await launched(service, ada)
    assert launch.state.value == "ready"
    assert asked


async def test_another_repository_gets_a_name_of_its_own(browse, service):
    other = "https://github.com/bob/engine"
    service.source.repositories[other] = {"a": b""}
    ada = browse()
    await launched(service, ada)
    launch_id = await ada.launch(other)
    await ada.events(launch_id)
    assert [name for _, name, _ in service.hub.started] == ["engine", "engine-2"]


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("There is no room.", "There is no room."),
        (" ", "The server did not start."),  # so JupyterHub of one that took longer than 120 s
    ],
)
async def test_a_spawner_that_fails_says_why(browse, service, why, said):
    service.hub.failing["engine"] = why
    launch = await launched(service, browse())
    assert launch.error == said
    assert launch.error_name == "StartFailed"


async def test_the_hubs_own_refusals_are_translated(service):
    async def answer(status, message):
        async def change(request):
            from starlette.responses import JSONResponse

            return JSONResponse({"message": message}, status)

        service.hub._change = change
        return service.hub.api()

    hub = await answer(429, "Too many users trying to log in right now.")
    with pytest.raises(Busy, match="Too many"):
        await hub.start("ada", "x", "plan")
    hub = await answer(500, "It is broken. Mend it.")
    with pytest.raises(StartFailed, match="Mend it"):
        await hub.start("ada", "x", "plan")
    hub = await answer(503, "The database is away.")
    with pytest.raises(Unreachable, match="database"):
        await hub.stop("ada", "x")


async def test_cancelling_while_it_starts_stops_the_server(browse, service):
    service.hub.pause = 60
    ada = browse()
    launch_id = await ada.launch(REPO)
    await until(lambda: service.store.launches.kept[launch_id].state is State.STARTING)
    await until(lambda: service.hub.started)
    await ada.post(f"launches/{launch_id}/cancel")
    assert service.store.launches.kept[launch_id].state is State.CANCELLED
    assert service.hub.users["ada"]["servers"]["engine"]["stopped"]


async def test_what_could_not_be_had_is_noted_when_the_server_is_ready(browse, service):
    launch = await launched(service, browse())
    notes = [event.message for event in service.site.desk.story(launch).events if event.note]
    assert NOTE in notes


@pytest.mark.parametrize("base", ["/", "/hub/", "/a/b/"])
@pytest.mark.parametrize("opening", ["lab", "/lab/tree/a%20b.ipynb", "lab?path=/user/x#/y", ""])
def test_the_page_of_a_server_tells_which_server_it_is(base, opening):
    server = f"{base}user/ada%2Fb/engine/"
    assert server_of(join(server, opening), base) == server


LINE = ["You are 2nd in line; about 5 seconds.", "You are next in line; about 5 seconds."]


async def test_who_waits_in_line_sees_where(browse, service):
    service.hub.line = LINE
    ada = browse()
    launch = await launched(service, ada)
    assert launch.state is State.READY
    events = service.site.desk.story(launch).events
    assert [event.message for event in events if event.phase == "wait"] == LINE
    assert LINE[1] in (await ada.get(f"launches/{launch.id}")).text


async def test_a_hub_that_is_restarted_meanwhile_is_asked_again(browse, service):
    async def nap(seconds):
        pass

    napping(service, nap)
    service.hub.line, service.hub.breaks = LINE, 2
    launch = await launched(service, browse())
    assert launch.state is State.READY
    assert len(service.hub.started) == 3
    assert any("waiting until it is back" in line for line in said(service, launch))


async def test_a_hub_that_does_not_come_back_is_not_waited_for_without_end(browse, service):
    naps = []

    async def nap(seconds):
        naps.append(seconds)

    napping(service, nap)
    service.hub.breaks, service.hub.down = 1, True
    launch = await launched(service, browse())
    assert launch.error == "JupyterHub does not answer."
    assert naps.count(1) == 60
