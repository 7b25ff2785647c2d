from __future__ import annotations

import asyncio
import html
import re
from dataclasses import replace

import pytest

from atoll.errors import BuildFailed, Refused, Unreachable
from atoll.launching.desk import State
from support.browsing import PREFIX, running, until
from support.web_service import REPO, make_service


async def test_a_launch_is_made_and_leads_to_the_lab(browse, service):
    ada = browse()
    launch = await ada.launch(REPO, opening="intro.ipynb")
    events = await ada.events(launch)
    assert events[-1][1:] == ("over", events[-1][2])
    assert events[-1][2]["state"] == "ready"
    answer = await ada.get(f"launches/{launch}/enter")
    assert answer.url.path == "/user/ada/engine/lab/tree/intro.ipynb"
    plan = service.hub.started[0][2]
    assert set(plan) == {"plan"}
    assert service.store.plans.made[plan["plan"]][0].owner.name == "ada"


async def test_the_page_and_the_stream_tell_the_same_story(browse, service):
    service.engine.builder.pause = 0.05
    ada = browse()
    launch = await ada.launch(REPO)
    page = await ada.get(f"launches/{launch}")
    assert "Opening ada/<wbr>engine" in page.text
    assert "Cancel" in page.text
    events = await ada.events(launch)
    said = [data["message"] for _, event, data in events if event == "told"]
    assert said[0].startswith("Looking up https://github.com/ada/engine")
    assert "Installed 3 packages" in said
    assert "JupyterHub is starting the server" in said


async def test_the_version_and_the_file_of_a_pasted_address_are_told_apart(browse, service):
    service.engine.builder.pause = 0.1
    ada = browse()
    launch = await ada.launch(f"{REPO}/blob/main/notes/a.ipynb")
    asked = await ada.get(f"launches/{launch}")
    assert "Version <code>main</code>, opens <b>notes/a.ipynb</b>" in asked.text
    await ada.events(launch)
    [plan] = [plan for plan, _ in service.store.plans.made.values()]
    settled = replace(plan.ref.repo, version="main/notes", path_follows=False)  # the remote knows
    known = replace(plan, ref=replace(plan.ref, repo=settled), opening="lab/tree/a.ipynb")
    await service.store.plans.put(known)
    commit = plan.ref.version[:10]
    page = await ada.get(f"launches/{launch}")
    told = f"Version <code>main/notes</code>, <code>{commit}</code>, opens <b>a.ipynb</b>"
    assert told in page.text
    await service.store.plans.forget("ada", plan.name)
    page = await ada.get(f"launches/{launch}")
    assert (
        f"Version <code>main</code>, <code>{commit}</code>, opens <b>notes/a.ipynb</b>" in page.text
    )


async def test_a_reader_who_was_cut_off_hears_the_rest_once(browse):
    ada = browse()
    launch = await ada.launch(REPO)
    every = await ada.events(launch)
    rest = await ada.events(launch, Last_Event_ID=every[2][0])
    assert rest == every[3:]


async def test_a_second_tab_and_a_reload_show_all(browse):
    ada = browse()
    launch = await ada.launch(REPO)
    first, second = await asyncio.gather(ada.events(launch), ada.events(launch))
    assert first == second
    page = await ada.get(f"launches/{launch}")
    assert "Ready" in page.text
    assert "Installed 3 packages" in page.text


async def test_a_failed_build_says_what_and_why_and_offers_two_ways_on(browse, service):
    service.engine.builder.error = BuildFailed(
        "six==99 is not on the index.", hint="Pin another six.", log="e1"
    )
    logs = service.settings.data / "logs"
    logs.mkdir()
    (logs / "e1.txt").write_text("the whole <story>\n\x1b[31mred\x1b[0m")
    ada = browse()
    launch = await ada.launch(REPO)
    await ada.events(launch)
    page = await ada.get(f"launches/{launch}")
    assert "six==99 is not on the index." in page.text
    assert "Pin another six." in page.text
    log = await ada.get(f"launches/{launch}/log")
    assert log.text == "the whole <story>\nred"
    form = await ada.get(f"launches/{launch}/edit")
    assert f'value="{REPO}"' in form.text
    service.engine.builder.error = None
    again = await ada.post(f"launches/{launch}/retry")
    other = again.url.path.rsplit("/", 1)[-1]
    assert (await ada.events(other))[-1][2]["state"] == "ready"


