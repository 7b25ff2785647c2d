"""From a course to a hub, by LTI 1.3: the real JupyterHub, and a small real platform."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support.hub import Installation, free_port
from support.identity import Somebody
from support.learning import CLAIM, CLIENT, TEACHER, Platform

PEOPLE = {
    "1": {"sub": "u-1", "email": "Ada@Example.org"},
    "2": {"sub": "u-2", "email": "tom@example.org", CLAIM + "roles": [TEACHER]},
    "3": {"sub": "u-3", "email": "ada@example.org"},
    "4": {"sub": "u-4", "email": "visitor-x"},
    "5": {"email": "nobody@example.org"},
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The hub and the platform whose people come to it."""
    port = free_port()
    callback = f"http://127.0.0.1:{port}/hub/lti13/oauth_callback"
    with Platform(callback, PEOPLE) as platform:
        table = {
            "kind": "lti",
            "issuer": platform.url,
            "client_id": CLIENT,
            "login_url": f"{platform.url}/login",
            "keys_url": f"{platform.url}/keys",
            "deployments": ["1"],
            "groups": ["STAT-1"],
            "admins": ["tom@example.org"],
        }
        data = tmp_path_factory.mktemp("lti")
        one = Installation(data, service="atoll.web", sign_in=table, port=port)
        try:
            one.start()
            yield one, platform
        finally:
            one.end()


@pytest.fixture
def hub(both):
    return both[0]


@pytest.fixture
def platform(both):
    both[1].said, both[1].signs, both[1].broken = {}, both[1].key, False
    return both[1]


@pytest.fixture
def somebody():
    with Somebody() as one:
        yield one


def begin(somebody, hub, platform, who, target="", **more):
    """Follow the course's link up to the platform's page that sends one on."""
    asked = {"iss": platform.url, "login_hint": who, "client_id": CLIENT}
    asked |= {"target_link_uri": hub.url(target), **more}
    return somebody.get(hub.url("hub/lti13/oauth_login?" + urlencode(asked)))


def come(somebody, hub, platform, who, target="", **more):
    begin(somebody, hub, platform, who, target, **more)
    return somebody.send()


def user(hub, name):
    return hub.api("GET", f"users/{name}").json()


def test_who_opens_the_hub_from_a_course_is_signed_in_and_in_its_group(hub, platform, somebody):
    page = come(somebody, hub, platform, "1")
    assert page.status_code == 200
    assert ">ada@example.org<" in page.text
    found = user(hub, "ada@example.org")
    assert (found["groups"], found["admin"]) == (["STAT-1"], False)


def test_a_course_can_lead_to_a_repository(hub, platform, somebody):
    page = come(somebody, hub, platform, "1", "v2/gh/ada/engine/main?urlpath=lab")
    assert page.url.path.endswith("/v2/gh/ada/engine/main")
    assert "ada/engine" in page.text


def test_a_link_to_another_host_leads_nowhere_else(hub, platform, somebody):
    target = "https://evil.example.org//evil.example.org/x"
    page = come(somebody, hub, platform, "1", target_link_uri=target)
    assert str(page.url).startswith(hub.url(""))


def test_a_teacher_is_in_a_group_of_theirs_and_whom_the_operator_lists_is_an_administrator(
    hub, platform, somebody
):
    come(somebody, hub, platform, "2")
    found = user(hub, "tom@example.org")
    assert (sorted(found["groups"]), found["admin"]) == (["STAT-1", "STAT-1:teachers"], True)


def test_the_groups_are_those_of_the_course_that_one_came_from_last(hub, platform, somebody):
    platform.said = {CLAIM + "context": {"id": "7", "label": "LOGIC"}}
    come(somebody, hub, platform, "2")
    assert sorted(user(hub, "tom@example.org")["groups"]) == ["LOGIC", "LOGIC:teachers"]


def test_who_comes_from_a_course_that_is_not_listed_is_not_let_in(hub, platform, somebody):
    platform.said = {CLAIM + "context": {"id": "7"}}
    page = come(somebody, hub, platform, "1")
    assert page.status_code == 403
    assert "nobody has let you in here" in page.text


def test_somebody_else_with_the_same_address_is_refused(hub, platform, somebody):
    come(somebody, hub, platform, "1")
    with Somebody() as other:
        page = come(other, hub, platform, "3")
    assert page.status_code == 403
    assert "is somebody else here" in page.text


@pytest.mark.parametrize(("who", "said"), [("4", "cannot be called"), ("5", "did not say who")])
def test_who_cannot_be_told_is_refused_with_a_reason(hub, platform, somebody, who, said):
    page = come(somebody, hub, platform, who)
    assert page.status_code == 403
    assert said in page.text


@pytest.mark.parametrize(
    "said",
    [
        {"aud": "another-tool"},
        {"iss": "https://evil.example.org"},
        {"exp": 1},
        {"iat": 1},
        {"nonce": "used"},
        {CLAIM + "version": "1.1"},
        {CLAIM + "deployment_id": "2"},
    ],
    ids=["audience", "issuer", "expired", "old", "nonce", "version", "deployment"],
)
def test_what_is_not_said_of_this_moment_and_this_hub_is_not_believed(
    hub, platform, somebody, said
):
    platform.said = said
    page = come(somebody, hub, platform, "1")
    assert page.status_code == 400
    assert ">ada@example.org<" not in page.text


def test_what_another_key_has_signed_is_not_believed(hub, platform, somebody):
    platform.signs = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    page = come(somebody, hub, platform, "1")
    assert page.status_code == 400
    assert "cannot be taken" in page.text


def test_a_token_is_good_only_for_the_browser_that_asked(hub, platform, somebody):
    begin(somebody, hub, platform, "1")
    with Somebody() as thief:
        thief.page = somebody.page
        page = thief.send()
    assert page.status_code == 400
    somebody.send(state="another")
    assert somebody.page.status_code == 400


def test_a_sign_in_that_begins_elsewhere_goes_nowhere(hub, platform, somebody):
    page = somebody.get(hub.url("hub/lti13/oauth_login"))
    assert page.status_code == 400
    assert "Open this hub from a course of" in page.text
    for wrong in ({"iss": "https://evil.example.org"}, {"client_id": "other"}):
        page = begin(somebody, hub, platform, "1", **wrong)
        assert page.status_code == 403
        assert "can send people here" in page.text
    page = somebody.get(hub.url(f"hub/lti13/oauth_login?iss={platform.url}&login_hint=%ff"))
    assert page.status_code == 400
    assert somebody.get(hub.url("hub/lti13/config")).status_code == 404


def test_a_name_and_a_password_open_nothing(hub, platform, somebody):
    page = somebody.get(hub.url("hub/login?next=%2Fhub%2Fhome"))
    xsrf = {one.name: one.value for one in somebody.http.cookies.jar}.get("_xsrf", "")
    data = {"username": "ada@example.org", "password": "x", "_xsrf": xsrf}
    page = somebody.http.post(hub.url("hub/login"), data=data)
    assert page.status_code >= 400
    assert "ada@example.org</" not in page.text


def test_a_platform_that_is_down_is_said_to_be(both, tmp_path):
    from atoll.hub.courses import Lti

    _, platform = both
    platform.broken = True
    one = Lti(jwks_endpoint=f"{platform.url}/keys", issuer=platform.url, client_id={CLIENT})
    import jwt

    with pytest.raises(jwt.PyJWKClientConnectionError):
        one.decoded(platform.token({"nonce": "x", "login_hint": "1"}))
