"""No more fetches run at once than the operator wants, and whoever waits is told."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from atoll.providers.git import open_source
from atoll.providers.slots import Slots
from atoll.settings import settings_from
from atoll.sources.parsing import parse
from support.gitservers import make_repo


class Fetch:
    """Something that takes a slot until it is let go."""

    def __init__(self, slots):
        self.told, self.runs, self.go = [], False, asyncio.Event()
        self.task = asyncio.create_task(self.run(slots))

    async def run(self, slots):
        async with slots.slot(lambda event: self.told.append(event.message)):
            self.runs = True
            await self.go.wait()

    async def end(self, *, cancel=False):
        self.task.cancel() if cancel else self.go.set()
        with suppress(asyncio.CancelledError):
            await self.task
        await asyncio.sleep(0.01)


@pytest.fixture
async def fetches():
    slots = Slots(2)
    fetches = [Fetch(slots) for _ in range(5)]
    await asyncio.sleep(0.01)
    yield fetches
    for one in fetches:
        await one.end()


async def test_so_many_run_and_the_rest_are_told_how_many_come_first(fetches):
    assert [one.runs for one in fetches] == [True, True, False, False, False]
    assert fetches[1].told == []
    assert fetches[4].told == ["Waiting: 4 fetches run before this one"]


async def test_they_run_in_the_order_in_which_they_came(fetches):
    await fetches[1].end()
    assert [one.runs for one in fetches] == [True, True, True, False, False]
    assert fetches[4].told[-1] == "Waiting: 3 fetches run before this one"


async def test_one_that_is_cancelled_makes_room_whether_it_ran_or_waited(fetches):
    await fetches[3].end(cancel=True)
    assert fetches[4].told[-1] == "Waiting: 3 fetches run before this one"
    await fetches[0].end(cancel=True)
    assert fetches[2].runs
    assert not fetches[4].runs
    await fetches[1].end()
    assert fetches[4].runs


async def test_repositories_are_fetched_one_after_the_other_and_each_says_so(
    remote, base, make_source
):
    for name in ("a", "b", "c"):
        make_repo(remote / name, {"x": name})
    source, told = make_source(at_once=1), []
    await asyncio.gather(
        *(
            source.resolve(parse(f"{base}/{name}").repo, lambda event: told.append(event.message))
            for name in ("a", "b", "c")
        )
    )
    assert "Waiting: 2 fetches run before this one" in told
    again = []  # what is there already waits for nobody
    await source.resolve(parse(f"{base}/a").repo, lambda event: again.append(event.message))
    assert not [one for one in again if one.startswith("Waiting")]


def test_the_operator_says_how_many(tmp_path):
    settings = settings_from({"data": str(tmp_path), "sources": {"at_once": 3}})
    assert open_source(settings, trusted=False).mirrors.slots.width == 3