async def test_a_failed_build_is_not_tried_again_unless_asked(browse, service):
    service.engine.builder.error = BuildFailed("No.")
    ada = browse()
    await ada.events(await ada.launch(REPO))
    service.engine.builder.error = None
    launch = await ada.launch(REPO)
    assert (await ada.events(launch))[-1][2]["state"] == "failed"
    page = await ada.get(f"launches/{launch}")
    assert re.search(r"It failed on .* UTC, and was not tried again", page.text)
    assert "Try again</button>" in page.text


async def test_a_launch_is_cancelled(browse, service):
    service.engine.builder.pause = 60
    ada = browse()
    launch = await ada.launch(REPO)
    await until(lambda: len(service.site.desk._stories[launch].events) >= 4)
    page = await ada.post(f"launches/{launch}/cancel")
    assert "Cancelled: ada/engine" in page.text
    assert service.store.launches.kept[launch].state is State.CANCELLED
    assert (await ada.events(launch))[-1][2]["state"] == "cancelled"


async def test_nobody_elses_launch_is_there(browse, service):
    launch = await browse().launch(REPO)
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    for path in ("", "/events", "/edit", "/enter", "/log"):
        assert (await bob.get(f"launches/{launch}{path}")).status_code == 404
    for path in ("/cancel", "/retry"):
        assert (await bob.post(f"launches/{launch}{path}")).status_code == 404


async def test_a_mistake_keeps_what_was_typed(browse):
    ada = browse()
    await ada.get("")
    page = await ada.post("launches", repository=REPO, memory="1000G", version="v1")
    assert page.status_code == 400
    assert "at most 16G" in page.text
    assert f'value="{REPO}"' in page.text
    assert 'value="1000G"' in page.text
    assert "<details open" in page.text


async def test_nothing_that_was_typed_becomes_markup(browse, service):
    evil = '"><script>alert(1)</script>'
    ada = browse()
    page = await ada.get(f"?repository=gh:a/b&version={evil}&name={evil}&opening={evil}")
    assert "<script>alert" not in page.text
    assert html.escape(evil, quote=False).split("<")[0]
    service.source.errors[REPO] = Unreachable(f"No answer{evil}", hint=evil)
    launch = await ada.launch(REPO)
    await ada.events(launch)
    assert "<script>alert" not in (await ada.get(f"launches/{launch}")).text


async def test_a_hostile_log_is_text(browse, service):
    service.engine.builder.lines = ["</pre><script>alert(1)</script>\x1b[2J\x1b]0;x\x07"]
    ada = browse()
    launch = await ada.launch(REPO)
    events = await ada.events(launch)
    assert any(data.get("message") == "</pre><script>alert(1)</script>" for _, _, data in events)
    page = await ada.get(f"launches/{launch}")
    assert "&lt;/pre&gt;&lt;script&gt;" in page.text
    assert "\x1b" not in page.text


async def test_the_log_of_a_failure_is_no_way_to_other_files(browse, service):
    (service.settings.data / "secret.txt").write_text("secret")
    service.engine.builder.error = BuildFailed("No.", log="../secret")
    ada = browse()
    launch = await ada.launch(REPO)
    await ada.events(launch)
    assert (await ada.get(f"launches/{launch}/log")).status_code == 404


async def test_what_will_be_refused_is_said_before_it_is_launched(browse, service):
    refused = Refused("“10.0.0.1” is inside.", hint="Write a line.")
    service.source.errors["https://10.0.0.1/x"] = refused
    ada = browse()
    told = (await ada.get("recognise?repository=https://10.0.0.1/x")).json()
    assert told == {"ok": False, "error": "“10.0.0.1” is inside.", "hint": "Write a line."}
    page = await ada.get("?repository=https://10.0.0.1/x")
    assert "“10.0.0.1” is inside." in page.text
    assert "note good" not in page.text


