from __future__ import annotations

from dataclasses import replace

import pytest

from atoll.environments import Environments
from atoll.errors import NotFound, Refused, TooLarge, Unreachable
from atoll.launching import Clock, Existing, Launcher, LaunchRequest
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.testing.engines import FakeBuilder
from atoll.testing.sources import FakeSource
from atoll.testing.stores import MemoryPlans, MemoryShelf

COURSE = RepoRef("git", "https://example.org/course")
ENV = RepoRef("git", "https://example.org/env")
REQUEST = LaunchRequest(Person("ada"), COURSE, environment=ENV)


@pytest.fixture
def source(tmp_path):
    course = {"requirements.txt": b"numpy", "start": b'exec "$@"', "intro.ipynb": b"{}"}
    return FakeSource(tmp_path, {COURSE.locator: course, ENV.locator: {"requirements.txt": b"six"}})


@pytest.fixture
def launcher(source):
    return Launcher(source, Environments(FakeBuilder(), MemoryShelf()), MemoryPlans(), "test")


async def notes(launcher, request=REQUEST) -> list[str]:
    told = []
    await launcher.prepare(request, told.append)
    return [event.message for event in told if event.note]


async def test_the_environment_is_the_ones_and_the_files_are_the_others(launcher, source):
    told, clock = [], Clock()
    prepared = await launcher.prepare(REQUEST, told.append, clock)
    plan = prepared.plan
    assert (plan.ref.repo, plan.environment_ref.repo) == (COURSE, ENV)
    assert plan.content.checkout == str(source.folder / plan.ref.version)
    assert plan.name == "course"
    assert plan.reference == "https://example.org/env + https://example.org/course"
    assert list(dict.fromkeys(event.phase for event in told)) == ["resolve", "fetch", "build"]
    phases = [event.phase for event in told]
    assert phases == sorted(phases, key=["resolve", "fetch", "build"].index)
    assert set(clock.seconds) == {"resolve", "fetch", "build"}


async def test_a_course_shares_the_environments_own_build_whatever_it_changes(launcher, source):
    alone = await launcher.prepare(replace(REQUEST, repo=ENV, environment=None), print)
    pair = await launcher.prepare(REQUEST, print)
    source.repositories[COURSE.locator] = {"requirements.txt": b"pandas", "intro.ipynb": b"{1}"}
    later = await launcher.prepare(replace(REQUEST, existing=Existing.UPDATE), print)
    assert alone.plan.environment == pair.plan.environment == later.plan.environment
    assert pair.plan.ref.version != later.plan.ref.version
    assert (pair.cached, later.cached) == (True, True)


@pytest.mark.parametrize(("broken", "part"), [(COURSE, "content"), (ENV, "environment")])
@pytest.mark.parametrize("kind", [NotFound, Refused, Unreachable, TooLarge])
async def test_an_error_says_which_of_the_two_it_is_about(launcher, source, broken, part, kind):
    source.errors[broken.locator] = kind("It is not there.", hint="Look again.")
    with pytest.raises(kind, match=f"^The {part}’s repository: It is not there.$") as caught:
        await launcher.prepare(REQUEST, print)
    assert caught.value.hint == "Look again."


async def test_the_contents_own_specification_decides_nothing_and_that_is_said(launcher):
    said = await notes(launcher)
    own = "the content’s own requirements.txt, start are not read."
    assert f"The environment is another repository’s; {own}" in said
    assert (await launcher.prepare(REQUEST, print)).plan.start == ""


async def test_the_start_script_is_the_environments(launcher, source):
    source.repositories[ENV.locator] = {"start": b'#!/bin/bash\nexport A=1\nexec "$@"\n'}
    plan = (await launcher.prepare(REQUEST, print)).plan
    assert plan.script == '#!/bin/bash\nexport A=1\nexec "$@"\n'
    assert plan.start == ""


@pytest.mark.parametrize(
    "script", [b"#!/usr/bin/env python3\n", b"\x7fELF\0", b"#!/bin/sh\n" + b"#" * 200_000]
)
async def test_a_start_script_that_cannot_be_run_so_is_said(launcher, source, script):
    source.repositories[ENV.locator] = {"requirements.txt": b"six", "start": script}
    assert "The environment’s start script is not run: it is no shell script." in (
        await notes(launcher)
    )
    assert (await launcher.prepare(REQUEST, print)).plan.script == ""


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"postBuild": b"#!/bin/bash\n"}, "postBuild made"),
        ({"requirements.txt": b"six\n-e .\n", "setup.py": b""}, "(-e)"),
        ({"requirements.txt": b"six\n--editable ./x\n"}, "(-e)"),
    ],
)
async def test_what_the_build_leaves_in_the_environments_folder_is_said_to_be_missing(
    launcher, source, files, said
):
    source.repositories[ENV.locator] = files
    assert any(said in note for note in await notes(launcher))
    alone = replace(REQUEST, repo=ENV, environment=None)
    assert not any(said in note for note in await notes(launcher, alone))
