from __future__ import annotations

import asyncio

import pytest

from atoll.errors import Unreachable
from atoll.people import Person
from atoll.web import sign_in
from atoll.web.sign_in import Faces

ADA = Person("ada")


class Hub:
    """Says whose a token is when the test lets it; counts how often it was asked."""

    def __init__(self):
        self.asked = 0
        self.words = asyncio.Queue()

    async def person_of(self, _site, _token):
        self.asked += 1
        word = await self.words.get()
        if isinstance(word, Exception):
            raise word
        return (word, None) if word else None


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setattr(sign_in, "person_of", hub.person_of)
    return hub


@pytest.fixture
def ageing(monkeypatch):
    """Every word is old enough at once to be asked for again, and good still."""
    monkeypatch.setattr(sign_in, "AGEING", 0.0)


async def known(hub, faces):
    hub.words.put_nowait(ADA)
    return await faces.vouched(None, "token")


async def test_who_is_known_is_not_asked_for(hub):
    faces = Faces()
    assert await known(hub, faces) == ADA
    assert await faces.vouched(None, "token") == ADA
    assert hub.asked == 1


async def test_all_pages_of_somebody_unknown_wait_for_one_answer(hub):
    faces = Faces()
    asking = [asyncio.create_task(faces.vouched(None, "token")) for _ in range(3)]
    await asyncio.sleep(0)
    hub.words.put_nowait(ADA)
    assert await asyncio.gather(*asking) == [ADA] * 3
    assert hub.asked == 1


async def test_who_comes_again_in_time_waits_for_nothing(hub, ageing):
    faces = Faces()
    await known(hub, faces)
    assert await faces.vouched(None, "token") == ADA  # the hub says nothing yet
    hub.words.put_nowait(Person("ada", admin=True))
    await asyncio.sleep(0.01)
    assert (await faces.vouched(None, "token")).admin


async def test_a_token_that_was_taken_back_is_found_out_meanwhile(hub, ageing):
    faces = Faces()
    await known(hub, faces)
    hub.words.put_nowait(None)
    await faces.vouched(None, "token")
    await asyncio.sleep(0.01)
    hub.words.put_nowait(None)
    assert await faces.vouched(None, "token") is None


async def test_a_hub_that_does_not_answer_takes_nobody_out_before_time(hub, ageing, monkeypatch):
    faces = Faces()
    await known(hub, faces)
    hub.words.put_nowait(Unreachable("JupyterHub does not answer."))
    await faces.vouched(None, "token")
    await asyncio.sleep(0.01)
    assert await faces.vouched(None, "token") == ADA
    await asyncio.sleep(0)
    monkeypatch.setattr(sign_in, "FRESH", 0.0)
    hub.words.put_nowait(Unreachable("JupyterHub does not answer."))
    with pytest.raises(Unreachable):
        await faces.vouched(None, "token")


async def test_an_old_word_will_do_while_the_hub_takes_long_and_not_where_it_answers(
    hub, ageing, monkeypatch
):
    faces = Faces()
    await known(hub, faces)
    monkeypatch.setattr(sign_in, "FRESH", 0.0)
    assert await faces.vouched(None, "token") == ADA  # it says nothing
    monkeypatch.setattr(sign_in, "GOOD", 0.0)
    asking = asyncio.create_task(faces.vouched(None, "token"))
    await asyncio.sleep(sign_in.QUICK * 2)
    assert not asking.done()  # too old by now
    hub.words.put_nowait(ADA)
    assert await asking == ADA
    monkeypatch.setattr(sign_in, "GOOD", 300.0)
    hub.words.put_nowait(None)
    assert await faces.vouched(None, "token") is None  # it said so at once


async def test_an_answer_on_its_way_does_not_bring_back_who_has_signed_out(hub, ageing):
    faces = Faces()
    await known(hub, faces)
    await faces.vouched(None, "token")
    faces.forget("token")
    hub.words.put_nowait(ADA)
    await asyncio.sleep(0.01)
    hub.words.put_nowait(None)
    assert await faces.vouched(None, "token") is None
