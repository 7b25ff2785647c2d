"""What is the same for all ways to sign in."""

from __future__ import annotations

import pytest
from tornado.web import HTTPError
from traitlets.config import Config

from atoll.hub.accounts import Pam
from atoll.hub.places import find_places
from atoll.hub.sign_in import WAYS, admit, label, sign_in, welcome
from atoll.settings import settings_from
from atoll.sign_in import KINDS
from support.hub import Installation
from support.identity import secret_file


def way(**table):
    return settings_from({"sign_in": table}).sign_in


PAM = way(kind="pam", admins=["ada"], groups=["staff"], admin_groups=["ops"])


def test_every_kind_of_the_settings_has_its_function():
    assert WAYS.keys() == KINDS.keys()


@pytest.mark.parametrize(
    ("name", "groups", "admin"),
    [("ada", [], True), ("bob", ["ops"], True), ("bob", ["staff"], False), ("ops", [], False)],
)
def test_who_is_an_administrator_is_what_the_settings_say_now(tmp_path, name, groups, admin):
    before = {"name": name, "groups": groups, "admin": not admin}
    authenticator = Pam(identities=str(tmp_path / "identities"))
    assert admit(PAM, authenticator, before)["admin"] is admin


def test_by_the_password_an_administrator_stays_one():
    assert admit(way(), None, {"name": "admin", "admin": True})["admin"]


@pytest.mark.parametrize("table", [{}, {"kind": "pam", "everybody": True}])
def test_by_no_way_does_anybody_become_a_visitor(table):
    with pytest.raises(HTTPError) as caught:
        admit(way(**table), None, {"name": "visitor-1-2"})
    assert caught.value.status_code == 403


@pytest.mark.parametrize("kind", ["oidc", "github", "gitlab", "ldap", "pam", "lti"])
def test_whom_nobody_has_named_no_authenticator_is_told_to_let_in(tmp_path, kind):
    more = {
        "oidc": {"issuer": "https://id.example.org"},
        "ldap": {"address": "ldaps://x", "user_dn": "uid={username}", "group_base": "dc=x"},
        "lti": {
            "issuer": "https://l",
            "client_id": "x",
            "login_url": "https://l/login",
            "keys_url": "https://l/keys",
        },
    }
    table = {
        "kind": kind,
        "admins": ["ada"],
        "people": ["bob"],
        "groups": ["g"],
        **more.get(kind, {}),
    }
    if kind in {"oidc", "github", "gitlab"}:
        table |= {"client_id": "x", "client_secret_file": secret_file(tmp_path)}
    settings = settings_from({"data": str(tmp_path / "data"), "sign_in": table})
    places = find_places(settings)
    c = Config()
    sign_in(c, settings, places)
    assert c.Authenticator.allow_all is False
    assert c.Authenticator.allow_existing_users is False
    assert c.Authenticator.allowed_users == {"ada", "bob"}
    assert c.Authenticator.admin_users == {"ada"}
    places.run.joinpath("hub").rmdir()
    places.run.rmdir()


def test_what_people_know_their_accounts_by():
    oauth = {"client_id": "x", "client_secret_file": "/x", "everybody": True}
    assert label(way(kind="github", **oauth)) == "GitHub"
    assert label(way(kind="gitlab", **oauth, name="The forge")) == "The forge"
    assert label(way(kind="oidc", **oauth, issuer="https://id.example.org/x")) == "id.example.org"
    assert label(PAM) == label(way()) == ""
    assert welcome(PAM, None, first=True) == ["People sign in by pam: whom atoll.toml lists."]


def test_atoll_does_not_start_with_a_secret_that_others_can_read(tmp_path):
    file = tmp_path / "client_secret"
    file.write_text("a secret that is none")
    file.chmod(0o644)
    table = {"kind": "github", "client_id": "x", "client_secret_file": str(file), "people": ["ada"]}
    one = Installation(tmp_path / "data", sign_in=table)
    one.settings.data.mkdir(exist_ok=True)
    try:
        one.launch()
        assert one.process.wait(60) != 0
        said = one.output.read_text()
        assert f"BadSettings: Others can read the secret in {file}." in said
        assert "a secret that is none" not in said
    finally:
        one.end()
