from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atoll.errors import BuildFailed, Unreachable
from atoll.launching import Launcher, LaunchRequest
from atoll.launching.desk import State
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.web.hub_api import HubApi
from atoll.web.visitors import Visitors
from support.browsing import PREFIX, running, until
from support.web_service import REPO, make_service


def visitors_of(service) -> Visitors:
    site = service.site
    return Visitors(
        site.hub,
        site.desk,
        service.store.plans,
        service.engine.runner,
        service.settings.access,
        "secret",
    )


async def test_a_visitor_launches_from_the_page_and_enters_with_a_key(public):
    service, browse = public
    visitor = browse()
    launch = await visitor.launch(REPO)
    assert (await visitor.events(launch))[-1][2]["state"] == "ready"
    answer = await visitor.get(f"launches/{launch}/enter")
    name = service.store.launches.kept[launch].request.person.name
    assert answer.url.path.startswith(f"/user/{name}/engine-")
    assert answer.url.params["token"] in service.hub.tokens
    assert answer.url.params["token"] not in service.store.launches.kept[launch].url


async def test_a_visitors_link_starts_at_once(public):
    _, browse = public
    page = await browse().get("/v2/gh/ada/engine/main")
    assert "data-autostart" in page.text


async def test_nobody_promises_a_visitor_that_anything_is_kept(public, browse):
    _, as_visitor = public
    for path in ("", "servers"):
        assert "discard" in (await as_visitor().get(path)).text
        assert "discarded at the end" not in (await browse().get(path)).text


async def test_a_visitor_may_sign_in_and_then_decides_by_themselves(public):
    _, browse = public
    ada = browse()
    page = await ada.get("")
    assert "Sign in" in page.text
    await ada.get(f"{PREFIX}sign-in")
    page = await ada.get("/v2/gh/ada/engine/main")
    assert "Sign out" in page.text
    assert "data-autostart" not in page.text


async def test_a_visitor_sees_neither_tokens_nor_others_servers(public):
    service, browse = public
    visitor, other = browse(), browse(address="192.0.2.7")
    launch = await visitor.launch(REPO)
    await visitor.events(launch)
    page = await visitor.get("servers")
    assert "Running" in page.text
    assert "hub/token" not in page.text
    await other.launch(REPO)
    assert (await other.get(f"launches/{launch}")).status_code == 404
    name = service.store.launches.kept[launch].name
    assert (await other.post(f"servers/{name}/stop")).status_code == 404


async def test_too_many_is_said_on_the_page(public):
    _, browse = public
    visitor = browse()
    for _ in range(2):
        await visitor.events(await visitor.launch(REPO))
    await visitor.get("")
    page = await visitor.post("launches", repository=REPO)
    assert page.status_code == 429
    assert "from your address already" in page.text


async def test_a_server_that_is_stopped_makes_room(public):
    service, browse = public
    visitor = browse()
    for _ in range(2):
        await visitor.events(await visitor.launch(REPO))
    (owner, name, _) = service.hub.started[0]
    await service.site.hub.stop(owner, name)
    launch = await visitor.launch(REPO)
    assert (await visitor.events(launch))[-1][2]["state"] == "ready"


async def test_what_nobody_uses_is_cleared_away_and_then_the_visitor(public):
    service, browse = public
    visitor = browse()
    launch = await visitor.launch(REPO)
    await visitor.events(launch)
    owner, name, _ = service.hub.started[0]
    user = service.hub.users[owner]
    now = datetime.now(UTC)
    user["last_activity"] = user["servers"][name]["last_activity"] = now.isoformat()
    keeper = visitors_of(service)

    await keeper.sweep(now + timedelta(seconds=60))
    assert name in user["servers"]

    await keeper.sweep(now + timedelta(seconds=1300))
    assert user["servers"] == {}
    assert service.engine.runner.removed == [(owner, name)]
    assert service.store.plans.made == {}

    await keeper.sweep(now + timedelta(seconds=1400))
    assert owner not in service.hub.users
    assert "ada" in service.hub.users


async def test_the_nameless_server_that_the_hub_lists_for_everybody_stops_no_clearing_up(public):
    service, browse = public
    service.engine.builder.error = BuildFailed("No.")
    visitor = browse()
    launch = await visitor.launch(REPO)
    service.hub.nameless = True
    await visitor.events(launch)
    await until(lambda: not any(name.startswith("visitor-") for name in service.hub.users))
    service.hub.add("visitor-0-old")
    await visitors_of(service).sweep(datetime.now(UTC))
    assert "visitor-0-old" not in service.hub.users


async def test_one_visitors_trouble_is_not_everybodys(public, monkeypatch):
    service, _ = public
    for name in ("visitor-0-a", "visitor-0-b"):
        service.hub.add(name)
    keeper, remove = visitors_of(service), type(service.site.hub).remove_user

    async def stubborn(hub, name):
        if name.endswith("a"):
            raise Unreachable("Not this one.")
        await remove(hub, name)

    monkeypatch.setattr(type(service.site.hub), "remove_user", stubborn)
    await keeper.sweep(datetime.now(UTC))
    assert "visitor-0-a" in service.hub.users
    assert "visitor-0-b" not in service.hub.users


async def test_a_visitor_whose_launch_goes_on_is_left_alone(public):
    service, browse = public
    service.engine.builder.pause = 60
    visitor = browse()
    launch = await visitor.launch(REPO)
    keeper = visitors_of(service)
    keeper.launching[launch] = service.store.launches.kept[launch].request.person.name
    await keeper.sweep(datetime.now(UTC) + timedelta(days=1))
    assert any(name.startswith("visitor-") for name in service.hub.users)


