"""An operator sees pages as somebody else does, marked, recorded and told; and does nothing there."""

from __future__ import annotations

import pytest
from itsdangerous import TimestampSigner

from atoll.access import DOORS, SEEN_AS, By, Role
from atoll.errors import Unreachable
from atoll.web import disguise, sign_in
from support.browsing import PREFIX, running
from support.hub_stand_in import ACCESS
from support.web_service import REPO, make_service

MARK = "You can only look."


@pytest.fixture
def service(tmp_path):
    one = make_service(tmp_path, operator={"see_as": True, "see_as_for": "30m"})
    one.hub.add("boss", admin=True)
    one.hub.users["bob"]["groups"] = ["maths"]
    return one


@pytest.fixture
async def ada(service, browse):
    """Return the browser of ada, an operator, who has a server called lab."""
    browser = browse()
    await browser.events(await browser.launch(REPO, name="lab"))
    await browser.get("admin")
    return browser


async def test_pages_are_as_they_see_them_and_each_says_so(service, browse, ada):
    service.hub.run("bob", "thesis")
    page = await ada.post("admin/see-as", person="bob")
    assert str(page.url).endswith("/servers")
    for path in ("", "servers", "volumes", "about"):
        page = await ada.get(path)
        assert page.status_code == 200
        assert MARK in page.text
        assert ">bob</span>" in page.text
        assert ">Admin<" not in page.text
    page = await ada.post("see-as/end")
    assert MARK not in page.text
    assert "This hub now" in page.text
    assert ">ada</span>" in (await ada.get("servers")).text


async def test_what_is_seen_is_written_down_first_and_they_are_told(service, browse, ada):
    await ada.post("admin/see-as", person="bob")
    await ada.get("volumes")
    await ada.post("see-as/end")
    deeds = [(a.who, a.deed, a.what, dict(a.detail)) for a in service.store.acts.kept]
    assert deeds[-4:] == [
        ("ada", "see as", "bob", {}),
        ("ada", "look as", "bob", {"page": "servers"}),
        ("ada", "look as", "bob", {"page": "volumes"}),
        ("ada", "see as, ended", "bob", {}),
    ]
    service.hub.signed_in = "bob"
    bob = browse()
    assert "ada, an operator of this hub, looked at your pages" in (await bob.get("")).text
    # Who looked cannot take away that it is told.
    service.hub.signed_in = "ada"
    page = await ada.get("admin/messages")
    assert "looked at your pages" in page.text
    assert "Take back" not in page.text
    assert (await ada.post("admin/messages/end", number="1")).status_code == 404
    assert "looked at your pages" in (await bob.get("servers")).text
    await ada.post("admin/see-as", person="bob")
    service.store.acts.error = Unreachable("The database does not answer.")
    page = await ada.get("servers")
    assert page.status_code == 502
    service.store.acts.error = None
    await ada.post("see-as/end")
    service.store.acts.error = Unreachable("The database does not answer.")
    assert (await ada.post("admin/see-as", person="bob")).status_code == 502
    service.store.acts.error = None
    assert MARK not in (await ada.get("servers")).text


async def test_nothing_can_be_done_and_nothing_else_be_reached(service, ada):
    await ada.post("admin/see-as", person="bob")
    before = repr((service.hub.users, service.store.volumes.kept, service.store.launches.kept))
    wrong = []
    for row, door in DOORS.items():
        method, _, path = row.partition(" ")
        if row in SEEN_AS or door.by not in {By.SESSION, By.FORM} or method == "PUT":
            continue
        path = path.replace("{rest:path}", "gh/a/b").replace("{server}", "lab")
        path = path.replace("{launch}", next(iter(service.store.launches.kept)))
        path = path.replace("{owner}", "bob").replace("{deed}", "make")
        answer = await (ada.post(path, person="bob") if method == "POST" else ada.get(path))
        if answer.status_code != 403 or "can only look" not in answer.text:
            wrong.append(f"{row}: {answer.status_code}")
    assert wrong == []
    headers = {"X-Form-Token": ada.form_token, "Origin": "http://hub.example"}
    sent = await ada.http.put(f"{PREFIX}uploads/x.zip", content=b"x", headers=headers)
    assert sent.status_code == 403
    after = repr((service.hub.users, service.store.volumes.kept, service.store.launches.kept))
    assert after == before


def test_what_is_open_meanwhile_changes_nothing_but_by_the_ways_out():
    assert {row for row in SEEN_AS if not row.startswith("GET")} == {
        "POST see-as/end",
        "POST sign-out",
    }
    assert {*DOORS} >= SEEN_AS
    assert not any("{" in row for row in SEEN_AS)
    assert DOORS["POST admin/see-as"].to == {Role.OPERATOR}


@pytest.mark.parametrize(
    "who", ["boss", "ada", "visitor-x", "nobody-at-all", "", "../bob", "@maths"]
)
async def test_nobody_is_seen_as_who_is_an_operator_a_visitor_or_unknown(service, ada, who):
    service.hub.add("visitor-x")
    page = await ada.post("admin/see-as", person=who)
    assert page.status_code in {400, 403, 404}
    assert MARK not in (await ada.get("servers")).text
    assert service.store.messages.kept == {}


