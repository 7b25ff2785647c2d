"""Several ways to sign in, in a real browser: a directory, GitHub, and OpenID Connect."""

from __future__ import annotations

import pytest

from support.chromium import check_everywhere
from support.directories import BASE, slapd
from support.forges import Forge
from support.hub import Installation, free_port
from support.identity import oidc_provider, secret_file

PEOPLE = {"1": {"preferred_username": "ada", "groups": ["staff"]}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub where the certified provider sends people back to an address of its own."""
    data, port = tmp_path_factory.mktemp("several"), free_port()
    callback = f"http://127.0.0.1:{port}/hub/by_uni/oauth_callback"
    with (
        oidc_provider([callback], PEOPLE) as issuer,
        Forge({"ada": {"id": 1, "groups": []}}) as forge,
        slapd(tmp_path_factory.mktemp("slapd")) as directory,
    ):
        app = {
            "client_id": "atoll",
            "client_secret_file": secret_file(data),
            "everybody": True,
        }
        ways = [
            {**app, "kind": "oidc", "issuer": issuer, "name": "the University", "prefix": "uni-"},
            {**app, "kind": "github", "url": forge.url, "prefix": "gh-"},
            {
                "kind": "ldap",
                "name": "the Physics Department",
                "address": directory.plain,
                "user_dn": f"uid={{username}},ou=people,{BASE}",
                "everybody": True,
            },
        ]
        forge.who = "ada"
        one = Installation(data, port=port, service="atoll.web", sign_in=ways)
        try:
            one.start()
            yield one
        finally:
            one.end()


def test_each_way_is_a_button_or_the_form_and_leads_to_somebody_else(browser, hub):
    names = []
    for way in ("the University", "GitHub", ""):
        page = browser.new_context().new_page()
        page.goto(hub.url("services/atoll/volumes"))
        page.get_by_role("heading", name="Sign in", exact=True).wait_for()
        if not way:
            check_everywhere(page, "sign-in-several")
            page.get_by_label("Username").fill("ada")
            page.get_by_label("Password").fill("ada's word")
            page.keyboard.press("Enter")
        else:
            page.get_by_role("link", name=f"Sign in with {way}").press("Enter")
        if way == "the University":
            page.locator("[name=who]").fill("1")
            page.keyboard.press("Enter")
        page.get_by_role(
            "heading", name="Volumes", exact=True
        ).wait_for()  # where they wanted to go
        names.append(page.locator(".who .name").inner_text())
        page.context.close()
    assert names == ["uni-ada", "gh-ada", "ada"]