async def test_what_is_being_typed_is_recognised(browse):
    ada = browse()
    await ada.get("")
    good = (await ada.get("recognise?repository=gh:ada/engine&version=v1")).json()
    assert good["sentence"] == "GitHub repository ada/engine, version v1."
    assert good["links"]["url"] == "http://atoll.example.org/v2/gh/ada/engine/v1"
    bad = (await ada.get("recognise?repository=githbu:a/b")).json()
    assert not bad["ok"]
    assert "gh" in bad["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/gh/ada/engine/main?labpath=a/b.ipynb",
        "/v2/git/https%3A%2F%2Fgithub.com%2Fada%2Fengine/main?urlpath=lab%2Ftree%2Fx.ipynb",
    ],
)
async def test_a_binder_link_asks_before_it_starts_anything(browse, service, path):
    page = await browse().get(path)
    assert page.url.path.startswith(f"{PREFIX}v2/")
    assert "Launch ada/engine" in page.text
    assert "data-autostart" not in page.text
    assert re.search(r'value="main"', page.text)
    assert not service.store.launches.kept


async def test_a_wrong_binder_link_says_why(browse):
    page = await browse().get("/v2/zenodo/3242074")
    assert page.status_code == 400
    assert "zenodo" in page.text


async def test_a_launch_goes_on_after_a_restart_of_the_service(tmp_path, service, browse):
    service.engine.builder.pause = 60
    ada = browse()
    launch = await ada.launch(REPO)
    await until(lambda: service.site.desk._tasks.get(launch))
    await service.site.desk.close()
    service.engine.builder.pause = 0
    assert len(await service.site.desk.resume()) == 1
    assert (await ada.events(launch, Last_Event_ID="0-3"))[0][1] == "anew"
    assert service.store.launches.kept[launch].state is State.READY


async def test_an_unknown_address_gets_a_page_of_ours(browse):
    page = await browse().get("no/such/page")
    assert page.status_code == 404
    assert "Nothing here" in page.text


PAGES = {
    "notice": "No service on <Friday>.",
    "links": {"Handbook": "https://docs.example.org/?a=1&b=2"},
    "credits": "Run by the lagoon's keepers.",
    "prepared": [
        {"title": "For all", "launch": f"{REPO}/blob/main/intro.ipynb", "description": "Begin."},
        {
            "title": "For the class",
            "launch": "https://hub.example.org/v2/gh/ada/engine/v1?memory=4G&name=class&network=none",
            "groups": ["stat101"],
        },
    ],
}


async def test_what_the_operator_has_prepared_is_launched_as_it_was_meant(tmp_path):
    service = make_service(tmp_path, pages=PAGES)
    service.hub.users["ada"]["admin"] = False
    service.hub.users["ada"]["groups"] = ["stat101"]
    async with running(service) as browse:
        ada = browse()
        page = await ada.get("")
        assert "No service on &lt;Friday&gt;." in page.text
        assert 'href="https://docs.example.org/?a=1&amp;b=2">Handbook' in page.text
        assert page.text.index("For all") < page.text.index("Make my own")
        hidden = html.unescape(re.findall(r'name="repository" value="([^"]*)"', page.text)[1])
        answer = await ada.post("launches", repository=hidden)
        launch = answer.url.path.rsplit("/", 1)[-1]
        assert (await ada.events(launch))[-1][2]["state"] == "ready"
        [plan] = [plan for plan, _ in service.store.plans.made.values()]
        assert (plan.name, plan.limits.memory, plan.network) == ("class", 4 * 1024**3, "none")
        assert "For all" not in (await ada.get("?repository=gh:a/b")).text


async def test_what_is_prepared_for_a_group_is_nobody_elses(tmp_path):
    service = make_service(tmp_path, pages=PAGES)
    service.hub.users["ada"]["admin"] = False
    async with running(service) as browse:
        page = await browse().get("")
        assert "For all" in page.text
        assert "For the class" not in page.text
