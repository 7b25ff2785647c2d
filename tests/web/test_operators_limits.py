"""What an operator sets for a person or a group counts, is seen with its reason, and is theirs."""

from __future__ import annotations

import re

import pytest

from atoll.access import Kind, Party
from atoll.allowances import Ruling
from atoll.errors import Unreachable
from support.browsing import PREFIX
from support.web_service import REPO, make_service

HOSTILE = "<script>alert(1)</script>"
POWER = ("access:services!service=atoll", "admin:servers")
GIB = 1024**3


@pytest.fixture
def service(tmp_path):
    """Return one whose atoll.toml says something of students."""
    students = {"max_memory": "1G", "per_person": 2}
    one = make_service(tmp_path, groups={"students": students}, servers={"max_memory": "4G"})
    one.hub.users["bob"]["groups"] = ["students"]
    return one


@pytest.fixture
def ask(service, browse):
    http = browse().http

    async def call(who, address="limits", *, scopes=POWER, **sent):
        headers = {"Authorization": f"Bearer {service.hub.token_of(who, *scopes)}"}
        url = f"{PREFIX}api/admin/{address}"
        if sent:
            return await http.post(url, json=sent, headers=headers)
        return await http.get(url, headers=headers)

    return call


async def test_what_is_set_on_the_page_counts_at_the_next_launch(service, browse):
    ada = browse()
    page = await ada.get("admin/limits?of=bob")
    assert "@students, atoll.toml" in page.text
    service.hub.signed_in = "bob"
    bob = browse()
    assert "at most 1G" in (await bob.get("")).text
    page = await ada.post("admin/limits", whom="bob", max_memory="8G", per_person="3")
    assert "Set for bob." in page.text
    assert "set for bob by ada" in page.text
    assert "at most 8G" in (await bob.get("")).text
    launch = await bob.launch(REPO, memory="8G", name="big")
    await bob.events(launch)
    [plan] = [plan for plan, _ in service.store.plans.made.values()]
    assert plan.limits.memory == 8 * GIB
    await ada.post("admin/limits", whom="bob", max_memory="", per_person="3")
    assert "at most 1G" in (await bob.get("")).text
    [first, last] = [one for one in service.store.acts.kept if one.deed == "set limits"]
    assert (first.who, first.what, first.kind) == ("ada", "bob", "person")
    assert dict(first.detail) == {"max_memory": "8G", "per_person": "3"}
    assert dict(last.detail) == {"max_memory": ""}


async def test_a_plan_of_before_starts_with_what_is_allowed_now(service, browse):
    service.hub.signed_in = "ada"
    ada = browse()
    await ada.events(await ada.launch(REPO, memory="4G", name="big"))
    [plan] = [plan for plan, _ in service.store.plans.made.values()]
    await service.site.atoll.store.rulings.put(
        [_ruling("ada", "max_memory", GIB), _ruling("ada", "max_cpus", 0.5)]
    )
    atoll = service.site.atoll
    server = await atoll.start(plan, {}, plan.owner)
    assert "no more is allowed you now" in server.notes[0]
    [*_, started] = service.engine.runner.started
    assert (started.limits.memory, started.limits.cpus) == (GIB, 0.5)


def _ruling(who, name, value):
    return Ruling(Party(Kind.PERSON, who), name, value, "boss")


async def test_a_volume_may_take_what_its_maker_is_allowed(service, browse, ask):
    assert (await ask("ada", whom="@students", volume_quota="3M")).status_code == 200
    service.hub.signed_in = "bob"
    bob = browse()
    assert "at most 3M" in (await bob.get("volumes")).text
    await bob.post("volumes/make", volume="small")
    [volume] = service.store.volumes.kept.values()
    assert volume.quota == 3 * 1024**2
    assert (await bob.post("volumes/make", volume="large", quota="4M")).status_code == 413


async def test_a_groups_volume_has_the_groups_room_whoever_makes_it(service, browse, ask):
    for whom, room in (("bob", "3M"), ("@students", "2M"), ("@staff", "9M")):
        await ask("ada", whom=whom, volume_quota=room)
    service.hub.signed_in = "bob"
    bob = browse()
    assert "at most 3M, of @students 2M. A full" in (await bob.get("volumes")).text
    await bob.post("volumes/make", volume="@students/data")
    [volume] = service.store.volumes.kept.values()
    assert volume.quota == 2 * 1024**2
    refused = await bob.post("volumes/make", volume="@students/more", quota="3M")
    assert refused.status_code == 413
    assert "A volume of @students may have 2M here." in refused.text
    assert (await bob.post("volumes/change", volume="@students/data", quota="1M")).is_success


