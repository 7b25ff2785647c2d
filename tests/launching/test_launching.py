import asyncio
from dataclasses import replace

import pytest

from atoll.environments import Environments
from atoll.environments.reading import DEFAULT_TAKEN
from atoll.errors import BadRequest
from atoll.launching import Clock, Launcher, LaunchRequest
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.testing.engines import FakeBuilder
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryPlans, MemoryShelf

FILES = {
    "https://example.org/Some_Course.git": {"requirements.txt": b"six"},
    "https://example.com/some-course": {"requirements.txt": b"six"},
    "https://example.com/bare": {},
}
REQUEST = LaunchRequest(Person("ada"), RepoRef("git", "https://example.org/Some_Course.git"))


@pytest.fixture
def launcher(tmp_path):
    environments = Environments(FakeBuilder(), MemoryShelf())
    return Launcher(FakeSource(tmp_path, FILES), environments, MemoryPlans(), "test")


async def test_the_whole_story_in_order(launcher):
    told, clock = [], Clock()
    prepared = await launcher.prepare(REQUEST, told.append, clock)
    assert list(dict.fromkeys(event.phase for event in told)) == ["resolve", "fetch", "build"]
    assert set(clock.seconds) == {"resolve", "fetch", "build"}
    assert prepared.plan.name == "some-course"
    assert not prepared.cached
    again = await launcher.prepare(REQUEST, told.append)
    assert again.cached
    assert again.plan.environment == prepared.plan.environment
    assert await launcher.plans.get(again.plan.id, "ada") == again.plan


async def test_who_launches_what_names_no_packages_is_told_each_time(launcher):
    bare = replace(REQUEST, repo=RepoRef("git", "https://example.com/bare"))
    for _ in range(2):  # built, and there already
        told = []
        await launcher.prepare(bare, told.append)
        assert DEFAULT_TAKEN in [event.message for event in told if not event.detail]


async def test_a_name_that_jupyterhub_would_not_take_is_refused_before_anything_is_fetched(
    launcher,
):
    for name in ("No Good", "-x", "a--b", "x" * 31, "../x", "1st"):
        told = []
        with pytest.raises(BadRequest):
            await launcher.prepare(replace(REQUEST, name=name), told.append)
        assert told == []


class SlowPlans(MemoryPlans):
    """Plans in a database that takes its time to answer."""

    async def latest(self, owner):
        found = await super().latest(owner)
        await asyncio.sleep(0.01)
        return found


async def test_two_repositories_that_are_launched_at_once_do_not_get_one_name(launcher):
    launcher = replace(launcher, plans=SlowPlans())
    other = replace(REQUEST, repo=RepoRef("git", "https://example.com/some-course"))
    asked = (launcher.prepare(one, lambda _: None) for one in (REQUEST, other))
    names = [prepared.plan.name for prepared in await asyncio.gather(*asked)]
    assert sorted(names) == ["some-course", "some-course-2"]


async def test_another_repository_of_the_same_name_is_numbered_or_refused(launcher):
    other = replace(REQUEST, repo=RepoRef("git", "https://example.com/some-course"))
    await launcher.prepare(REQUEST, print)
    assert (await launcher.prepare(other, print)).plan.name == "some-course-2"
    assert (await launcher.prepare(other, print)).plan.name == "some-course-2"
    with pytest.raises(BadRequest, match="another repository"):
        await launcher.prepare(replace(other, name="some-course"), print)
    eve = replace(other, person=Person("eve"))
    assert (await launcher.prepare(eve, print)).plan.name == "some-course"
    await launcher.plans.forget(REQUEST.person.name, "some-course")  # its server keeps its name
    assert (await launcher.prepare(other, print)).plan.name == "some-course-2"
    assert (await launcher.prepare(REQUEST, print)).plan.name == "some-course"


async def test_a_temporary_server_never_takes_a_kept_ones_name(launcher):
    temporary = replace(REQUEST, temporary=True)
    first = (await launcher.prepare(temporary, print)).plan
    second = (await launcher.prepare(temporary, print)).plan
    assert first.name != second.name
    assert first.name.startswith("some-course-")
    await launcher.prepare(REQUEST, print)
    with pytest.raises(BadRequest, match="kept"):
        await launcher.prepare(replace(temporary, name="some-course"), print)
