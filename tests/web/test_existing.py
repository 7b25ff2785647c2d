"""What happens where somebody has a server of that name, and it is not quite what they ask for."""

from __future__ import annotations

import re

from atoll.errors import NotFound
from atoll.launching.desk import State
from atoll.servers import Ends
from atoll.volumes.renewal import Fate, FileChange, Renewal
from support.browsing import until
from support.web_service import REPO

GIB = 1024**3
NEWER = Renewal((FileChange("a<b>.ipynb", Fate.MERGED, "a<b>.before-1.ipynb"),), 1)


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
    rows = re.findall(r'<th scope="row">([\w ]+)</th><td>(.*?)</td><td>(.*?)</td>', page.text)
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


async def test_an_update_that_a_restart_interrupts_is_done_again(browse, service):
    ada, runner = browse(), service.engine.runner
    first = service.store.launches.kept[await ready(ada, service)]
    old = plan_of(service, first)
    runner.started.append(old)
    runner.origins["ada", "engine"] = first.ref
    runner.renewals["ada", "engine"] = NEWER
    service.source.repositories[REPO] |= {"notes.md": b"new"}
    launch, _, _ = await asked(ada, service, memory="1G")
    service.hub.pause = 60  # it is stopped, and just starts
    page = await ada.post(f"launches/{launch}/answer", how="update")
    begun = page.url.path.rsplit("/", 1)[-1]
    kept = service.store.launches.kept
    await until(lambda: len(service.hub.started) == 2)
    await service.site.desk.close()
    runner.origins["ada", "engine"] = first.ref  # as if the files were still to come
    service.hub.users["ada"]["servers"].clear()
    service.hub.pause = 0
    await service.site.desk.resume()
    await until(lambda: kept[begun].state is State.READY)
    assert runner.origins["ada", "engine"] == kept[begun].ref != first.ref
    assert plan_of(service, kept[begun]).limits.memory == GIB


async def test_a_new_server_leaves_the_other_alone(browse, service):
    ada = browse()
    await ready(ada, service)
    launch, _, _ = await asked(ada, service, memory="1G")
    begun = await answered(ada, service, launch, "new")
    assert (begun.state, begun.name) == (State.READY, "engine-2")
    assert set(service.hub.users["ada"]["servers"]) == {"engine", "engine-2"}
    launch, _, _ = await asked(ada, service, memory="1G")
    assert (await answered(ada, service, launch, "new")).name == "engine-3"


async def test_where_nothing_would_change_no_update_is_offered(browse, service):
    ada = browse()
    await ready(ada, service)
    service.source.repositories[REPO] |= {"notes.md": b"new"}
    _, rows, page = await asked(ada, service)
    assert [row[0] for row in rows] == ["Version"]
    assert "Update it" not in page.text


async def test_newer_files_are_shown_before_they_come_and_no_kernel_is_lost(browse, service):
    ada, runner = browse(), service.engine.runner
    first = await ready(ada, service)
    old = service.store.launches.kept[first].ref
    runner.origins["ada", "engine"] = old
    runner.renewals["ada", "engine"] = NEWER
    service.source.repositories[REPO] |= {"notes.md": b"new"}
    launch, rows, page = await asked(ada, service)
    assert [row[:2] for row in rows] == [("Version", old[:7])]
    assert "Update it" in page.text
    assert "yours is kept as <code>a&lt;b&gt;.before-1.ipynb</code>" in page.text
    assert "It is updated as it runs" in page.text
    assert runner.origins["ada", "engine"] == old
    begun = await answered(ada, service, launch, "update")
    assert begun.state is State.READY
    assert runner.origins["ada", "engine"] == begun.ref != old
    assert len(service.hub.started) == 1  # it ran on
    log = (await ada.get(f"launches/{begun.id}")).text
    assert "1 of your files are now of version" in log
    shown = (await ada.get("servers")).text
    assert f"<code>{begun.ref[:10]}</code>" in shown
    assert "which was launched since" not in shown


async def test_my_servers_has_a_button_that_asks_for_what_is_new(browse, service):
    ada, runner = browse(), service.engine.runner
    first = await ready(ada, service)
    runner.origins["ada", "engine"] = service.store.launches.kept[first].ref
    runner.renewals["ada", "engine"] = NEWER
    service.source.repositories[REPO] |= {"notes.md": b"new"}
    assert "servers/engine/update" in (await ada.get("servers")).text
    page = await ada.post("servers/engine/update")
    begun = page.url.path.rsplit("/", 1)[-1]
    await ada.events(begun)
    assert service.store.launches.kept[begun].renewal == NEWER
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.post("servers/engine/update")).status_code == 404


async def test_files_whose_version_is_gone_stay_and_that_is_said(browse, service, monkeypatch):
    ada, runner = browse(), service.engine.runner
    await ready(ada, service)
    runner.origins["ada", "engine"] = "gone"
    resolve = type(service.source).resolve

    async def gone(self, repo, tell=lambda _: None):
        if repo.version == "gone":
            raise NotFound("There is no version gone.")
        return await resolve(self, repo, tell)

    monkeypatch.setattr(type(service.source), "resolve", gone)
    launch, _, page = await asked(ada, service, memory="1G")
    assert "What an update does to your files" not in page.text
    begun = await answered(ada, service, launch, "update")
    assert begun.state is State.READY
    assert runner.origins["ada", "engine"] == "gone"
    log = (await ada.get(f"launches/{begun.id}")).text
    assert "Your files stay as they are: There is no version gone." in log


async def test_nobody_answers_for_somebody_else(browse, service):
    ada = browse()
    await ready(ada, service)
    launch, _, _ = await asked(ada, service, memory="1G")
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.post(f"launches/{launch}/answer", how="update")).status_code == 404
    assert len(service.hub.started) == 1


async def test_a_title_and_ends_change_while_the_server_runs(browse, service):
    ada = browse()
    await ready(ada, service)
    _, rows, page = await asked(ada, service, name="engine", title="Ma thèse", lifetime="8h")
    assert rows[0] == ("Title", "none", "Ma thèse")
    assert rows[1] == ("Lifetime", "as is usual here", "8h")
    assert "It is updated as it runs" in page.text
    launch = page.url.path.rsplit("/", 1)[-1]
    begun = await answered(ada, service, launch, "update")
    assert len(service.hub.started) == 1
    assert (begun.name, begun.called) == ("engine", "Ma thèse")
    page = await ada.get("servers")
    assert "<h2>Ma thèse</h2>" in page.text
    assert "<code>engine</code>" in page.text
    again = await ready(ada, service)  # what is not said stays as it was
    assert plan_of(service, service.store.launches.kept[again]).ends == Ends(lifetime=8 * 3600)


async def test_one_more_server_of_a_title_has_a_number_in_both(browse, service):
    ada = browse()
    await ready(ada, service, title="Ma thèse")
    launch, _, page = await asked(ada, service, title="Ma thèse", memory="1G")
    assert "Your server “Ma thèse” is not quite the same" in page.text
    begun = await answered(ada, service, launch, "new")
    assert (begun.name, begun.called) == ("ma-these-2", "Ma thèse 2")
