"""Whoever asks a database may be cancelled at any moment; what they asked is finished first."""

from __future__ import annotations

import asyncio
import inspect
import random

import pytest

from atoll.stores.sql.whole import wholly
from support.browsing import PREFIX, running
from support.web_service import REPO, make_service

OTHER = "https://github.com/bob/engine"


class Part:
    """One that takes its time."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.done: list[str] = []

    async def put(self, what: str) -> str:
        await self.gate.wait()
        self.done.append(what)
        if what == "wrong":
            raise ValueError(what)
        return what


@pytest.mark.parametrize("what", ["right", "wrong"])
async def test_what_was_begun_is_finished_before_its_asker_is_cancelled(what):
    part = Part()
    wholly(part)
    asking = asyncio.create_task(part.put(what))
    for _ in range(3):
        await asyncio.sleep(0)
        asking.cancel("closing")
    part.gate.set()
    with pytest.raises(asyncio.CancelledError) as stop:
        await asking
    assert stop.value.args == ("closing",)
    assert part.done == [what]


async def test_what_goes_well_or_wrong_does_so_as_ever():
    part = Part()
    wholly(part)
    part.gate.set()
    assert await part.put("right") == "right"
    with pytest.raises(ValueError, match="wrong"):
        await part.put("wrong")


async def test_all_that_a_store_can_be_asked_is_asked_so(store):
    asked = [
        (part, name)
        for part in vars(store).values()
        for name, method in inspect.getmembers(part, inspect.iscoroutinefunction)
        if part is not store.database and not name.startswith("_")
    ]
    assert len(asked) > 30
    assert [name for part, name in asked if not hasattr(getattr(part, name), "__wrapped__")] == []


async def test_launches_that_are_cancelled_at_any_moment_leave_no_lock_behind(tmp_path):
    service = make_service(tmp_path, stored=True, access={"launches": 100})
    service.source.repositories[OTHER] = {"requirements.txt": b"six==1.17.0\n"}
    moment = random.Random(0)
    async with running(service) as browse, asyncio.timeout(25):
        ada = browse()
        await ada.get("")

        async def post(path, **fields):
            sent = {"form_token": ada.form_token, **fields}
            answer = await ada.http.post(f"{PREFIX}{path}", data=sent)
            return answer.headers["location"].rpartition("/")[2].partition("#")[0]

        for _ in range(12):
            begun = [post("launches", repository=one) for one in (REPO, OTHER)]
            launches = await asyncio.gather(*begun)
            await asyncio.sleep(moment.random() * 0.03)
            for launch in launches:
                await post(f"launches/{launch}/cancel")
        assert await service.site.atoll.store.launches.unfinished() == []
