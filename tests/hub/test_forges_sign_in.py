"""Signing in by GitHub and by GitLab: the real JupyterHub, and their OAuth on loopback."""

from __future__ import annotations

import pytest

from atoll.web.hub_api import HubApi, hub_client
from support.forges import Forge
from support.hub import Installation
from support.identity import CLIENT, Somebody, secret_file

PEOPLE = {
    "Ada-L": {"id": 1, "groups": ["Example", "Example:Physics", "other", "other:x"]},
    "bob": {"id": 2, "groups": ["example:maths"]},
    "eve": {"id": 3, "groups": []},
    "op": {"id": 4, "groups": ["example/ops", "example:ops"]},
}
SETTINGS = {
    "github": {"groups": ["EXAMPLE:physics"], "admin_groups": ["example:ops"]},
    "gitlab": {"groups": ["Example"], "admin_groups": ["example/ops"]},
}


@pytest.fixture(scope="module", params=SETTINGS)
def hub(tmp_path_factory, request):
    """A hub where people of a forge sign in, and that forge."""
    data = tmp_path_factory.mktemp(request.param)
    with Forge(PEOPLE) as forge:
        sign_in = {
            "kind": request.param,
            "url": forge.url,
            "client_id": CLIENT["client_id"],
            "client_secret_file": secret_file(data),
            **SETTINGS[request.param],
        }
        one = Installation(data, service="atoll.web", sign_in=sign_in)
        try:
            one.start()
            yield one, forge
        finally:
            one.end()


def sign_in(somebody, hub, who):
    one, forge = hub
    forge.who = who
    somebody.get(one.url(""))
    return somebody.follow("Sign in with Git")


async def test_a_member_signs_in_with_every_group_on_every_page(hub):
    one, _ = hub
    with Somebody() as somebody:
        assert ">ada-l<" in sign_in(somebody, hub, "Ada-L").text
    groups = PEOPLE["Ada-L"]["groups"]
    if one.settings.sign_in.kind == "github":  # whose names have no upper case of their own
        groups = [group.lower() for group in groups]
    hub_api = HubApi(hub_client(one.places.hub_api, one.places.secret("service_token")))
    async with hub_api.http:
        assert (await hub_api.user("ada-l")).groups == frozenset(groups)  # as Atoll's service asks


def test_a_member_of_the_operators_is_an_administrator_until_they_are_not(hub):
    one, forge = hub
    for groups, admin in (PEOPLE["op"]["groups"], True), (["Example", "example:physics"], False):
        forge.people = {**PEOPLE, "op": {"id": 4, "groups": groups}}
        with Somebody() as somebody:
            assert ">op<" in sign_in(somebody, hub, "op").text
        assert one.api("GET", "users/op").json()["admin"] is admin
    forge.people = PEOPLE


@pytest.mark.parametrize("who", ["bob", "eve"])
def test_who_is_in_none_of_the_groups_stays_outside(hub, who):
    with Somebody() as somebody:
        page = sign_in(somebody, hub, who)
    assert page.status_code == 403
    assert "knows you, but nobody has let you in here." in page.text


def test_a_name_that_somebody_has_taken_over_opens_nothing(hub):
    _, forge = hub
    with Somebody() as somebody:
        assert sign_in(somebody, hub, "Ada-L").status_code == 200
    forge.people = {**PEOPLE, "Ada-L": {"id": 99, "groups": PEOPLE["Ada-L"]["groups"]}}
    with Somebody() as thief:
        page = sign_in(thief, hub, "Ada-L")
    forge.people = PEOPLE
    assert page.status_code == 403
    assert "“ada-l” is somebody else here" in page.text


def test_a_forge_that_breaks_in_the_middle_is_named(hub):
    _, forge = hub
    forge.broken = True
    with Somebody() as somebody:
        page = sign_in(somebody, hub, "Ada-L")
    forge.broken = False
    assert page.status_code == 502
    assert "does not answer. Try to sign in again" in page.text


def test_a_code_that_was_used_signs_nobody_in_again(hub):
    one, _ = hub
    with Somebody() as somebody:
        page = sign_in(somebody, hub, "Ada-L")
        steps = [str(step.url) for step in page.history]
        [back] = [url for url in steps if "/hub/oauth_callback?code=" in url]
        assert somebody.get(back).status_code == 400
    with Somebody() as thief:
        assert thief.get(back).status_code == 400
        assert "Sign in with" in thief.get(one.url("")).text
