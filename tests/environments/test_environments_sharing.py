from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atoll import errors
from atoll.environments import (
    REMEMBERED,
    Environment,
    Environments,
    EnvSpec,
    ShelvedEnvironment,
    ShelvedFailure,
)
from atoll.errors import BuildFailed, Cancelled

FAILED_AT = datetime(2026, 5, 3, 14, 5, tzinfo=UTC)
SPEC = EnvSpec("python", "p", (("requirements.txt", b"six\n"),))


class Builder:
    """Builds when told to go on; keeps count."""

    engine = "fake"

    def __init__(self):
        self.built = 0
        self.stopped = 0
        self.go = asyncio.Event()
        self.sick = set()
        self.error = None

    async def build(self, spec, tree, say):
        self.built += 1
        say("first line")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        say("last line")
        if self.error:
            raise self.error
        return Environment(spec.key, "fake", f"{spec.key}#{self.built}")

    async def healthy(self, handle):
        return handle not in self.sick

    @contextlib.asynccontextmanager
    async def lock(self, key):
        yield


class Shelf:
    def __init__(self):
        self.kept = {}
        self.failed = {}

    async def get(self, key, engine):
        return self.kept.get((key, engine))

    async def put(self, environment):
        self.kept[environment.key, environment.engine] = environment
        self.failed.pop((environment.key, environment.engine), None)

    async def failure(self, key, engine):
        return self.failed.get((key, engine))

    async def put_failure(self, key, engine, error):
        self.failed[key, engine] = ShelvedFailure(error, FAILED_AT)

    async def all(self):
        now = datetime.now(UTC)
        return [ShelvedEnvironment(one, now, now) for one in self.kept.values()]

    async def drop(self, key, engine):
        self.kept.pop((key, engine), None)


@pytest.fixture
def builder():
    return Builder()


@pytest.fixture
def environments(builder):
    return Environments(builder, Shelf(), grace=0.1)


def ask(environments, heard=None, **more):
    told = [] if heard is None else heard
    return asyncio.create_task(environments.ensure(SPEC, Path(), told.append, **more))


def lines(heard):
    return [event.message for event in heard]


async def test_fifty_askers_share_one_build_and_all_hear_all_of_it(environments, builder):
    logs = [[] for _ in range(50)]
    early = [ask(environments, log) for log in logs[:25]]
    await asyncio.sleep(0.05)
    late = [ask(environments, log) for log in logs[25:]]
    await asyncio.sleep(0.05)
    builder.go.set()
    made = await asyncio.gather(*early, *late)
    assert len(set(made)) == 1
    assert builder.built == 1
    told = ["first line", "last line"]
    assert all([line for line in lines(log) if "Building" not in line] == told for log in logs)


async def test_what_is_there_is_not_built(environments, builder):
    builder.go.set()
    first = await ask(environments)
    assert await ask(environments) == first
    assert builder.built == 1


async def test_what_has_become_sick_is_built_again(environments, builder):
    builder.go.set()
    first = await ask(environments)
    builder.sick.add(first.handle)
    assert (await ask(environments)).handle != first.handle


async def test_a_failure_is_remembered_until_somebody_asks_to_try_again(environments, builder):
    builder.go.set()
    builder.error = BuildFailed("no such package")
    for _ in range(2):
        with pytest.raises(BuildFailed, match="no such package"):
            await ask(environments)
    assert builder.built == 1
    builder.error = None
    assert await ask(environments, retry=True)
    assert await ask(environments)
    assert builder.built == 2


async def test_a_remembered_failure_says_since_when_and_how_to_try_again(environments, builder):
    builder.go.set()
    builder.error = BuildFailed("no such package", hint="Write another.", log="k")
    with pytest.raises(BuildFailed) as first:
        await ask(environments)
    assert first.value.hint == "Write another."
    heard = []
    with pytest.raises(BuildFailed, match="no such package") as second:
        await ask(environments, heard)
    assert second.value.hint == (
        "Write another. It failed on 3 May 2026 at 14:05 UTC, and was not tried again; "
        "--retry or “Try again” does that."
    )
    assert second.value.log == "k"
    assert lines(heard) == ["This build failed on 3 May 2026 at 14:05 UTC; it is not tried again"]


EVERY = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.AtollError)
]


@pytest.mark.parametrize("kind", [kind for kind in EVERY if not issubclass(kind, REMEMBERED)])
async def test_what_may_have_passed_is_not_held_against_the_specification(
    environments, builder, kind
):
    builder.go.set()
    builder.error = kind("the machine was out of order")
    with pytest.raises(kind):
        await ask(environments)
    builder.error = None
    assert await ask(environments)


