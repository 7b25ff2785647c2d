"""Signing up, waiting, being approved, and then coming in: the real JupyterHub, a real browser."""

from __future__ import annotations

import pytest

from support.chromium import check_everywhere, chromium
from support.hub import Installation
from support.identity import Somebody

PASSWORD = "nobody guesses this one"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    sign_in = {"kind": "native", "admins": ["boss"]}
    one = Installation(tmp_path_factory.mktemp("native"), service="atoll.web", sign_in=sign_in)
    try:
        one.start()
        yield one
    finally:
        one.end()


@pytest.fixture
def somebody():
    with Somebody() as one:
        yield one


@pytest.fixture
def operator(hub):
    """The operator, signed in."""
    with Somebody() as one:
        assert ">admin<" in sign_in(one, hub, "admin", hub.places.secret("admin_password")).text
        yield one


def sign_in(somebody, hub, name, password=PASSWORD):
    somebody.get(hub.url(""))
    return somebody.send(username=name, password=password)


def sign_up(somebody, hub, name, password=PASSWORD, again=None):
    somebody.get(hub.url("hub/sign-up"))
    return somebody.send(username=name, password=password, again=again or password)


def decide(operator, hub, name, do):
    """Press the operator's button."""
    page = operator.get(hub.url("hub/approve"))
    xsrf = page.text.split('name="_xsrf" value="')[1].split('"')[0]
    headers = {"Sec-Fetch-Mode": "navigate"}
    return operator.http.post(
        hub.url("hub/approve"), data={"_xsrf": xsrf, "name": name, "do": do}, headers=headers
    )


def test_who_signs_up_waits_until_the_operator_approves_them(hub, somebody, operator):
    assert "Now wait" in sign_up(somebody, hub, "Ada").text
    page = sign_in(somebody, hub, "ada")
    assert page.status_code == 403
    assert "The operator has not approved you yet." in page.text
    assert "ada" not in {one["name"] for one in hub.api("GET", "users").json()}
    assert decide(operator, hub, "ada", "approve").status_code == 200
    assert ">ada<" in sign_in(somebody, hub, "ada").text
    assert not hub.api("GET", "users/ada").json()["admin"]
    decide(operator, hub, "ada", "remove")
    with Somebody() as again:
        assert "Invalid username or password" in sign_in(again, hub, "ada").text
        sign_up(again, hub, "ada")
    assert "Somebody of this name was here before" in operator.get(hub.url("hub/approve")).text


def test_an_administrators_name_is_worth_nothing_until_it_is_approved(hub, somebody, operator):
    assert "Now wait" in sign_up(somebody, hub, "boss").text
    assert sign_in(somebody, hub, "boss").status_code == 403
    assert "is taken already" in sign_up(somebody, hub, "admin").text
    assert "Invalid username or password" in sign_in(somebody, hub, "admin").text
    decide(operator, hub, "boss", "approve")
    assert ">boss<" in sign_in(somebody, hub, "boss").text
    assert hub.api("GET", "users/boss").json()["admin"]


@pytest.mark.parametrize(
    ("name", "password", "again", "said"),
    [
        ("visitor-1", PASSWORD, None, "names like that are Atoll"),
        ("<script>", PASSWORD, None, "&lt;script&gt;"),
        ("", PASSWORD, None, "You cannot be called"),
        ("carl", "short", None, "10 characters or more"),
        ("carl", "ü" * 37, None, "up to 72 bytes"),
        ("carl", "1234567890", None, "one of those that are tried first"),
        ("carl", PASSWORD, "another password", "The two passwords are not the same."),
    ],
)
def test_what_cannot_be_is_told_at_once(hub, somebody, name, password, again, said):
    page = sign_up(somebody, hub, name, password, again)
    assert page.status_code == 400
    assert said in page.text
    assert "<script>" not in page.text.split("<main")[1].split("</main>")[0]


def test_a_password_that_is_far_too_long_is_wrong_and_no_failure(hub, somebody, operator):
    sign_up(somebody, hub, "dora")
    decide(operator, hub, "dora", "approve")
    page = sign_in(somebody, hub, "dora", "x" * 5000)
    assert page.status_code == 403
    assert "Invalid username or password" in page.text


def test_guessing_is_stopped_for_a_minute(hub, somebody, operator):
    sign_up(somebody, hub, "emil")
    decide(operator, hub, "emil", "approve")
    for _ in range(10):
        assert sign_in(somebody, hub, "emil", "wrong password").status_code == 403
    page = sign_in(somebody, hub, "emil")
    assert page.status_code == 429
    assert "Too many wrong passwords. Wait a minute" in page.text


def test_nobody_but_an_administrator_approves_and_no_link_does(hub, somebody, operator):
    sign_up(somebody, hub, "fred")
    for do in ("approve", "remove"):
        asked = f"hub/approve?name=fred&do={do}"
        operator.get(hub.url(asked))  # as a link on another site would
        assert operator.http.post(hub.url(asked)).status_code == 403  # as a form there would
        assert "Approve people" not in somebody.get(hub.url(asked)).text
    assert "The operator has not approved you yet." in sign_in(somebody, hub, "fred").text
    sign_up(somebody, hub, "gina")
    decide(operator, hub, "gina", "approve")
    sign_in(somebody, hub, "gina")
    assert somebody.get(hub.url("hub/approve")).status_code == 403
    assert decide_blindly(somebody, hub) == 403
    for path in ("authorize/fred", "discard/gina", "signup", "change-password"):
        assert operator.get(hub.url(f"hub/{path}")).status_code == 404


def decide_blindly(somebody, hub):
    """Post as the operator's page would, by somebody who has no such page."""
    page = somebody.get(hub.url("hub/token"))
    xsrf = page.text.split('xsrf_token: "')[1].split('"')[0]
    data = {"_xsrf": xsrf, "name": "fred", "do": "approve"}
    headers = {"Sec-Fetch-Mode": "navigate"}
    return somebody.http.post(hub.url("hub/approve"), data=data, headers=headers).status_code


def test_the_pages_can_be_read_and_used_by_all(hub):
    with chromium() as browser:
        page = browser.new_page()
        page.goto(hub.url(""))
        check_everywhere(page, "native-sign-in")
        page.get_by_role("link", name="Sign up").click()
        check_everywhere(page, "native-sign-up")
        page.get_by_label("Name").fill("hugo")
        page.get_by_label("Password, of").fill(PASSWORD)
        page.get_by_label("The same").fill("another one than that")
        page.get_by_role("button", name="Sign up").click()
        page.get_by_text("The two passwords are not the same.").wait_for()
        page.get_by_label("Password, of").fill(PASSWORD)
        page.get_by_label("The same").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Now wait").wait_for()
        page.goto(hub.url("hub/approve"))
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password", exact=False).first.fill(hub.places.secret("admin_password"))
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("heading", name="Approve people").wait_for()
        check_everywhere(page, "native-approve")
        page.get_by_role("button", name="Approve hugo").click()
        page.get_by_role("button", name="Take back hugo").wait_for()
