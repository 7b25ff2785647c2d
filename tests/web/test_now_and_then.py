"""What the service does now and then goes on whatever happens, and ends with it."""

from __future__ import annotations

import asyncio

from atoll.errors import Unreachable
from atoll.web.now_and_then import now_and_then


async def test_a_look_that_fails_does_not_keep_the_next_one(caplog):
    failures = [Unreachable("It is away."), ValueError("a bug"), None]
    seen = asyncio.Event()

    async def look():
        if failures:
            if error := failures.pop(0):
                raise error
            seen.set()

    async with now_and_then("look round", look, 0):
        await seen.wait()
        before = asyncio.all_tasks()
    assert {one.get_name() for one in before - asyncio.all_tasks()} == {"look round"}
    assert [(one.levelname, bool(one.exc_info)) for one in caplog.records] == [
        ("WARNING", False),
        ("ERROR", True),
    ]
    assert all("could not look round" in one.message for one in caplog.records)


async def test_it_ends_while_it_waits():
    async def look():
        raise AssertionError

    async with now_and_then("look round", look, 3600, wait=3600):
        await asyncio.sleep(0)