async def test_it_ends_when_its_time_is_over_and_old_forms_are_nobodys(service, ada, monkeypatch):
    await ada.post("admin/see-as", person="bob")
    await ada.get("servers")
    seen_token = ada.form_token
    now = TimestampSigner.get_timestamp
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: now(self) + 1801)
    page = await ada.http.post(
        f"{PREFIX}servers/lab/stop",
        data={"form_token": seen_token},
        headers={"Origin": "http://hub.example"},
    )
    assert page.status_code == 403
    assert not service.hub.users["ada"]["servers"]["lab"]["stopped"]
    page = await ada.get("servers")
    assert MARK not in page.text
    assert ">ada</span>" in page.text


async def test_who_becomes_an_operator_meanwhile_or_ceases_to_be_one_is_not_seen(
    service, ada, monkeypatch
):
    await ada.post("admin/see-as", person="bob")
    service.hub.users["bob"]["admin"] = True
    assert MARK not in (await ada.get("servers")).text
    service.hub.users["bob"]["admin"] = False
    assert MARK in (await ada.get("servers")).text
    service.hub.users["ada"]["admin"] = False
    for name in ("FRESH", "AGEING", "GOOD"):
        monkeypatch.setattr(sign_in, name, 0.0)
    assert MARK not in (await ada.get("servers")).text


async def test_the_cookie_is_of_no_use_to_anybody_else(service, browse, ada):
    await ada.post("admin/see-as", person="bob")
    stolen = ada.http.cookies.get(disguise.COOKIE)
    for who in ("bob", "boss", "ada"):
        service.hub.signed_in = who
        other = browse()
        await other.get("")
        other.http.cookies.set(disguise.COOKIE, stolen, path=PREFIX)
        assert MARK not in (await other.get("servers")).text
        forged = service.site.place.signer("session").dumps(["bob", who, other.form_token])
        other.http.cookies.set(disguise.COOKIE, forged, path=PREFIX)
        assert MARK not in (await other.get("servers")).text


async def test_it_is_off_unless_switched_on(tmp_path):
    service = make_service(tmp_path)
    async with running(service) as browse:
        ada = browse()
        assert "See as" not in (await ada.get("admin")).text
        page = await ada.post("admin/see-as", person="bob")
        assert page.status_code == 403
        assert "see_as = true" in page.text
        assert service.store.acts.kept == []


async def test_who_is_no_operator_sees_as_nobody(service, browse):
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.post("admin/see-as", person="bob")).status_code == 403
    assert MARK not in (await bob.get("servers")).text
    assert (await bob.post("see-as/end")).status_code == 200


@pytest.fixture
def ask(service, browse):
    """Ask as a program of *who*'s to see as *person*."""
    http = browse().http

    async def call(who, person, *scopes):
        token = service.hub.token_of(who, *(scopes or (ACCESS, "admin:servers")))
        headers = {"Authorization": f"Bearer {token}"}
        return await http.post(
            f"{PREFIX}api/admin/see-as", json={"person": person}, headers=headers
        )

    return call


async def test_a_program_gets_what_they_see_and_it_is_recorded_and_told_alike(
    service, browse, ada, ask
):
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.events(await bob.launch(REPO, name="thesis"))
    await bob.post("volumes/make", volume="data")
    seen = (await ask("ada", "bob")).json()
    assert [(one["name"], one["state"]) for one in seen["servers"]] == [("thesis", "running")]
    assert [one["volume"] for one in seen["volumes"]] == ["data"]
    assert (seen["person"], seen["shared"]) == ("bob", [])
    assert {"name": "per_person", "value": "10", "source": "everybody, atoll.toml"} in seen[
        "limits"
    ]
    headers = {"Authorization": f"Bearer {service.hub.token_of('bob')}"}
    for view in ("servers", "volumes", "shared"):
        own = await bob.http.get(f"{PREFIX}api/{view}", headers=headers)
        assert own.json() == seen[view]
    last = service.store.acts.kept[-1]
    assert (last.who, last.deed, last.what, last.way) == ("ada", "see as", "bob", "program")
    assert "ada, an operator of this hub, looked at your pages" in (await bob.get("")).text
    assert (await ada.post("admin/messages/end", number="1")).status_code == 404
    assert "Take back" not in (await ada.get("admin/messages")).text


@pytest.mark.parametrize(
    ("who", "person", "status"),
    [("bob", "bob", 403), ("ada", "boss", 403), ("ada", "nobody", 404), ("ada", "@maths", 400)],
)
async def test_a_program_sees_as_nobody_that_a_page_would_not(service, ask, who, person, status):
    assert (await ask(who, person)).status_code == status
    assert (await ask("ada", "bob", ACCESS)).status_code == 403  # a token that may little
    service.store.acts.error = Unreachable("The database does not answer.")
    assert (await ask("ada", "bob")).status_code == 502
    assert service.store.messages.kept == {}
