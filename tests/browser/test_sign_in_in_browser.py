"""Signing in by OpenID Connect: the real JupyterHub, a certified provider, a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.chromium import check_everywhere
from support.hub import Installation, free_port
from support.identity import Somebody, oidc_provider, secret_file

PEOPLE = {
    "1": {"preferred_username": "Ada", "groups": ["staff", "physics"]},
    "2": {"preferred_username": "bob", "groups": ["students"]},
    "3": {"preferred_username": "eve", "groups": ["strangers"]},
    "4": {"preferred_username": "root", "groups": ["operators", 7, "", "a\nb"]},
    "5": {"preferred_username": "visitor-5", "groups": ["students"]},
    "6": {"preferred_username": "<b>%s", "groups": ["students"]},
    "7": {"groups": ["students"]},
    "9": {"preferred_username": "BOB", "groups": ["students"]},
    "8": {"preferred_username": "ada lovelace@example.org", "groups": "students"},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub where people of an OpenID Connect provider sign in."""
    data, port = tmp_path_factory.mktemp("oidc"), free_port()
    callback = f"http://127.0.0.1:{port}/hub/oauth_callback"
    with oidc_provider([callback], PEOPLE) as issuer:
        sign_in = {
            "kind": "oidc",
            "issuer": f"{issuer}/",
            "client_id": "atoll",
            "client_secret_file": secret_file(data),
            "name": "Example University",
            "admin_groups": ["operators"],
            "people": ["ADA"],
            "groups": ["students"],
        }
        one = Installation(data, port=port, service="atoll.web", sign_in=sign_in)
        try:
            one.start()
            yield one
        finally:
            one.end()


@pytest.fixture
def somebody():
    with Somebody() as one:
        yield one


def sign_in(somebody, hub, who):
    """Sign in at the provider as *who*; return the page where that ends."""
    page = somebody.get(hub.url(""))
    assert "Sign in with Example University" in page.text
    somebody.follow("Sign in with")
    return somebody.send(who=who)


def known(hub, name):
    return hub.api("GET", f"users/{name}").raise_for_status().json()


def test_a_person_on_the_list_signs_in_and_brings_their_groups(somebody, hub):
    page = sign_in(somebody, hub, "1")
    assert page.url.path == "/services/atoll/"
    assert "Open a repository" in page.text
    assert ">ada<" in page.text
    ada = known(hub, "ada")
    assert set(ada["groups"]) == {"staff", "physics"}
    assert not ada["admin"]


def test_a_member_of_a_group_on_the_list_signs_in(somebody, hub):
    assert ">bob<" in sign_in(somebody, hub, "2").text


def test_a_member_of_the_admins_group_is_an_administrator_of_the_hub(somebody, hub):
    assert ">root<" in sign_in(somebody, hub, "4").text
    found = known(hub, "root")
    assert found["admin"]
    assert found["groups"] == ["operators"]  # what cannot be a group's name is left out


def test_who_is_not_listed_is_told_so_and_gets_nowhere(somebody, hub):
    page = sign_in(somebody, hub, "3")
    assert page.status_code == 403
    assert "Example University knows you, but nobody has let you in here." in page.text
    assert "eve" not in {one["name"] for one in hub.api("GET", "users").json()}
    assert "Sign in with Example University" in somebody.get(hub.url("")).text


@pytest.mark.parametrize(
    ("who", "status", "said"),
    [
        ("5", 403, "You cannot be called “visitor-5” here: names like that are Atoll"),
        ("6", 403, "You cannot be called “&lt;b&gt;%s” here: only letters"),
        ("7", 502, "did not say what you are called (no “preferred_username”)"),
    ],
)
def test_a_name_that_nobody_can_have_here_is_refused_with_the_reason(
    somebody, hub, who, status, said
):
    page = sign_in(somebody, hub, who)
    assert page.status_code == status
    assert said in page.text.replace("&#34;", '"')


def test_a_name_with_spaces_and_an_at_sign_is_held_everywhere(somebody, hub):
    page = sign_in(somebody, hub, "8")
    assert ">ada lovelace@example.org<" in page.text
    assert known(hub, "ada lovelace@example.org")["groups"] == ["students"]
    assert somebody.get(hub.url("services/atoll/servers")).status_code == 200


