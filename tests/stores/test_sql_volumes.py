"""What is recorded of volumes, on both real databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atoll.access import Kind, Party, Share
from atoll.launching import LaunchRequest
from atoll.launching.desk import Launch
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.volumes import Mount, Volume, Wish
from support.plans import make_plan

ADA, MATHS = Party(Kind.PERSON, "ada"), Party(Kind.GROUP, "maths")
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
VOLUME = Volume("v1", ADA, "thesis", NOON, "Données", 10**12, origin="v0")


@pytest.fixture
def volumes(store):
    return store.volumes


async def test_a_volume_comes_back_with_its_shares(volumes):
    assert await volumes.add(VOLUME)
    shares = (Share(MATHS), Share(Party(Kind.PERSON, "grace"), writable=True))
    for share in shares:
        await volumes.share("v1", share)
    expected = replace(VOLUME, shares=shares)
    assert await volumes.get("v1") == expected
    assert await volumes.find(ADA, "thesis") == expected
    assert await volumes.all() == [expected]
    for party in (ADA, MATHS, Party(Kind.PERSON, "grace")):
        assert await volumes.of([party, Party(Kind.PERSON, "x")]) == [expected]
    assert await volumes.of([Party(Kind.PERSON, "maths"), Party(Kind.GROUP, "ada")]) == []
    assert await volumes.of([]) == []


async def test_an_owner_has_each_name_once(volumes):
    assert await volumes.add(VOLUME)
    assert not await volumes.add(replace(VOLUME, id="v2"))
    assert await volumes.add(replace(VOLUME, id="v3", owner=MATHS))
    assert await volumes.add(replace(VOLUME, id="v4", owner=Party(Kind.PERSON, "maths")))
    assert not await volumes.change(await volumes.get("v3"), replace(VOLUME, id="v3", owner=ADA))
    assert (await volumes.get("v3")).owner == MATHS


async def test_sharing_again_replaces_and_unsharing_forgets(volumes):
    await volumes.add(VOLUME)
    await volumes.share("v1", Share(MATHS))
    await volumes.share("v1", Share(MATHS, writable=True))
    assert (await volumes.get("v1")).shares == (Share(MATHS, writable=True),)
    await volumes.unshare("v1", MATHS)
    await volumes.unshare("v1", MATHS)
    assert (await volumes.get("v1")).shares == ()
    await volumes.share("v9", Share(MATHS))  # gone meanwhile
    assert await volumes.of([MATHS]) == []


async def test_a_change_happens_only_to_what_it_was_meant_for(volumes):
    await volumes.add(VOLUME)
    await volumes.share("v1", Share(MATHS))
    deleted = replace(VOLUME, deleted=NOON)
    assert await volumes.change(VOLUME, deleted)
    assert not await volumes.change(VOLUME, replace(VOLUME, owner=MATHS))
    assert await volumes.get("v1") == replace(deleted, shares=(Share(MATHS),))
    assert await volumes.change(deleted, VOLUME)
    assert not await volumes.change(replace(VOLUME, id="v9"), replace(VOLUME, id="v9", name="x"))


async def test_what_is_forgotten_leaves_nothing(volumes):
    await volumes.add(VOLUME)
    await volumes.share("v1", Share(MATHS))
    await volumes.forget("v1")
    await volumes.forget("v1")
    assert await volumes.get("v1") is None
    assert await volumes.of([ADA, MATHS]) == []
    await volumes.add(VOLUME)
    assert (await volumes.get("v1")).shares == ()


async def test_of_many_who_want_one_name_at_once_one_gets_it(volumes):
    added = await asyncio.gather(*(volumes.add(replace(VOLUME, id=f"v{n}")) for n in range(8)))
    assert sorted(added) == [False] * 7 + [True]
    assert len(await volumes.all()) == 1


@pytest.mark.parametrize("text", ["a\0b", "x" * 300, "'; DROP TABLE x", "%"])
async def test_any_text_may_be_asked_for(volumes, text):
    assert await volumes.get(text) is None
    assert await volumes.find(Party(Kind.PERSON, text), text) is None


async def test_plans_and_launches_remember_mounts(store, tmp_path):
    mount = Mount("data", "v1", "ada/thesis", writable=True)
    for mounts in ((mount,), ()):
        plan = make_plan(tmp_path, {}, mounts=mounts)
        await store.plans.put(plan)
        assert (await store.plans.get(plan.id, "ada")).mounts == mounts
    request = LaunchRequest(
        Person("ada"), RepoRef("git", "https://example.org/r"), mounts=(Wish("data", "x"),)
    )
    for asked in (request, replace(request, mounts=None), replace(request, mounts=())):
        await store.launches.put(Launch("l1", asked, NOON))
        assert (await store.launches.get("l1")).request == asked


async def test_of_two_who_change_different_things_of_one_volume_the_later_is_told(volumes):
    await volumes.add(VOLUME)
    seen = await volumes.get("v1")
    assert await volumes.change(seen, replace(seen, description="other words"))
    assert not await volumes.change(seen, replace(seen, quota=1))
    now = await volumes.get("v1")
    assert (now.description, now.quota) == ("other words", VOLUME.quota)
    assert await volumes.change(now, replace(now, quota=1))
