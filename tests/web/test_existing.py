"""What happens where somebody has a server of that name, and it is not quite what they ask for."""

from __future__ import annotations

import re

from atoll.launching.desk import State
from support.web_service import REPO

GIB = 1024**3


async def ready(ada, service, repository=REPO, **fields):
    launch = await ada.launch(repository, **fields)
    await ada.events(launch)
    assert service.store.launches.kept[launch].state is State.READY
    return launch


async def asked(ada, service, **fields):
    launch = await ada.launch(REPO, **fields)
    last = (await ada.events(launch))[-1]
    assert (last[1], last[2]["state"]) == ("over", "asking")
    page = await ada.get(f"launches/{launch}")
    rows = re.findall(r'<th scope="row">(\w+)</th><td>(.*?)</td><td>(.*?)</td>', page.text)
    return launch, rows, page


async def answered(ada, service, launch, how):
    page = await ada.post(f"launches/{launch}/answer", how=how)
    begun = page.url.path.rsplit("/", 1)[-1]
    await ada.events(begun)
    return service.store.launches.kept[begun]


def plan_of(service, launch):
    return service.store.plans.made[launch.plan][0]


async def test_what_is_the_same_is_opened_without_a_question(browse, service):
    ada = browse()
    await ready(ada, service, memory="4G", cpus="1", network="none")
    again = await ready(ada, service)  # what is not said stays as it was
    plan = plan_of(service, service.store.launches.kept[again])
    assert (plan.limits.memory, plan.limits.cpus, plan.network) == (4 * GIB, 1, "none")
    assert len(service.hub.started) == 1


async def test_what_differs_is_said_and_nothing_happens_before_an_answer(browse, service):
    ada = browse()
    await ready(ada, service)
    service.source.repositories[REPO] = {"requirements.txt": b"six==1.17.0\n"}
    built = service.engine.builder.built
    _, rows, page = await asked(ada, service, memory="1G")
    assert [row[0] for row in rows] == ["Version", "Environment", "Memory"]
    assert rows[2][1:] == ("2G", "1G")
    assert "Update it" in page.text
    assert len(service.hub.started) == 1
    assert service.engine.builder.built == built
    page = await ada.post("servers/engine/start")  # as it is
    assert page.url.path == "/user/ada/engine/lab"
    assert len(service.hub.started) == 1


async def test_an_update_stops_the_server_first_and_keeps_its_name(browse, service):
    ada = browse()
    await ready(ada, service)
    launch, _, _ = await asked(ada, service, memory="1G")
    begun = await answered(ada, service, launch, "update")
    assert (begun.state, begun.name) == (State.READY, "engine")
    assert plan_of(service, begun).limits.memory == GIB
    assert len(service.hub.started) == 2


async def test_a_new_server_leaves_the_other_alone(browse, service):
    ada = browse()
    await ready(ada, service)
    launch, _, _ = await asked(ada, service, memory="1G")
    begun = await answered(ada, service, launch, "new")
    assert (begun.state, begun.name) == (State.READY, "engine-2")
    assert set(service.hub.users["ada"]["servers"]) == {"engine", "engine-2"}
    launch, _, _ = await asked(ada, service, memory="1G")
    assert (await answered(ada, service, launch, "new")).name == "engine-3"


async def test_only_another_version_offers_no_update_as_files_stay(browse, service):
    ada = browse()
    await ready(ada, service)
    service.source.repositories[REPO] |= {"notes.md": b"new"}
    _, rows, page = await asked(ada, service)
    assert [row[0] for row in rows] == ["Version"]
    assert "Update it" not in page.text


async def test_nobody_answers_for_somebody_else(browse, service):
    ada = browse()
    await ready(ada, service)
    launch, _, _ = await asked(ada, service, memory="1G")
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.post(f"launches/{launch}/answer", how="update")).status_code == 404
    assert len(service.hub.started) == 1
