"""`[sign_in]` of atoll.toml: each kind's mistakes are told together, and nobody gets in unsaid."""

import pytest

from atoll.errors import BadSettings
from atoll.settings import Settings, settings_from
from atoll.sign_in import KINDS, Listed, Password

OAUTH = {"client_id": "atoll", "client_secret_file": "/etc/atoll/secret"}
LEAST = {
    "oidc": {**OAUTH, "issuer": "https://id.example.org/realms/x/"},
    "github": OAUTH,
    "gitlab": OAUTH,
    "ldap": {
        "address": "ldaps://ldap.example.org",
        "user_dn": "uid={username},ou=people,dc=example,dc=org",
        "group_base": "ou=groups,dc=example,dc=org",
    },
    "pam": {},
    "lti": {
        "issuer": "https://moodle.example.org",
        "client_id": "atoll",
        "login_url": "https://moodle.example.org/mod/lti/auth.php",
        "keys_url": "https://moodle.example.org/mod/lti/certs.php",
    },
}


def read(**table):
    return settings_from({"sign_in": table}).sign_in


def mistakes(**table):
    with pytest.raises(BadSettings) as caught:
        read(**table)
    return str(caught.value)


def test_a_password_is_what_there_is_to_begin_with():
    assert Settings().sign_in == read() == read(kind="password") == Password()


@pytest.mark.parametrize("kind", LEAST)
def test_with_nobody_named_nothing_starts(kind):
    said = mistakes(kind=kind, **LEAST[kind])
    assert "sign_in: nobody could sign in; say who may, with admins, " in said
    for empty in ({"people": []}, {"everybody": False}, {"groups": [], "admins": []}):
        assert "nobody could sign in" in mistakes(kind=kind, **LEAST[kind], **empty)


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize(
    "who", [{"people": ["ada"]}, {"admins": ["ada"]}, {"groups": ["x"]}, {"everybody": True}]
)
def test_with_somebody_named_it_does(kind, who):
    assert read(kind=kind, **LEAST[kind], **who).kind == kind


def test_everybody_is_let_in_only_where_it_says_so():
    listed = [kind for kind in KINDS.values() if issubclass(kind, Listed)]
    assert (
        len(listed) == len(KINDS) - 3
    )  # a password, sign-up with approval, and several list nobody
    assert not any(kind.model_fields["everybody"].default for kind in listed)


def test_a_kind_that_there_is_not_is_told_with_what_was_meant():
    assert "sign_in.kind: there is no such kind as “odic”; did you mean “oidc”?" in mistakes(
        kind="odic"
    )
    assert "there are password, oidc, github" in mistakes(kind=["x"])


def test_all_mistakes_of_a_kind_are_told_together():
    said = mistakes(
        kind="oidc", isuer="x", client_id="", client_secret_file="secret", people=["visitor-1"]
    )
    assert "has 5 mistakes" in said
    assert "sign_in.isuer: there is no such setting; did you mean “issuer”?" in said
    assert "sign_in.issuer: must be given" in said
    assert "sign_in.client_id: " in said
    assert "sign_in.client_secret_file: “secret” is not a whole path" in said
    assert "sign_in.people.0: nobody can be called “visitor-1”" in said


def test_another_kinds_settings_are_none_of_this_one():
    assert "sign_in.people: there is no such setting" in mistakes(people=["ada"])
    assert "sign_in.issuer: there is no such setting" in mistakes(
        kind="pam", issuer="https://x", everybody=True
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://id.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@id.example.org",
        "https://user:word@id.example.org",
        "https://id.example.org/#x",
        *("id.example.org", "https://", "https://[", "ftp://id.example.org", "//x", ""),
    ],
)
def test_secrets_are_sent_to_safe_addresses_only(address):
    said = mistakes(kind="oidc", **{**LEAST["oidc"], "issuer": address}, everybody=True)
    assert "sign_in.issuer" in said


@pytest.mark.parametrize(
    "address", ["https://id.example.org/x/", "http://127.0.0.1:80", "http://[::1]"]
)
def test_an_issuer_is_known_with_and_without_a_slash_at_its_end(address):
    way = read(kind="oidc", **{**LEAST["oidc"], "issuer": address}, everybody=True)
    assert way.issuer == address.rstrip("/")


def test_names_are_written_as_jupyterhub_does():
    way = read(kind="github", **OAUTH, people=[" Ada "], groups=["Example:Physics"])
    assert way.people == ["ada"]
    assert way.groups == ["example:physics"]


def test_groups_that_nobody_would_tell_are_refused():
    said = mistakes(kind="oidc", **LEAST["oidc"], groups_claim="", groups=["staff"])
    assert "groups and admin_groups need a groups_claim" in said


@pytest.mark.parametrize("callback", ["/hub/oauth_callback", "https://hub.example.org", "x"])
def test_a_callback_is_a_whole_address(callback):
    assert "sign_in.callback" in mistakes(kind="github", **OAUTH, everybody=True, callback=callback)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"user_base": "dc=x"}, "one of user_dn and user_base must be given"),
        ({"user_dn": ""}, "one of user_dn and user_base must be given"),
        ({"bind_dn": "cn=x"}, "bind_dn and bind_password_file go together"),
        ({"bind_password_file": "/x"}, "bind_dn and bind_password_file go together"),
        ({"group_base": "", "groups": ["x"]}, "groups and admin_groups need a group_base"),
        ({"user_dn": "uid={user},dc=x"}, "sign_in.user_dn"),
        ({"user_dn": "uid={username},ou={0}"}, "sign_in.user_dn"),
        *(({"address": one}, "is not an address such as") for one in ("x", "https://x", "ldap://")),
        *(({"address": one}, "is not an address such as") for one in ("ldap://u@x", "ldap://x:y")),
    ],
)
def test_a_directory_is_described_whole(wrong, said):
    assert said in mistakes(kind="ldap", **{**LEAST["ldap"], "people": ["ada"], **wrong})