def test_only_what_the_specification_is_to_blame_for_is_remembered():
    names = {kind.__name__ for kind in EVERY if issubclass(kind, REMEMBERED)}
    assert names == {"BadSpecification", "CannotBuildYet", "BuildFailed"}


async def test_one_who_leaves_does_not_stop_the_others_build(environments, builder):
    leaver, stayer = ask(environments), ask(environments)
    await asyncio.sleep(0.05)
    leaver.cancel()
    await asyncio.sleep(0.2)
    builder.go.set()
    assert await stayer
    assert builder.stopped == 0


async def test_a_build_stops_some_time_after_everybody_has_left(environments, builder):
    only = ask(environments)
    await asyncio.sleep(0.05)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    assert builder.stopped == 0
    await asyncio.sleep(0.3)
    assert builder.stopped == 1


async def test_whoever_comes_back_in_time_keeps_the_build(environments, builder):
    only = ask(environments)
    await asyncio.sleep(0.05)
    only.cancel()
    await asyncio.sleep(0.05)
    heard = []
    back = ask(environments, heard)
    await asyncio.sleep(0.2)
    builder.go.set()
    assert await back
    assert builder.built == 1
    assert "first line" in lines(heard)


async def test_a_stopped_build_is_not_remembered_as_a_failure(environments, builder):
    only = ask(environments)
    await asyncio.sleep(0.05)
    only.cancel()
    await asyncio.sleep(0.3)
    builder.go.set()
    assert await ask(environments)


async def test_closing_stops_what_is_being_built(environments, builder):
    waiting = ask(environments)
    async with environments.closing():
        await asyncio.sleep(0.05)
    with pytest.raises((Cancelled, asyncio.CancelledError)):
        await waiting
    assert builder.stopped == 1


def spec_of(name):
    return EnvSpec("python", "p", (("requirements.txt", name.encode()),))


async def test_who_waits_for_other_builds_sees_where_in_line_and_when_it_is_their_turn(builder):
    environments = Environments(builder, Shelf(), width=1)
    heard = []
    first = ask(environments)
    await asyncio.sleep(0.01)
    other = spec_of("other")
    second = asyncio.create_task(environments.ensure(other, Path(), heard.append))
    await asyncio.sleep(0.01)
    assert lines(heard)[-1].startswith("You are next in line. Other builds are under way")
    assert builder.built == 1
    builder.go.set()
    await asyncio.gather(first, second)
    said = [event.message for event in heard if not event.detail]
    assert said[-1] == f"Building environment {other.key}"


async def test_one_persons_builds_do_not_hold_up_the_next_persons(builder):
    environments = Environments(builder, Shelf(), width=1)
    order = []

    async def wait(name, whose):
        await environments.ensure(spec_of(name), Path(), lambda _: None, whose=whose)
        order.append(name)

    asked = [("a1", "ada"), ("a2", "ada"), ("a3", "ada"), ("b", "bob")]
    tasks = []
    for name, whose in asked:
        tasks.append(asyncio.create_task(wait(name, whose)))
        await asyncio.sleep(0.01)
    builder.go.set()
    await asyncio.gather(*tasks)
    assert order == ["a1", "b", "a2", "a3"]


async def test_a_rebuild_makes_anew_what_is_there_once_for_all_who_ask(environments, builder):
    builder.go.set()
    first = await ask(environments)
    builder.go.clear()
    asked = [ask(environments, rebuild=True) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert await environments.find(SPEC) == first  # whoever launches meanwhile need not wait
    builder.go.set()
    made = await asyncio.gather(*asked)
    assert set(made) == {await environments.find(SPEC)} != {first}
    assert builder.built == 2


async def test_a_rebuild_that_fails_leaves_what_was_there_and_is_not_held_against_it(
    environments, builder
):
    builder.go.set()
    first = await ask(environments)
    builder.error = BuildFailed("no such package", hint="Write another.")
    with pytest.raises(BuildFailed) as caught:
        await ask(environments, rebuild=True)
    assert caught.value.hint == "Write another. The environment of before is still there."
    assert await ask(environments) == first
    assert not environments.shelf.failed


async def test_a_rebuild_of_what_failed_or_never_was_there_is_a_build(environments, builder):
    builder.go.set()
    builder.error = BuildFailed("no such package")
    for _ in range(2):
        with pytest.raises(BuildFailed) as caught:
            await ask(environments, rebuild=True)
        assert "still there" not in caught.value.hint
    assert builder.built == 2
    with pytest.raises(BuildFailed, match="no such package"):
        await ask(environments)
    assert builder.built == 2
