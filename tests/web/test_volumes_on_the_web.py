"""The page of volumes, its forms, and the same for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atoll.access import Kind, Party, Share
from atoll.volumes import Volume
from support.browsing import PREFIX, running, until
from support.web_service import REPO, make_service

HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture
def ask(service, browse):
    """Return what asks as a program of *who*'s."""
    http = browse().http

    async def call(who, deed="", *, query="", **sent):
        headers = {"Authorization": f"Bearer {service.hub.token_of(who)}"}
        url = f"{PREFIX}api/volumes"
        if not deed:
            return await http.get(url + query, headers=headers)
        return await http.post(f"{url}/{deed}", json=sent, headers=headers)

    return call


async def test_a_volume_is_made_shared_and_taken_back_in_the_page(service, browse):
    ada = browse()
    page = await ada.get("volumes")
    assert "No volumes yet" in page.text
    page = await ada.post("volumes/make", volume="thesis", quota="5G", description=HOSTILE)
    assert "Volume thesis was made." in page.text
    assert HOSTILE not in page.text
    assert "&lt;script&gt;" in page.text
    page = await ada.post("volumes/share", volume="thesis", whom="@maths", write="yes")
    assert "@maths may change it" in page.text
    page = await ada.post("volumes/unshare", volume="thesis", whom="@maths")
    assert "@maths may" not in page.text
    page = await ada.post("volumes/snapshot", volume="thesis")
    assert "Snapshot" in page.text
    page = await ada.post("volumes/delete", volume="thesis")
    assert "Delete thesis for good" in page.text
    page = await ada.post("volumes/restore", volume="thesis")
    assert "was restored" in page.text
    await ada.post("volumes/delete", volume="thesis")
    await ada.post("volumes/delete", volume="thesis", now="yes")
    assert [one.origin != "" for one in service.store.volumes.kept.values()] == [True]


async def test_a_full_volume_and_its_users_are_shown(service, browse):
    ada = browse()
    await ada.get("volumes")
    await ada.post("volumes/make", volume="x", quota="1K")
    [volume] = service.store.volumes.kept
    service.engine.files.sizes[volume] = 2048
    service.engine.files.used.append((volume, "ada/engine"))
    page = await ada.get("volumes")
    for shown in (">Full<", "2K of 1K", "ada/engine"):
        assert shown in page.text


async def test_a_mistake_in_the_form_is_a_page_that_says_it(browse):
    ada = browse()
    await ada.get("volumes")
    for fields, said in (
        ({"volume": "Not a slug"}, "cannot be a volume"),
        ({"volume": "x", "quota": "much"}, "not a size"),
        ({"volume": "@maths/x"}, "may not make a volume"),
    ):
        page = await ada.post("volumes/make", **fields)
        assert page.status_code in {400, 403}
        assert said in page.text


async def test_forms_of_other_sites_and_old_pages_change_nothing(service, browse):
    ada = browse()
    await ada.get("volumes")
    await ada.post("volumes/make", volume="x")
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for more in ({"headers": foreign}, {"form_token": "guessed"}):
        answer = await ada.post("volumes/delete", volume="x", **more)
        assert answer.status_code == 403
    assert (await ada.http.get(f"{PREFIX}volumes/delete")).status_code == 405
    answer = await ada.get("volumes", Sec_Fetch_Dest="iframe")
    assert answer.status_code == 403
    assert [one.deleted for one in service.store.volumes.kept.values()] == [None]


async def test_the_address_of_a_page_puts_no_words_of_its_own_there(browse):
    page = await browse().get(f"volumes?done=make&volume={HOSTILE}")
    assert HOSTILE not in page.text
    page = await browse().get("volumes?done=Send+money&volume=x")
    assert "money" not in page.text


async def test_a_program_does_all_that_the_page_does(ask, service):
    made = await ask("ada", "make", volume="x", quota="5G", description="d")
    assert made.status_code == 200
    assert (made.json()["volume"], made.json()["quota"]) == ("x", 5 * 1024**3)
    assert (await ask("ada", "change", volume="x", quota=1024)).json()["description"] == "d"
    await ask("ada", "share", volume="x", whom="bob")
    [row] = (await ask("bob")).json()
    assert (row["volume"], row["may"], row["shares"]) == ("ada/x", ["see", "read"], [])
    assert row["bytes"] == 0
    for deed, sent in (
        ("share", {"whom": "carl"}),
        ("unshare", {"whom": "bob"}),
        ("change", {"quota": "1K"}),
        ("snapshot", {}),
        ("hand-over", {"whom": "bob"}),
        ("delete", {"now": True}),
        ("restore", {}),
    ):
        answer = await ask("bob", deed, volume="ada/x", **sent)
        assert answer.status_code == 403, deed
    assert (await ask("ada", "delete", volume="x")).json()["deleted"]
    assert (await ask("bob")).json() == []
    assert (await ask("ada", "restore", volume="x")).json()["deleted"] is None
    assert (await ask("ada", "hand-over", volume="x", whom="bob")).json()["volume"] == "bob/x"
    assert [one["volume"] for one in (await ask("ada", query="?all")).json()] == ["bob/x"]
    assert (await ask("ada", "snapshot", volume="bob/x")).status_code == 403  # an operator, too