async def test_programs_set_and_see_it_and_nobody_else_does(service, browse, ask):
    answer = await ask("ada", whom="@students", memory="512M", networks="internet, none")
    assert {row["name"]: row["value"] for row in answer.json()} == {
        "memory": "512M",
        "networks": "internet, none",
    }
    rows = (await ask("ada", "limits?of=bob")).json()
    found = {row["name"]: (row["value"], row["source"]) for row in rows}
    assert found["memory"] == ("512M", "set for @students by ada")
    assert found["per_person"] == ("2", "@students, atoll.toml")
    assert found["cpus"] == ("2", "everybody, atoll.toml")
    assert (await ask("bob", whom="bob", memory="9G")).status_code == 403
    assert (await ask("ada", whom="bob", memory="9G", scopes=POWER[:1])).status_code == 403
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.post("admin/limits", whom="bob", memory="9G")).status_code == 403
    assert (await bob.get("admin/limits")).status_code == 403
    assert {one.whom.name for one in service.store.rulings.kept.values()} == {"students"}


@pytest.mark.parametrize(
    "sent",
    [
        {"whom": "bob", "memory": "much"},
        {"whom": "bob", "memory": [1]},
        {"whom": "bob", "cpus": "inf"},
        {"whom": "bob", "cpus": "nan"},
        {"whom": "bob", "per_person": "0"},
        {"whom": "bob", "per_person": HOSTILE},
        {"whom": "bob", "networks": "all"},
        {"whom": "@", "memory": "1G"},
        {"whom": "", "memory": "1G"},
        {"whom": "a/b", "memory": "1G"},
        {"whom": "a\0b", "memory": "1G"},
        {"whom": "x" * 300, "memory": "1G"},
        {"whom": 7, "memory": "1G"},
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence_and_changes_nothing(service, ask, sent):
    answer = await ask("ada", **sent)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert service.store.rulings.kept == {}


async def test_hostile_names_are_only_shown(service, browse):
    ada = browse()
    await ada.get("admin/limits")
    page = await ada.post("admin/limits", whom=f"@{HOSTILE.replace('/', '')}", memory="1G")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


async def test_what_cannot_be_written_down_is_not_set(service, browse):
    ada = browse()
    await ada.get("admin/limits")
    service.store.acts.error = Unreachable("The database does not answer.")
    assert (await ada.post("admin/limits", whom="bob", memory="1G")).status_code == 502
    assert service.store.rulings.kept == {}


async def test_two_operators_do_not_undo_what_the_other_has_set(service, browse):
    service.hub.add("eve", admin=True)
    ada = browse()
    seen = await fields_of(ada)
    service.hub.signed_in = "eve"
    eve = browse()
    assert await fields_of(eve) == seen
    await eve.post("admin/limits", whom="bob", **seen | {"memory": "3G", "cpus": "4"})
    page = await ada.post("admin/limits", whom="bob", **seen | {"per_person": "5"})
    assert "Set for bob." in page.text
    assert set_for(service, "bob") == {"memory": 3 * GIB, "cpus": 4, "per_person": 5}
    page = await ada.post("admin/limits", whom="bob", **seen | {"cpus": "1", "idle": "1h"})
    assert page.status_code == 409
    assert "Meanwhile, for bob, eve has set cpus to 4. Nothing was set." in page.text
    assert set_for(service, "bob") == {"memory": 3 * GIB, "cpus": 4, "per_person": 5}
    now = fields_in(page)
    assert (now["cpus"], now["was_cpus"], now["idle"]) == ("1", "4", "1h")
    assert (now["memory"], now["was_memory"]) == ("3G", "3G")  # theirs to leave
    await ada.post("admin/limits", whom="bob", **now)
    assert set_for(service, "bob") | {"cpus": 1, "idle": 3600} == set_for(service, "bob")


async def fields_of(browser):
    return fields_in(await browser.get("admin/limits?of=bob"))


def fields_in(page):
    found = re.findall(r'name="(\w+)" value="([^"]*)" maxlength', page.text)
    return dict([*found, *re.findall(r'name="(was_\w+)" value="([^"]*)"', page.text)])


def set_for(service, who):
    return {name: one.value for (whom, name), one in service.store.rulings.kept.items()}


async def test_programs_say_what_they_had_seen_if_it_matters_to_them(service, ask):
    assert (await ask("ada", whom="bob", memory="1G", was_memory="")).status_code == 200
    answer = await ask("ada", whom="bob", memory="2G", was_memory="")
    assert (answer.status_code, answer.json()["kind"]) == (409, "Changed")
    [row] = (await ask("ada", whom="bob", memory="2G", was_memory="1G")).json()
    assert row["value"] == "2G"
    assert (await ask("ada", whom="bob", memory="2G", was_memory=[1])).status_code == 400
