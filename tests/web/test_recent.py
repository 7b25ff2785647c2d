import asyncio

import pytest

from atoll.errors import Unreachable
from atoll.web import recent
from atoll.web.recent import Recent


class Slow:
    """Answers 1, 2, 3 …, each when it is let go; counts how often it was asked."""

    def __init__(self):
        self.asked = 0
        self.go = asyncio.Event()

    async def __call__(self):
        self.asked += 1
        mine = self.asked
        await self.go.wait()
        return mine


async def quick():
    return 0


async def test_who_asks_first_waits_and_all_who_ask_meanwhile_share_the_answer():
    known, slow = Recent(), Slow()
    asking = [asyncio.create_task(known.get("ada", slow)) for _ in range(5)]
    await asyncio.sleep(recent.QUICK * 2)
    assert not any(one.done() for one in asking)
    slow.go.set()
    assert [(one.said, one.late) for one in await asyncio.gather(*asking)] == [(1, False)] * 5
    assert slow.asked == 1


async def test_what_was_said_just_before_will_do_while_the_answer_takes_long():
    known, slow = Recent(), Slow()
    await known.get("ada", quick)
    answer = await known.get("ada", slow)
    assert (answer.said, answer.late) == (0, True)
    slow.go.set()
    await asyncio.sleep(0.01)
    answer = await known.get("ada", Slow())
    assert (answer.said, answer.late) == (1, True)  # the late word has come meanwhile


async def test_who_took_long_to_answer_is_left_in_peace_for_a_while(monkeypatch):
    known, slow = Recent(), Slow()
    asking = asyncio.create_task(known.get("ada", slow))
    await asyncio.sleep(recent.QUICK * 2)
    slow.go.set()
    assert (await asking).said == 1
    answer = await known.get("ada", slow)
    assert (answer.said, answer.late, slow.asked) == (1, True, 1)
    assert (await known.get("bob", slow)).said == 2  # of whom nothing was said yet
    known.forget("ada")
    assert (await known.get("ada", slow)).said == 3  # after a change it is asked for at once
    monkeypatch.setattr(recent, "REST", 0)
    assert (await known.get("ada", slow)).said == 4  # as it is in the end


async def test_an_old_word_is_not_believed(monkeypatch):
    known, slow = Recent(), Slow()
    await known.get("ada", quick)
    monkeypatch.setattr(recent, "BELIEVED", 0.0)
    asking = asyncio.create_task(known.get("ada", slow))
    await asyncio.sleep(recent.QUICK * 2)
    assert not asking.done()
    slow.go.set()
    assert (await asking).said == 1


async def test_after_a_change_neither_an_old_word_is_believed_nor_one_on_its_way():
    known, before = Recent(), Slow()
    await known.get("ada", quick)
    assert (await known.get("ada", before)).late  # asked before the change
    known.forget("ada")
    before.go.set()
    await asyncio.sleep(0.01)
    after = Slow()
    asking = asyncio.create_task(known.get("ada", after))
    await asyncio.sleep(recent.QUICK * 2)
    assert not asking.done()
    after.go.set()
    assert not (await asking).late


async def test_nobody_hears_of_somebody_else_and_who_leaves_takes_nobody_along():
    known, slow = Recent(), Slow()
    await known.get("ada", quick)
    leaving = asyncio.create_task(known.get("bob", slow))
    staying = asyncio.create_task(known.get("bob", slow))
    await asyncio.sleep(recent.QUICK * 2)
    leaving.cancel()
    slow.go.set()
    assert (await staying).said == 1


async def test_a_failure_is_told_to_who_waits_and_asked_again_after():
    async def fail():
        raise Unreachable("The hub does not answer.")

    known = Recent()
    with pytest.raises(Unreachable):
        await known.get("ada", fail)
    assert (await known.get("ada", quick)).said == 0