async def test_what_a_program_sends_wrong_is_an_error_that_says_so(ask, browse, service):
    for deed, sent, status in (
        ("make", {}, 400),
        ("make", {"volume": 7}, 400),
        ("make", {"volume": ["x"]}, 400),
        ("make", {"volume": "x", "quota": "-1"}, 400),
        ("make", {"volume": "x", "quota": [1]}, 400),
        ("make", {"volume": "x", "quota": True}, 400),
        ("share", {"volume": "x", "whom": "bob"}, 404),
        ("delete", {"volume": "../../x"}, 404),
        ("mount", {"volume": "x"}, 404),
    ):
        answer = await ask("bob", deed, **sent)
        assert answer.status_code == status, (deed, sent, answer.text)
        assert answer.json()["error"]
    headers = {"Authorization": f"Bearer {service.hub.token_of('bob')}"}
    http = browse().http
    for body in (b"", b"[]", b"{", b"[" * 60_000, b'{"volume": "' + b"x" * 70_000 + b'"}'):
        answer = await http.post(f"{PREFIX}api/volumes/make", content=body, headers=headers)
        assert answer.status_code in {400, 413}
    assert service.store.volumes.kept == {}


async def test_a_program_without_a_token_that_counts_hears_nothing(browse, service):
    ada = browse()
    await ada.get("volumes")  # her cookie is there
    narrow = service.hub.token_of("ada", "self")  # as that of a server of hers
    for token in ("", "guessed", narrow, service.hub.token_of("other", kind="service")):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for answer in (
            await ada.http.get(f"{PREFIX}api/volumes", headers=headers),
            await ada.http.post(f"{PREFIX}api/volumes/make", json={"volume": "x"}, headers=headers),
        ):
            assert answer.status_code == 403
    assert service.store.volumes.kept == {}


async def test_the_service_removes_what_was_deleted_long_ago_by_itself(tmp_path):
    service = make_service(tmp_path)
    ages = {"old": timedelta(days=8), "new": timedelta(days=6)}
    for name, age in ages.items():
        service.store.volumes.kept[name] = Volume(
            *(name, Party(Kind.PERSON, "ada"), name, datetime.now(UTC)),
            deleted=datetime.now(UTC) - age,
        )
        service.engine.files.kept.append(name)
    async with running(service):
        await until(lambda: service.engine.files.kept == ["new"])
    assert list(service.store.volumes.kept) == ["new"]


async def test_visitors_have_no_volumes_and_are_asked_to_sign_in(tmp_path):
    service = make_service(tmp_path, access={"anonymous": True})
    async with running(service) as browse:
        visitor = browse()
        page = await visitor.get("")
        assert ">Volumes<" not in page.text
        answer = await visitor.http.get(
            f"{PREFIX}volumes", headers={"Accept": "text/html"}, follow_redirects=False
        )
        assert (answer.status_code, "sign-in" in answer.headers["location"]) == (302, True)
        assert (await visitor.post("volumes/make", volume="x")).status_code == 401
    assert service.store.volumes.kept == {}


async def test_a_form_mounts_them_and_a_link_that_asks_for_one_says_so_each_time(service, browse):
    ada = browse()
    await ada.get("volumes")
    await ada.post("volumes/make", volume="thesis")
    launch = await ada.launch(REPO, volumes="thesis:data:ro", trust="yes")
    await ada.events(launch)
    [plan] = [plan for plan, _ in service.store.plans.made.values()]
    assert [(one.name, one.point, one.writable) for one in plan.mounts] == [
        ("thesis", "data", False)
    ]
    page = await ada.get("/v2/gh/ada/engine/HEAD?volumes=thesis:notes")
    assert "<b>thesis</b> to read and write" in page.text
    assert "data-autostart" not in page.text
    # Nor is it taken out of a link that was pasted, where no field has said it.
    link = "http://atoll.example.org/v2/gh/ada/engine/HEAD"
    for asks in ("volumes=thesis:notes", "network=none"):
        page = await ada.post("launches", repository=f"{link}?{asks}")
        assert "<h1>Launch ada/engine?</h1>" in page.text
    page = await ada.post("launches", repository=f"{link}?cpus=1&network=none", network="none")
    assert page.url.path.startswith(f"{PREFIX}launches/")
    answer = await ada.post("launches", repository=REPO, volumes="bob/secret")
    assert answer.status_code == 200  # the launch says why, on its own page
    again = answer.url.path.rsplit("/", 1)[-1]
    await ada.events(again)
    assert "no volume “bob/secret”" in (await ada.get(f"launches/{again}")).text


async def test_the_launch_page_offers_what_somebody_may_read_and_nothing_else(service, browse):
    ada = browse()
    await ada.get("volumes")
    await ada.post("volumes/make", volume="thesis")
    await ada.post("volumes/make", volume="gone")
    await ada.post("volumes/delete", volume="gone")
    for name, shares in (("secret", ()), ("atlas", (Share(Party(Kind.PERSON, "ada")),))):
        grace = Party(Kind.PERSON, "grace")
        one = Volume(name, grace, name, datetime.now(UTC), HOSTILE, shares=shares)
        service.store.volumes.kept[name] = one
        service.engine.files.kept.append(name)
    found = (await ada.get("volumes/choices")).json()
    assert found == [
        {
            "volume": "thesis",
            "whole": "ada/thesis",
            "said": "thesis, yours, 0 bytes",
            "write": True,
        },
        {
            "volume": "grace/atlas",
            "whole": "grace/atlas",
            "said": "grace/atlas, of grace, 0 bytes",
            "write": False,
        },
    ]
    page = await ada.get("volumes")
    assert 'href="/services/atoll/?volumes=grace%2Fatlas%3Aro"' in page.text
    page = await ada.get("?volumes=grace%2Fatlas%3Aro")
    assert 'name="volumes" value="grace/atlas:ro"' in page.text