def test_one_household_is_one_address_and_no_name_tells_it(service):
    keeper = visitors_of(service)
    first, second = "2001:db8:1:2:3::4", "2001:db8:1:2:ffff::1"
    assert keeper._mark(first) == keeper._mark(second)
    assert keeper._mark(first) != keeper._mark("2001:db8:1:3::4")
    assert keeper._mark("192.0.2.1") != keeper._mark("192.0.2.2")
    assert keeper._mark("::ffff:192.0.2.1") == keeper._mark("192.0.2.1")
    assert "192" not in keeper._mark("192.0.2.1")


async def test_a_launch_is_counted_until_it_is_over(public):
    service, browse = public
    service.engine.builder.pause = 60
    visitor = browse()
    launches = [await visitor.launch(REPO, version=f"v{n}") for n in range(2)]
    await visitor.get("")
    page = await visitor.post("launches", repository=REPO)
    assert page.status_code == 429
    await visitor.get(f"launches/{launches[0]}")
    await visitor.post(f"launches/{launches[0]}/cancel")
    await until(lambda: service.store.launches.kept[launches[0]].state.over)
    await visitor.get("")
    page = await visitor.post("launches", repository=REPO)
    assert page.status_code == 200


async def test_a_launch_that_fails_leaves_no_visitor_behind(public):
    service, browse = public
    service.engine.builder.error = BuildFailed("No.")
    visitor = browse()
    launch = await visitor.launch(REPO)
    await visitor.events(launch)
    await until(lambda: not any(name.startswith("visitor-") for name in service.hub.users))
    assert "No." in (await visitor.get(f"launches/{launch}")).text
    service.engine.builder.error = None
    again = await visitor.post(f"launches/{launch}/retry")
    assert (await visitor.events(again.url.path.rsplit("/", 1)[-1]))[-1][2]["state"] == "ready"


async def test_a_launch_that_a_restart_interrupted_is_watched_over_again(public):
    service, browse = public
    service.engine.builder.pause = 60
    visitor, visitors = browse(), visitors_of(service)
    launch = await visitor.launch(REPO)
    name = service.store.launches.kept[launch].request.person.name
    async with visitors.sweeping():  # the next service's
        assert visitors.launching == {launch: name}
        await visitors.sweep(datetime.now(UTC) + timedelta(days=1))
        assert name in service.hub.users
        await visitor.get(f"launches/{launch}")
        await visitor.post(f"launches/{launch}/cancel")
        await until(lambda: not visitors.launching)


async def test_behind_a_proxy_of_the_operators_each_visitor_has_an_address_of_their_own(tmp_path):
    access = {"anonymous": True, "per_address": 1, "proxies": 1}
    async with running(make_service(tmp_path, access=access)) as browse:
        for visitor in ("203.0.113.1", "203.0.113.2"):
            await browse(address=f"{visitor}, 10.0.0.1").launch(REPO)
        for lie in ("", "198.51.100.1, ", "198.51.100.2, 198.51.100.3, ", ", , "):
            liar = browse(address=f"{lie}203.0.113.1, 10.0.0.1")
            await liar.get("")
            page = await liar.post("launches", repository=REPO)
            assert page.status_code == 429, lie


async def test_a_visitor_who_leaves_the_page_gives_up_the_launch_and_a_persons_goes_on(
    public, browse
):
    service, as_visitor = public
    service.hub.line, service.hub.step = ["You are next in line."], 60
    visitor = as_visitor()
    launch = await visitor.launch(REPO)
    page = await visitor.get(f"launches/{launch}")
    assert "Keep this page open" in page.text
    assert "You may close this page" not in page.text
    watching = asyncio.create_task(visitor.events(launch))
    await until(lambda: service.hub.started)
    ((owner, name, _),) = service.hub.started
    watching.cancel()
    await until(lambda: service.hub.users[owner]["servers"][name]["stopped"])
    await until(lambda: service.store.launches.kept[launch].state is State.CANCELLED)


async def test_nobody_is_swept_away_who_is_just_coming(public, monkeypatch):
    service, _ = public
    visitors = visitors_of(service)
    made, go_on = asyncio.Event(), asyncio.Event()
    name_for = Launcher.name_for

    async def slow(self, request):
        made.set()
        await go_on.wait()
        return await name_for(self, request)

    monkeypatch.setattr(Launcher, "name_for", slow)
    request = LaunchRequest(Person(""), RepoRef("git", REPO))
    coming = asyncio.create_task(visitors.open(request, "192.0.2.1", "", {}))
    await made.wait()
    sweeping = asyncio.create_task(visitors.sweep(datetime.now(UTC)))
    await asyncio.sleep(0.05)
    go_on.set()
    launch = await coming
    await sweeping
    assert launch.request.person.name in service.hub.users


async def test_a_sweep_does_not_undo_what_has_come_up_while_it_looked(public, monkeypatch):
    service, browse = public
    visitor = browse()
    service.hub.pause = 0.2
    launch = await visitor.launch(REPO)
    name = service.store.launches.kept[launch].request.person.name
    visitors = visitors_of(service)
    users = HubApi.users

    async def long_ago(self, prefix):
        found = await users(self, prefix)
        await visitor.events(launch)
        return [replace(one, servers={}, last_activity="") for one in found]

    monkeypatch.setattr(HubApi, "users", long_ago)
    await visitors.sweep(datetime.now(UTC))
    assert service.hub.users[name]["servers"]


async def test_whose_launch_a_restart_interrupted_is_not_swept_away(public):
    service, browse = public
    service.engine.builder.pause = 60
    launch = await browse().launch(REPO)
    name = service.store.launches.kept[launch].request.person.name
    visitors = visitors_of(service)  # a new one, who has not seen anybody come
    await visitors.sweep(datetime.now(UTC))
    assert name in service.hub.users