def test_a_name_stays_with_the_account_that_came_with_it_first(somebody, hub):
    assert ">bob<" in sign_in(somebody, hub, "2").text
    with Somebody() as namesake:
        page = sign_in(namesake, hub, "9")
        assert page.status_code == 403
        assert "“bob” is somebody else here" in page.text
        assert hub.api("DELETE", "users/bob").status_code == 204
        assert ">bob<" in sign_in(namesake, hub, "9").text
    assert hub.api("DELETE", "users/bob").status_code == 204


def test_who_has_signed_out_is_asked_again(somebody, hub):
    sign_in(somebody, hub, "2")
    assert ">bob<" in somebody.get(hub.url("services/atoll/")).text
    somebody.get(hub.url("hub/logout"))
    assert "Sign in with Example University" in somebody.get(hub.url("services/atoll/")).text


def test_who_cancels_at_the_provider_is_told_that_nothing_happened(somebody, hub):
    somebody.get(hub.url(""))
    somebody.follow("Sign in with")
    page = somebody.send(cancel="1")
    assert page.status_code == 400
    assert "Example University did not let you sign in (access_denied)." in page.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("error=access_denied&error_description=Call+0190+and+pay", 400),
        ("error=<script>&state=x", 400),
        ("error=%25s%25(x)d", 400),
        ("code=stolen&state=e30=", 400),
        ("code=stolen", 400),
        ("state=x", 400),
    ],
)
def test_a_forged_way_back_from_the_provider_signs_nobody_in(somebody, hub, query, status):
    page = somebody.get(hub.url(f"hub/oauth_callback?{query}"))
    assert page.status_code == status
    assert "0190" not in page.text
    assert "<script>&" not in page.text
    assert "Sign in with Example University" in somebody.get(hub.url("services/atoll/")).text


def test_where_to_go_afterwards_is_always_this_hub(somebody, hub):
    somebody.get(hub.url("hub/oauth_login?next=https://evil.example.org/x"))
    page = somebody.send(who="2")
    assert page.url.host == "127.0.0.1"


def test_the_secret_is_nowhere_to_be_read(hub):
    word = Path(hub.settings.sign_in.client_secret_file).read_text().strip()
    assert word not in hub.places.log.read_text()
    assert word not in hub.places.settings.read_text()
    assert word not in repr(hub.settings)
    for name in ("hub", "service", "proxy"):
        pid = hub.pid(name)
        for file in ("cmdline", "environ"):
            assert word.encode() not in Path(f"/proc/{pid}/{file}").read_bytes()


def sign_in_with(page, hub, who):
    page.goto(hub.url("services/atoll/servers"))
    page.get_by_role("link", name="Sign in with Example University").click()
    page.get_by_label("Who are you?").fill(who)
    page.get_by_role("button", name="Continue").click()


def test_a_person_signs_in_sees_their_name_and_signs_out(page, hub):
    sign_in_with(page, hub, "1")
    page.get_by_role("heading", name="My servers").wait_for()  # where they wanted to go
    page.get_by_text("ada", exact=True).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in with Example University").wait_for()
    page.goto(hub.url("services/atoll/servers"))
    page.get_by_role("link", name="Sign in with Example University").wait_for()
    assert not {"atoll-session", "jupyterhub-session-id"} & {
        cookie["name"] for cookie in page.context.cookies()
    }


def test_the_page_to_sign_in_can_be_read_and_used_by_all(page, hub):
    page.goto(hub.url("services/atoll/"))
    page.get_by_role("heading", name="Sign in", level=1).wait_for()
    check_everywhere(page, "sign-in-elsewhere")
    link = page.get_by_role("link", name="Sign in with Example University")
    link.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Example University").wait_for()


def test_who_is_not_listed_reads_why_and_what_to_do(page, hub):
    sign_in_with(page, hub, "3")
    page.get_by_role("heading", name="Not allowed").wait_for()
    page.get_by_text("nobody has let you in here").wait_for()
    check_everywhere(page, "sign-in-refused")
