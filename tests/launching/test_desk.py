"""Launches go on by themselves: watched early, late, twice or by nobody."""

import asyncio
from dataclasses import replace

import pytest

from atoll.environments import Environments
from atoll.errors import BadRequest, Busy, NotFound, StartFailed, Unreachable
from atoll.events import Event
from atoll.launching import Existing, Launcher, LaunchRequest
from atoll.launching.desk import Bounds, Desk, State
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.testing.engines import FakeBuilder, FakeRunner
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryLaunches, MemoryPlans, MemoryRecords, MemoryShelf

FILES = {"https://example.org/course": {"requirements.txt": b"six"}}
ADA = Person("ada")
REQUEST = LaunchRequest(ADA, RepoRef("git", "https://example.org/course"))


def so_many(most):
    async def servers(_):
        return most

    return servers


class Starter:
    """Starts when it is let; or fails."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.gate.set()
        self.error = None
        self.started = []
        self.running = []
        self.line = []
        self.abandoned = []
        self.halted = []
        self.halting = asyncio.Event()
        self.halting.set()

    async def start(self, plan, tell):
        for message in self.line:
            tell(Event("wait", message))
            await asyncio.sleep(0.1)
        await self.gate.wait()
        tell(Event("start", "It is your turn"))
        if self.error:
            raise self.error
        self.started.append(plan.id)
        return f"/user/{plan.owner.name}/{plan.name}/lab"

    async def up(self, owner):
        if isinstance(self.running, Exception):
            raise self.running
        return self.running

    async def halt(self, plan):
        await self.halting.wait()
        self.halted.append(plan.name)

    async def abandon(self, owner, name):
        self.abandoned.append((owner, name))


@pytest.fixture
def builder():
    return FakeBuilder()


@pytest.fixture
def desk(builder, tmp_path):
    launcher = Launcher(
        FakeSource(tmp_path, FILES), Environments(builder, MemoryShelf()), MemoryPlans(), "test"
    )
    return Desk(launcher, MemoryLaunches(), MemoryRecords(), Starter())


async def starting(desk, launch):
    """Wait until *launch* is being started, and return it as it is then."""
    while (now := await desk.get(launch.id, ADA)).state is not State.STARTING:
        await asyncio.sleep(0)
    return now


async def watch(desk, launch):
    return [event async for _, event in desk.story(launch).follow()]


async def test_a_launch_ends_ready_and_leaves_a_record(desk):
    launch = await desk.open(REQUEST, {"provider": "GitHub", "spec": "o/r/main"})
    events = await watch(desk, launch)
    assert events[-1].phase == "ready"
    done = await desk.get(launch.id, ADA)
    assert (done.state, done.url) == (State.READY, "/user/ada/course/lab")
    [record] = await desk.records.newest()
    assert (record.status, record.provider, record.spec) == ("success", "GitHub", "o/r/main")
    assert set(record.seconds) == {"resolve", "fetch", "build", "start"}
    event = record.binder_event()
    assert (event["version"], event["status"]) == (6, "success")
    assert event["timestamp"].endswith("00+00:00")


async def test_it_is_seen_whole_by_whoever_comes_late(desk):
    launch = await desk.open(REQUEST)
    early = await watch(desk, launch)
    assert await watch(desk, await desk.get(launch.id, ADA)) == early


async def test_nobody_elses_launch_is_there(desk):
    launch = await desk.open(REQUEST)
    with pytest.raises(NotFound):
        await desk.get(launch.id, Person("eve"))
    assert (await desk.get(launch.id, Person("boss", admin=True))).id == launch.id


async def test_a_failure_says_what_and_why_and_is_recorded(desk):
    desk.starter.error = StartFailed("No room.", hint="Stop a server.")
    launch = await desk.open(REQUEST)
    assert (await watch(desk, launch))[-1].message == "No room."
    done = await desk.get(launch.id, ADA)
    assert (done.state, done.hint, done.error_name) == (
        State.FAILED,
        "Stop a server.",
        "StartFailed",
    )
    assert (await desk.records.newest())[0].status == "failed"


async def test_a_bug_of_ours_is_told_without_its_insides(desk):
    desk.starter.error = RuntimeError("password=hunter2")
    launch = await desk.open(REQUEST)
    await watch(desk, launch)
    done = await desk.get(launch.id, ADA)
    assert done.state is State.FAILED
    assert "hunter2" not in done.error + done.hint


async def test_cancelling_ends_it(desk):
    desk.starter.gate.clear()
    launch = await desk.open(REQUEST)
    await desk.cancel(launch)
    assert (await desk.get(launch.id, ADA)).state is State.CANCELLED
    assert (await watch(desk, launch))[-1].phase == "failed"
    assert desk.starter.started == []


async def test_who_is_cancelled_while_it_starts_gives_up_the_place_and_before_has_none(desk):
    desk.starter.gate.clear()
    launch = await desk.open(REQUEST)
    await desk.cancel(launch)
    assert desk.starter.abandoned == []
    launch = await desk.open(REQUEST)
    await starting(desk, launch)
    await desk.cancel(launch)
    assert desk.starter.abandoned == [("ada", "course")]


async def test_a_place_that_another_launch_of_theirs_needs_is_not_given_up(desk):
    desk.starter.gate.clear()
    one, other = await desk.open(REQUEST), await desk.open(REQUEST)
    await starting(desk, one)
    await starting(desk, other)
    await desk.cancel(one)
    assert desk.starter.abandoned == []
    await desk.cancel(other)
    assert desk.starter.abandoned == [("ada", "course")]


async def test_standing_in_line_is_no_part_of_how_long_the_start_took(desk):
    desk.starter.line = ["2nd", "next"]
    await watch(desk, await desk.open(REQUEST))
    [record] = await desk.records.newest()
    assert 0.2 <= record.seconds["wait"] < 2
    assert 0 <= record.seconds["start"] < 0.1 + record.seconds["wait"]
    assert record.status == "success"


async def test_a_restart_does_not_put_anybody_in_line_twice(desk):
    desk.starter.gate.clear()
    launch = await desk.open(replace(REQUEST, temporary=True))
    name = (await starting(desk, launch)).name
    await desk.close()
    assert desk.starter.abandoned == []  # the hub still has it in line
    after = Desk(desk.launcher, desk.launches, desk.records, Starter())
    await after.resume()
    await watch(after, await after.get(launch.id, ADA))
    assert (await after.get(launch.id, ADA)).name == name


async def test_an_update_in_the_midst_of_which_the_service_restarts_is_done(desk):
    homes = FakeRunner(origins={("ada", "course"): "older"})
    desk.launcher = replace(desk.launcher, homes=homes)
    desk.starter.halting.clear()
    launch = await desk.open(replace(REQUEST, existing=Existing.UPDATE))
    await starting(desk, launch)
    await desk.close()
    assert desk.starter.halted == []
    after = Desk(desk.launcher, desk.launches, desk.records, Starter())
    await after.resume()
    await watch(after, await after.get(launch.id, ADA))
    done = await after.get(launch.id, ADA)
    assert (done.state, after.starter.halted) == (State.READY, ["course"])
    assert homes.origins["ada", "course"] == done.ref


async def test_a_restart_takes_up_what_was_not_finished(desk, builder):
    desk.starter.gate.clear()
    launch = await desk.open(REQUEST)
    await starting(desk, launch)
    await desk.close()
    after = Desk(desk.launcher, desk.launches, desk.records, Starter())
    assert [one.id for one in await after.resume()] == [launch.id]
    events = await watch(after, await after.get(launch.id, ADA))
    assert events[-1].phase == "ready"
    assert (await after.get(launch.id, ADA)).state is State.READY
    assert builder.built == 1


async def test_a_name_that_cannot_be_is_refused_before_anything_begins(desk):
    with pytest.raises(BadRequest):
        await desk.open(replace(REQUEST, name="No Name"))
    assert desk.launches.kept == {}


async def test_one_persons_launches_in_progress_are_bounded_and_nobody_elses(desk):
    desk.bounds = Bounds(launches=2)
    desk.starter.gate.clear()
    first, _ = [await desk.open(replace(REQUEST, name=f"n{n}")) for n in range(2)]
    with pytest.raises(Busy, match="You have 2 launches in progress") as caught:
        await desk.open(replace(REQUEST, name="n2"))
    assert "cancel one" in caught.value.hint
    assert len(desk.launches.kept) == 2  # what was refused leaves nothing behind
    await desk.open(replace(REQUEST, person=Person("bob")))
    await desk.cancel(first)
    await desk.open(replace(REQUEST, name="n2"))


async def test_many_that_come_in_one_breath_are_counted(desk):
    desk.bounds = Bounds(launches=3)
    desk.starter.gate.clear()
    asked = [desk.open(replace(REQUEST, name=f"n{n}")) for n in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(not isinstance(one, Busy) for one in answers) == 3


async def test_servers_that_run_and_those_on_their_way_are_bounded_administrators_too(desk):
    desk.bounds = Bounds(servers=so_many(3))
    desk.starter.gate.clear()
    desk.starter.running = ["old", "older"]
    boss = replace(REQUEST, person=Person("boss", admin=True))
    await desk.open(replace(boss, name="new"))
    for more in (replace(boss, name="newer"), replace(boss, temporary=True)):
        with pytest.raises(Busy, match="may have 3 running or starting") as caught:
            await desk.open(more)
        assert caught.value.hint == "Stop one that you do not need: old, older."
        assert caught.value.status == 429
    # One that runs, or is on its way, only has to be opened.
    for name in ("old", "new"):
        await desk.open(replace(boss, name=name))


async def test_temporary_ones_without_a_name_are_counted_each(desk):
    desk.bounds = Bounds(servers=so_many(2))
    desk.starter.gate.clear()
    for _ in range(2):
        await desk.open(replace(REQUEST, temporary=True))
    with pytest.raises(Busy):
        await desk.open(replace(REQUEST, temporary=True))


async def test_what_a_restart_took_up_again_is_counted(desk):
    desk.starter.gate.clear()
    await desk.open(REQUEST)
    await desk.close()
    after = Desk(desk.launcher, desk.launches, desk.records, Starter(), Bounds(launches=1))
    after.starter.gate.clear()
    await after.resume()
    with pytest.raises(Busy):
        await after.open(replace(REQUEST, name="more"))


async def test_a_hub_that_does_not_answer_for_a_moment_stops_no_launch(desk):
    desk.starter.running = Unreachable("JupyterHub does not answer.")
    launch = await desk.open(REQUEST)
    assert (await watch(desk, launch))[-1].phase == "ready"


async def test_visitors_are_not_counted_here(desk):
    desk.bounds = Bounds(launches=1, servers=so_many(1))
    desk.starter.gate.clear()
    visitor = replace(REQUEST, person=Person("visitor-1-2"), temporary=True)
    for _ in range(2):
        await desk.open(visitor)
