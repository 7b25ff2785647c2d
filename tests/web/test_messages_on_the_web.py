"""What an operator writes is on the pages of whom it is for, as plain text, until it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atoll.errors import Unreachable
from atoll.messages import message_from
from atoll.testing.oversight import MemoryMessages
from atoll.web import messages
from support.browsing import PREFIX

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"
POWER = ("access:services!service=atoll", "admin:servers")


@pytest.fixture
def people(service, browse):
    """Open a browser for ada, an operator, and one for bob, of group maths."""
    service.hub.users["bob"]["groups"] = ["maths"]

    async def open_for(who, path=""):
        service.hub.signed_in = who
        browser = browse()
        await browser.get(path)
        return browser

    return open_for


async def test_it_is_on_every_page_of_whom_it_is_for_until_they_put_it_away(service, people):
    ada, bob = await people("ada", "admin/messages"), await people("bob")
    page = await ada.post("admin/messages", whom="@maths", text="Exam at six.", level="warning")
    assert "It is shown now." in page.text
    for path in ("", "servers", "volumes"):
        page = await bob.get(path)
        assert "Exam at six." in page.text
        assert 'role="alert"' in page.text
    assert "Exam at six." not in (await ada.get("servers")).text
    page = await bob.post("messages/dismiss", number="1", next=f"{PREFIX}servers?done=x")
    assert str(page.url).endswith("/servers?done=x")
    assert "Exam at six." not in (await bob.get("")).text
    assert "Exam at six." in (await ada.get("admin/messages")).text
    page = await ada.post("admin/messages/end", number="1")
    assert "Exam at six." not in page.text
    deeds = [(one.who, one.deed, one.what) for one in service.store.acts.kept]
    assert ("ada", "write a message", "@maths") in deeds
    assert ("ada", "take a message back", "1") in deeds


async def test_hostile_words_are_only_words(service, people):
    ada = await people("ada", "admin/messages")
    page = await ada.post("admin/messages", whom="@", text=HOSTILE)
    for text in (page.text, (await ada.get("servers")).text):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


async def test_who_it_is_not_for_neither_sees_it_nor_puts_it_away(service, people):
    bob = await people("bob")
    await service.store.messages.add(message_from("ada", "For ada alone.", "boss"))
    assert "For ada alone." not in (await bob.get("servers")).text
    assert (await bob.post("messages/dismiss", number="1")).status_code == 404
    assert (await bob.post("messages/dismiss", number="x")).status_code == 400
    assert service.store.messages.away == set()
    assert (await bob.post("admin/messages", whom="@", text="x")).status_code == 403
    assert (await bob.post("admin/messages/end", number="1")).status_code == 403
    assert (await bob.get("admin/messages")).status_code == 403
    assert len(service.store.messages.kept) == 1


async def test_putting_away_leads_nowhere_else(service, people):
    await service.store.messages.add(message_from("@", "x", "boss"))
    bob = await people("bob")
    for there in ("https://evil.example/", "//evil.example", f"{PREFIX}../x", ""):
        page = await bob.post("messages/dismiss", number="1", next=there)
        assert str(page.url).endswith(PREFIX)


async def test_an_end_comes_by_itself(service, browse):
    board = messages.Board(service.store.messages)
    now = datetime.now(UTC)
    await service.store.messages.add(message_from("@", "x", "boss", until="1h"))
    assert [one.text for one in await board.of(None)] == ["x"]
    board._live = [message_from("@", "x", "b", until="1s", now=now - timedelta(seconds=2))]
    assert await board.of(None) == []


async def test_visitors_see_what_is_for_everybody(public):
    service, browse = public
    await service.store.messages.add(message_from("@", "Down at six.", "boss"))
    await service.store.messages.add(message_from("ada", "For ada.", "boss"))
    page = await browse().get("")
    assert "Down at six." in page.text
    assert "For ada." not in page.text
    assert "Put away" not in page.text


async def test_programs_write_them_too(service, browse):
    http = browse().http
    token = service.hub.token_of("ada", *POWER)

    async def ask(address, sent, token=token):
        headers = {"Authorization": f"Bearer {token}"}
        return await http.post(f"{PREFIX}api/admin/{address}", json=sent, headers=headers)

    made = (
        await ask("messages", {"whom": "bob/lab", "text": "It eats all.", "until": "1h"})
    ).json()
    assert (made["whom"], made["server"], made["by"]) == ("bob", "bob/lab", "ada")
    headers = {"Authorization": f"Bearer {token}"}
    rows = (await http.get(f"{PREFIX}api/admin/messages", headers=headers)).json()
    assert rows == [made]
    for sent in ({"whom": "@"}, {"whom": 1, "text": "x"}, {"whom": "@", "text": "x", "level": 3}):
        assert (await ask("messages", sent)).status_code == 400
    narrow = service.hub.token_of("ada", POWER[0])
    assert (await ask("messages", {"whom": "@", "text": "x"}, narrow)).status_code == 403
    assert (await ask("messages/end", {"number": made["number"]})).status_code == 200
    assert (await ask("messages/end", {"number": made["number"]})).status_code == 404
    for number in (-1, "", None, 10**30, [1], "١"):
        assert (await ask("messages/end", {"number": number})).status_code == 400


async def test_what_cannot_be_written_down_is_not_said(service, people):
    ada = await people("ada", "admin/messages")
    service.store.acts.error = Unreachable("The database does not answer.")
    assert (await ada.post("admin/messages", whom="@", text="x")).status_code == 502
    assert service.store.messages.kept == {}


async def test_pages_are_there_while_messages_cannot_be_looked_up(people, monkeypatch):
    ada = await people("ada")

    async def gone(*_):
        raise Unreachable("The database does not answer.")

    monkeypatch.setattr(MemoryMessages, "live", gone)
    monkeypatch.setattr(messages, "FRESH", 0.0)
    assert (await ada.get("servers")).status_code == 200


async def test_an_old_tab_takes_back_no_other_message_of_the_same_number(service, people):
    ada = await people("ada", "admin/messages")
    seen = await service.store.messages.add(message_from("bob", "For bob.", "eve"))
    service.store.messages.kept.clear()  # with bob
    now = seen.at + timedelta(minutes=1)
    await service.store.messages.add(message_from("@", "For all.", "eve", now=now))
    page = await ada.post("admin/messages/end", number="1", at=seen.at.isoformat("T", "seconds"))
    assert page.status_code == 409
    assert "is another by now" in page.text
    assert "For all." in (await ada.get("admin/messages")).text
    page = await ada.post("admin/messages/end", number="1", at=now.isoformat("T", "seconds"))
    assert "It is shown no more." in page.text
    page = await ada.post("admin/messages/end", number="1", at="")
    assert page.status_code == 404


async def test_what_is_written_while_the_board_is_read_is_on_the_next_page(service):
    class Slow(MemoryMessages):
        async def live(self, now):
            found = await super().live(now)
            if not self.kept:
                await self.add(message_from("@", "x", "boss"))
                board.changed()
            return found

    board = messages.Board(Slow())
    assert await board.of(None) == []
    assert [one.text for one in await board.of(None)] == ["x"]
