"""Copies for visitors: switched on, renewed and taken back; who gets one, and what of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atoll.access import Kind, Party, Share
from atoll.errors import NotFound
from atoll.volumes import Mount, Volume
from atoll.web.sparing import spare
from support.browsing import PREFIX
from support.web_service import REPO

ADA = Party(Kind.PERSON, "ada")
PEOPLE = "servers/engine/people"


@pytest.fixture
async def shown(public):
    """Ada's server “engine”, on a service that lets visitors in; and what opens browsers."""
    service, browse = public
    ada = browse(address="192.0.2.1")
    await ada.get(f"{PREFIX}sign-in")
    await ada.events(await ada.launch(REPO, name="engine"))
    await ada.get(PEOPLE)
    return service, ada, browse


def link_in(page):
    found = re.search(r"/services/atoll/(copies/[\w-]+)<", page.text)
    return found and found[1]


async def plan_of(service, launch):
    kept = service.store.launches.kept[launch]
    return await service.store.plans.get(kept.plan, kept.request.person.name)


async def test_a_visitor_without_an_account_gets_a_copy_of_their_own(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    visitor = browse()
    page = await visitor.get(link)
    assert "<b>ada</b> lets you have a copy of this server" in page.text
    page = await visitor.post(link)
    assert "This is a copy of ada’s server engine" in page.text
    launch = page.url.path.rsplit("/", 1)[-1]
    assert (await visitor.events(launch))[-1][2]["state"] == "ready"
    plan, original = await plan_of(service, launch), (await service.store.plans.latest("ada"))
    assert plan.owner.visitor
    assert plan.content.temporary
    assert (plan.content.copied.owner, plan.content.copied.server) == ("ada", "engine")
    assert plan.environment == original["engine"][0].environment
    assert plan.ref == original["engine"][0].ref
    assert "A copy of ada’s server engine" in (await visitor.get("servers")).text
    entered = await visitor.get(f"launches/{launch}/enter")
    assert entered.url.path.startswith(f"/user/{plan.owner.name}/")
    acts = [act for act in service.store.acts.kept if act.detail.get("copy of") == "ada/engine"]
    assert {act.deed for act in acts} == {"launch", "launch ready"}
    assert {act.who for act in acts} == {plan.owner.name}


async def test_who_has_signed_in_gets_one_too_and_it_counts_as_theirs(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get(f"{PREFIX}sign-in")
    await bob.get(link)
    launch = (await bob.post(link)).url.path.rsplit("/", 1)[-1]
    await bob.events(launch)
    plan = await plan_of(service, launch)
    assert plan.owner.name == "bob"
    assert plan.name.startswith("engine-")
    assert ("bob", plan.name, {"plan": plan.id}) in service.hub.started


async def test_a_link_that_was_renewed_or_taken_back_leads_to_a_clear_page(shown):
    service, ada, browse = shown
    first = link_in(await ada.post(f"{PEOPLE}/show"))
    visitor = browse()
    launch = await copy(visitor, first)
    second = link_in(await ada.post(f"{PEOPLE}/show"))
    assert first != second
    page = await visitor.get(first)
    assert page.status_code == 404
    assert "There is no copy to be had here." in page.text
    assert (await visitor.get(second)).status_code == 200
    page = await ada.post(f"{PEOPLE}/hide")
    assert link_in(page) is None
    assert (await visitor.get(second)).status_code == 404
    await visitor.get("")
    assert (await visitor.post(second)).status_code == 404
    # Nor can a copy of before be started again.
    plan = await plan_of(service, launch)
    with pytest.raises(Exception, match="no copy to be had"):
        await service.site.atoll.start(plan, {})


async def copy(browser, link):
    await browser.get(link)
    launch = (await browser.post(link)).url.path.rsplit("/", 1)[-1]
    await browser.events(launch)
    return launch


async def test_the_limits_of_visitors_hold_for_copies(shown):
    _, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    visitor = browse()
    for _ in range(2):
        await copy(visitor, link)
    await visitor.get(link)
    page = await visitor.post(link)
    assert page.status_code == 429
    assert "from your address already" in page.text


@pytest.fixture
async def with_volumes(shown):
    """Ada's server with three volumes: hers, the group's, and one that bob lets her read."""
    service, ada, browse = shown
    for name, owner in (("mine", ADA), ("bobs", Party(Kind.PERSON, "bob"))):
        volume = Volume(f"id-{name}", owner, name, datetime.now(UTC), shares=(Share(ADA),))
        service.store.volumes.kept[volume.id] = volume
        await service.engine.files.make(volume.id)
    plan, _ = (await service.store.plans.latest("ada"))["engine"]
    mounts = (
        Mount("mine", "id-mine", "mine", writable=True),
        Mount("bobs", "id-bobs", "bob/bobs"),
    )
    service.store.plans.made[plan.id] = (replace(plan, mounts=mounts), datetime.now(UTC))
    return service, ada, browse


async def test_the_owner_is_told_which_volumes_visitors_read_and_they_read_no_other(with_volumes):
    service, ada, browse = with_volumes
    page = await ada.get(PEOPLE)
    assert "They will read all of these volumes, whoever they are: <b>mine</b>." in page.text
    refused = await ada.post(f"{PEOPLE}/show", volumes="bob/bobs")
    assert refused.status_code == 400
    link = link_in(await ada.post(f"{PEOPLE}/show", volumes="mine"))
    visitor = browse()
    page = await visitor.get(link)
    assert "<b>mine</b>; it writes to no volume" in page.text
    assert "bobs" not in page.text
    plan = await plan_of(service, await copy(visitor, link))
    atoll, ada_now = service.site.atoll, replace(plan.owner, name="ada")
    shown = service.store.copies.kept["ada", "engine"].volumes
    mounts, notes = await atoll.keeper.shown(ada_now, plan.owner, plan.mounts, shown)
    assert mounts == (Mount("mine", "id-mine", "mine", writable=False),)
    assert notes == (
        "The volume “bob/bobs” (at bobs) is not in this copy: visitors may not read it.",
    )
    # What is hers no more, or she is no more, is mounted no more.
    del service.store.volumes.kept["id-mine"]
    assert await atoll.keeper.shown(ada_now, plan.owner, plan.mounts, shown) == (
        (),
        (
            *notes[:0],
            *(
                f"The volume “{name}” (at {at}) is not in this copy: visitors may not read it."
                for name, at in (("mine", "mine"), ("bob/bobs", "bobs"))
            ),
        ),
    )
    assert (await atoll.keeper.shown(None, plan.owner, plan.mounts, shown))[0] == ()


async def test_a_volume_that_the_owner_did_not_confirm_is_in_no_copy(with_volumes):
    service, ada, _ = with_volumes
    await ada.post(f"{PEOPLE}/show")
    assert service.store.copies.kept["ada", "engine"].volumes == ()


async def test_only_the_owner_lets_visitors_in_and_only_into_what_keeps_files(shown):
    service, ada, browse = shown
    token = {"Authorization": f"Bearer {service.hub.token_of('ada')}"}
    url = f"{PREFIX}api/servers/ada/engine/people"
    http = browse().http
    told = (await http.post(f"{url}/show", json={"volumes": ""}, headers=token)).json()
    assert told["copies"].startswith("http://atoll.example.org/services/atoll/copies/")
    more = {"whom": "bob", "level": "manage", "volumes": "x"}  # which says nothing here
    assert (await http.post(f"{url}/hide", json=more, headers=token)).json()["copies"] == ""
    assert service.store.acts.kept[-1].detail == {}
    await http.post(f"{url}/give", json={"whom": "bob", "level": "manage"}, headers=token)
    bob = {"Authorization": f"Bearer {service.hub.token_of('bob')}"}
    assert (await http.post(f"{url}/show", json={}, headers=bob)).status_code == 403
    await ada.events(await ada.launch(REPO, name="passing", temporary="yes"))
    await ada.get(PEOPLE)
    page = await ada.post("servers/passing/people/show")
    assert page.status_code == 400
    assert "keeps no files" in page.text


async def test_a_server_that_is_deleted_has_no_copies_any_more(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    await ada.post("servers/engine/stop")
    assert (await browse().get(link)).status_code == 200  # a stopped one can still be copied
    await ada.get("servers/engine/delete")
    await ada.post("servers/engine/delete")
    assert (await browse().get(link)).status_code == 404
    assert service.store.copies.kept == {}


async def test_no_key_of_hostile_making_finds_anything(shown):
    _, _, browse = shown
    visitor = browse()
    for key in ("x", "%00", "<script>", "a" * 5000, "..%2F..%2Fservers", "%F0%9F%8F%9D"):
        page = await visitor.get(f"copies/{key}")
        assert page.status_code == 404
        assert "<script>" not in page.text.split("</head>")[1]


async def test_where_no_visitors_are_let_in_one_signs_in_first_and_comes_back(service, browse):
    ada = browse()
    await ada.events(await ada.launch(REPO, name="engine"))
    await ada.get(PEOPLE)
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    service.hub.signed_in = "bob"
    bob = browse()
    page = await bob.get(link)
    assert any("sign-in" in str(one.url) for one in page.history)
    assert page.url.path == f"{PREFIX}{link}"
    assert "<b>ada</b> lets you have a copy" in page.text


async def test_a_copy_is_begun_by_a_form_of_its_page_alone(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    visitor = browse()
    await visitor.get(link)
    for site in ("cross-site", "same-site"):
        answer = await visitor.post(link, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    assert (await visitor.post(link, form_token="guessed")).status_code == 403
    assert {one.request.person.name for one in service.store.launches.kept.values()} == {"ada"}


async def test_an_environment_that_was_pruned_is_built_again_for_a_copy(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    original = await service.store.plans.newest("ada", "engine")
    service.engine.builder.ill.add(original.environment.handle)
    built = service.engine.builder.built
    launch = await copy(browse(), link)
    assert service.store.launches.kept[launch].state.value == "ready"
    assert not service.store.launches.kept[launch].cached
    plan = await plan_of(service, launch)
    assert plan.environment.handle == original.environment.handle
    assert plan.environment.made != original.environment.made
    assert service.engine.builder.built == built + 1
    again = await copy(browse(address="192.0.2.2"), link)
    assert service.store.launches.kept[again].cached
    assert service.engine.builder.built == built + 1


async def running(service, launch):
    """Start the server of *launch* at the engine, too, as the hub's spawner would."""
    plan = await plan_of(service, launch)
    await service.site.atoll.start(plan, {})
    return plan


async def test_copies_that_run_are_counted_and_their_owner_ends_them_with_the_link(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    for number in (1, 2):
        await running(service, await copy(browse(address=f"192.0.2.{number}"), link))
    assert "End the 2 copies that run, too" in (await ada.get(PEOPLE)).text
    page = await ada.post(f"{PEOPLE}/hide")
    assert "2 copies run, from before the link was taken back." in page.text
    assert {one["ready"] for one in servers_of_visitors(service)} == {True}
    await ada.post(f"{PEOPLE}/hide", end="yes")
    assert {one["ready"] for one in servers_of_visitors(service)} == {False}
    assert service.hub.users["ada"]["servers"]["engine"]["ready"]
    ended = [one for one in service.store.acts.kept if one.deed == "stop"]
    assert {(one.who, one.detail["copy of"]) for one in ended} == {("ada", "ada/engine")}
    assert len(ended) == 2


def servers_of_visitors(service):
    visitors = [one for who, one in service.hub.users.items() if who.startswith("visitor-")]
    return [server for one in visitors for server in one["servers"].values()]


async def test_who_has_signed_in_is_told_that_their_copy_was_ended(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get(f"{PREFIX}sign-in")
    plan = await running(service, await copy(bob, link))
    token = {"Authorization": f"Bearer {service.hub.token_of('ada')}"}
    url = f"{PREFIX}api/servers/ada/engine/people"
    assert (await ada.http.get(url, headers=token)).json()["copies_running"] == 1
    # A copy of a server of the same name of somebody else's is none of hers.
    other = replace(plan, id="other", name="engine-x")
    copied = replace(plan.content.copied, owner="eve")
    other = replace(other, content=replace(plan.content, copied=copied))
    await service.store.plans.put(other)
    await service.engine.runner.start(other, {})
    await ada.http.post(f"{url}/show", json={"end": True}, headers=token)
    assert not service.hub.users["bob"]["servers"][plan.name]["ready"]
    assert ("bob", "engine-x") not in [key[:2] for key in service.store.stops.kept]
    assert "as there are no copies of it any more" in (await bob.get("servers")).text


async def test_where_the_disk_is_full_a_copy_ends_and_its_person_is_told(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get(f"{PREFIX}sign-in")
    await running(service, await copy(bob, link))

    class Full:
        make_room = service.engine.runner.running  # of all, it ends those

    await spare(replace(service.site, atoll=replace(service.site.atoll, runner=Full())))
    assert "as the disk was nearly full" in (await bob.get("servers")).text
    [act] = [one for one in service.store.acts.kept if one.deed == "stop"]
    assert (act.who, act.detail["why"]) == ("atoll", "the disk was nearly full")


async def test_a_copy_that_starts_while_its_link_is_taken_back_does_not_stay(shown):
    service, ada, browse = shown
    link = link_in(await ada.post(f"{PEOPLE}/show"))
    plan = await plan_of(service, await copy(browse(), link))
    runner, start = service.engine.runner, service.engine.runner.start

    class Slow:
        async def start(self, plan, environ):
            server = await start(plan, environ)  # its files are filled, and meanwhile
            await service.store.copies.drop("ada", "engine")
            return server

        stop = runner.stop

    with pytest.raises(NotFound, match="no copy to be had"):
        await replace(service.site.atoll, runner=Slow()).start(plan, {})
    assert not [one for one in runner.started if one.id == plan.id]
