"""What becomes of a server that somebody has already: nothing, unless they say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atoll.access import party
from atoll.environments import Environments
from atoll.errors import BadRequest
from atoll.launching import Existing, Launcher, LaunchRequest
from atoll.launching.changes import Changed
from atoll.launching.company import Guest, Invited
from atoll.launching.existing import answered, find
from atoll.launching.naming import beside
from atoll.launching.requests import existing_of
from atoll.people import Person
from atoll.servers import Ends, Limits
from atoll.sources import RepoRef
from atoll.testing.engines import FakeBuilder, FakeRunner
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryPlans, MemoryShelf
from atoll.volumes.renewal import MORE

GIB = 1024**3
REPO = RepoRef("git", "https://example.org/course")
ASKED = LaunchRequest(Person("ada"), REPO, wished=frozenset())
MORE_MEMORY = replace(ASKED, limits=Limits(memory=4 * GIB), wished=frozenset({"memory"}))


@pytest.fixture
def files():
    return {"requirements.txt": b"six==1.16.0\n"}


@pytest.fixture
def builder():
    return FakeBuilder()


@pytest.fixture
def launcher(tmp_path, files, builder):
    source = FakeSource(tmp_path, {REPO.locator: files})
    environments = Environments(builder, MemoryShelf())
    return Launcher(source, environments, MemoryPlans(), "test", homes=FakeRunner())


async def launched(launcher, request):
    """Return the plan that *request* leads to, and the notes that its person is told."""
    told = []
    prepared = await launcher.prepare(request, told.append)
    return prepared.plan, [event.message for event in told if event.note]


async def test_it_is_opened_as_it_is_where_nobody_says_otherwise_and_that_is_said(
    launcher, files, builder
):
    before, _ = await launched(launcher, ASKED)
    files["requirements.txt"] = b"six==1.17.0\n"
    asked = replace(MORE_MEMORY, name="course", title="Mine", ends=Ends(3600))
    asked = replace(asked, opening="lab/tree/a.ipynb")
    asked = replace(asked, wished=frozenset({"memory", "title", "lifetime"}))
    plan, notes = await launched(launcher, asked)
    said = "\n".join(notes)
    assert "Your server course is there already, and is opened as it is" in said
    assert "Memory 2G → 4G" in said
    assert "Environment" in said
    assert "Title" not in said  # that is done
    assert replace(plan, id="", opening="", title="", ends=before.ends) == replace(
        before, id="", opening=""
    )
    assert (plan.opening, plan.title, plan.ends.lifetime) == ("lab/tree/a.ipynb", "Mine", 3600)
    assert builder.built == 1


async def test_as_it_is_it_gets_its_environment_again_if_that_is_gone(launcher, files, builder):
    before, _ = await launched(launcher, ASKED)
    builder.ill.add(before.environment.handle)
    files["requirements.txt"] = b"six==1.17.0\n"
    plan, _ = await launched(launcher, MORE_MEMORY)
    assert plan.limits == before.limits
    assert builder.built == 2


async def test_what_is_the_same_is_not_talked_about(launcher):
    await launched(launcher, MORE_MEMORY)
    assert (await launched(launcher, ASKED))[1] == []


async def test_an_update_is_what_is_asked_for_and_a_new_one_stands_beside(launcher, files):
    await launched(launcher, replace(ASKED, title="Mine"))
    files["requirements.txt"] = b"six==1.17.0\n"
    new = await beside(launcher.plans, replace(MORE_MEMORY, title="Mine", existing=Existing.NEW))
    plan, notes = await launched(launcher, new)
    assert (plan.name, plan.title, plan.limits.memory, notes) == ("mine-2", "Mine 2", 4 * GIB, [])
    named = replace(MORE_MEMORY, name="mine", existing=Existing.UPDATE)
    plan, notes = await launched(launcher, named)
    assert (plan.name, plan.title, plan.limits.memory, notes) == ("mine", "Mine", 4 * GIB, [])


async def test_where_there_is_none_a_new_one_has_no_number(launcher):
    new = await beside(launcher.plans, replace(ASKED, existing=Existing.NEW))
    assert (await launched(launcher, new))[0].name == "course"


async def test_what_counts_is_what_runs_and_not_an_update_that_never_came(launcher, files):
    before, _ = await launched(launcher, ASKED)
    launcher.homes.started.append(before)
    files["requirements.txt"] = b"six==1.17.0\n"
    update = replace(ASKED, existing=Existing.UPDATE)
    first = await launcher.prepare(update, print)
    again = await launcher.prepare(update, print)  # the first was stopped half-way
    assert not first.only_files
    assert not again.only_files  # so that it is stopped to be updated
    with pytest.raises(Changed):
        await launcher.prepare(replace(ASKED, existing=Existing.ASK), print)
    launcher.homes.started[:] = [again.plan]
    assert (await launcher.prepare(update, print)).only_files


async def test_a_temporary_server_that_stopped_is_none(launcher):
    plan, _ = await launched(launcher, replace(ASKED, name="course", temporary=True))
    assert await find(launcher.plans, launcher.homes, "ada", "course") is None
    launcher.homes.started.append(plan)
    assert await find(launcher.plans, launcher.homes, "ada", "course") == plan


async def test_what_a_script_will_make_is_said_to_come(launcher, files):
    await launched(launcher, ASKED)
    files |= {"postBuild": b"#!/bin/sh\necho > made\n"}
    with pytest.raises(Changed) as caught:
        await launcher.prepare(replace(ASKED, existing=Existing.ASK), print)
    assert MORE in list(caught.value.renewal.said())


def test_who_has_it_opened_as_it_is_lets_nobody_in():
    guest = Invited((Guest(party("bob")),), visitors=True)
    asked = replace(MORE_MEMORY, invited=guest, title="Ours", existing=Existing.ASK)
    left = answered(asked, Existing.LEAVE)
    assert (left.invited.anybody, left.title, left.wished) == (False, "", frozenset())
    assert answered(asked, Existing.UPDATE) == replace(asked, existing=Existing.UPDATE)


def test_only_what_can_be_done_is_taken_for_an_answer():
    assert existing_of("", Existing.ASK) is Existing.ASK
    assert existing_of("new", Existing.ASK) is Existing.NEW
    with pytest.raises(BadRequest, match="destroy"):
        existing_of("destroy", Existing.ASK)
