from __future__ import annotations

import re
from dataclasses import replace

import httpx2
import pytest

from support.browsing import NAVIGATION, PREFIX
from support.web_service import PLACE


async def test_a_person_signs_in_and_lands_where_they_wanted_to_go(browse):
    ada = browse()
    page = await ada.get("servers")
    assert page.status_code == 200
    assert page.url.path == f"{PREFIX}servers"
    assert "ada" in page.text
    assert "Admin" in page.text


async def test_who_is_no_administrator_sees_no_admin_page(browse, service):
    service.hub.signed_in = "bob"
    page = await browse().get("")
    assert "bob" in page.text
    assert "hub/admin" not in page.text


async def test_the_cookie_stays_below_our_own_path(browse):
    ada = browse()
    await ada.get("")
    cookies = {cookie.name: cookie for cookie in ada.http.cookies.jar}
    session = cookies["atoll-session"]
    assert session.path == PREFIX
    assert session.has_nonstandard_attr("HttpOnly")
    assert session.get_nonstandard_attr("SameSite").lower() == "lax"
    assert not any(name.startswith("atoll-state") for name in cookies)


async def test_a_sign_in_that_began_in_another_browser_is_refused(browse):
    eve, ada = browse(), browse()
    begun = await eve.http.get(f"{PREFIX}sign-in", headers=NAVIGATION)
    sent = await eve.http.get(begun.headers["location"])
    page = await ada.get(sent.headers["location"])
    assert page.status_code == 403
    assert "did not begin in this browser" in page.text


async def test_a_code_without_its_verifier_is_worth_nothing(browse, service):
    eve = browse()
    begun = await eve.http.get(f"{PREFIX}sign-in", headers=NAVIGATION)
    sent = await eve.http.get(begun.headers["location"])
    for code in service.hub.codes.values():
        code["challenge"] = "another"
    page = await eve.get(sent.headers["location"])
    assert page.status_code == 403
    assert "refused" in page.text


async def test_a_forged_or_stale_cookie_means_signing_in(browse):
    eve = browse()
    forged = replace(PLACE, secret="guess").signer("session").dumps(["", "t", "", ""])
    for value in ("", "x", forged):
        headers = {**NAVIGATION, "Cookie": f"atoll-session={value}"}
        answer = await eve.http.get(PREFIX, headers=headers)
        assert answer.status_code == 302
        assert "sign-in" in answer.headers["location"]


async def test_a_state_cookie_is_no_session(browse):
    eve = browse()
    state = PLACE.signer("state").dumps(["a", "b", "c", "d"])
    headers = {**NAVIGATION, "Cookie": f"atoll-session={state}"}
    answer = await eve.http.get(PREFIX, headers=headers)
    assert answer.status_code == 302


async def test_a_token_without_the_right_to_this_service_is_refused(browse, service):
    token_of = service.hub.token_of
    service.hub.token_of = lambda name: token_of(name, "access:services!service=other")
    page = await browse().get("")
    assert page.status_code == 403


async def test_signing_in_again_at_the_hub_ends_the_old_session(browse, service):
    ada = browse()
    await ada.get("")
    service.hub.signed_in = "bob"
    ada.http.cookies.set(
        "jupyterhub-session-id", "session-bob", domain="atoll.example.org", path="/"
    )
    for cookie in list(ada.http.cookies.jar):
        if cookie.name == "jupyterhub-session-id" and cookie.value == "session-ada":
            ada.http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    page = await ada.get("")
    assert "bob" in page.text


async def test_signing_out_forgets_the_session(browse):
    ada = browse()
    await ada.get("")
    page = await ada.post("sign-out")
    assert page.url.path == "/hub/logout"
    assert "atoll-session" not in {cookie.name for cookie in ada.http.cookies.jar}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_form_from_another_site_does_nothing(browse, service, headers):
    ada = browse()
    await ada.get("")
    answer = await ada.post("launches", headers=headers, repository="gh:ada/engine")
    assert answer.status_code == 403
    assert not service.store.launches.kept


async def test_a_form_without_its_token_does_nothing(browse, service):
    ada = browse()
    await ada.get("")
    for token in ("", "guess", "ü"):
        answer = await ada.post("launches", form_token=token, repository="gh:ada/engine")
        assert answer.status_code == 403
    assert not service.store.launches.kept


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
        {"Sec_Fetch_Mode": "same-origin", "Sec_Fetch_Dest": "empty"},
        {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
        {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    ],
)
async def test_a_script_cannot_read_a_page_and_its_form_token(browse, headers):
    ada = browse()
    await ada.get("")
    for path in ("", "servers", "v2/gh/ada/engine/main", "about", "nothing"):
        answer = await ada.get(path, **headers)
        assert answer.status_code in {403, 404}
        assert "form_token" not in answer.text


async def test_every_answer_has_the_headers_that_protect(browse):
    ada = browse()
    for path in ("", "servers", "nothing", "/versions", "/badge_logo.svg"):
        answer = await ada.get(path)
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


async def test_no_page_has_a_script_or_a_style_inside(browse):
    ada = browse()
    for path in ("", "servers", "about", "nothing"):
        text = (await ada.get(path)).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)


async def test_the_hub_being_away_is_said_and_nobody_is_signed_out(browse, service):
    ada = browse()
    await ada.get("")

    async def away(*_: object, **__: object):
        raise httpx2.ConnectError("away")

    service.site.hub.http._transport.handle_async_request = away
    page = await ada.get("servers")
    assert page.status_code == 502
    assert "JupyterHub does not answer" in page.text
    assert "atoll-session" in {cookie.name for cookie in ada.http.cookies.jar}


async def test_a_form_is_small(browse, service):
    ada = browse()
    await ada.get("")
    answer = await ada.post("launches", repository="x" * 70_000)
    assert answer.status_code == 413
    answer = await ada.http.post(
        f"{PREFIX}launches", content=aiter_of(b"repository=x"), headers=NAVIGATION
    )
    assert answer.status_code == 413
    assert not service.store.launches.kept


async def aiter_of(*parts: bytes):
    for part in parts:
        yield part
