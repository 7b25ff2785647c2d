"""Several ways to sign in at once: the real JupyterHub, a real slapd, and two forges on loopback."""

from __future__ import annotations

import pytest

from atoll.errors import BadSettings
from atoll.hub.sign_in import prefixed
from atoll.settings import settings_from
from atoll.sign_in import owns
from support.directories import BASE, slapd
from support.forges import Forge
from support.hub import Installation
from support.identity import CLIENT, Somebody, secret_file

HUBBERS = {
    "ada": {"id": 1, "groups": ["example", "example:physics"]},  # not the directory's
    "eve": {"id": 3, "groups": []},
    "boss": {"id": 4, "groups": ["example", "ops"]},
}
LABBERS = {
    "ada": {"id": 1, "groups": ["physics", "staff"]},  # the same number elsewhere
    "boss": {"id": 2, "groups": ["physics"]},
}


def oauth(kind, forge, data, **more):
    secret = secret_file(data)
    return {
        "kind": kind,
        "url": forge.url,
        "client_id": CLIENT["client_id"],
        "client_secret_file": secret,
        **more,
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub for staff by a directory, and for guests by GitHub and GitLab."""
    data = tmp_path_factory.mktemp("several")
    with (
        slapd(tmp_path_factory.mktemp("slapd")) as directory,
        Forge(HUBBERS) as github,
        Forge(LABBERS) as gitlab,
    ):
        staff = {
            "kind": "ldap",
            "name": "Example University",
            "address": directory.plain,
            "user_dn": f"uid={{username}},ou=people,{BASE}",
            "group_base": f"ou=groups,{BASE}",
            "groups": ["physics"],
            "admin_groups": ["staff"],
        }
        guests = {"groups": ["example"], "admins": ["boss"], "prefix": "gh-"}
        others = {"groups": ["physics"], "prefix": "gl."}
        ways = [
            staff,
            oauth("github", github, data, **guests),
            oauth("gitlab", gitlab, data, **others),
        ]
        one = Installation(data, service="atoll.web", sign_in=ways)
        try:
            one.start()
            yield one, {"GitHub": github, "GitLab": gitlab}
        finally:
            one.end()


def by(hub, somebody, where, who):
    one, forges = hub
    forges[where].who = who
    somebody.get(one.url(""))
    return somebody.follow(f"Sign in with {where}")


def by_password(hub, somebody, name, word=""):
    somebody.get(hub[0].url(""))
    return somebody.send(username=name, password=word or f"{name}'s word")


def known(hub, name):
    found = hub[0].api("GET", f"users/{name}").json()
    return set(found["groups"]), found["admin"]


def test_the_same_name_by_three_ways_is_three_people(hub):
    with Somebody() as staff, Somebody() as guest, Somebody() as other:
        page = staff.get(hub[0].url(""))
        assert "Your name and password at Example University, or another way." in page.text
        assert ">ada<" in by_password(hub, staff, "ada").text
        assert ">gh-ada<" in by(hub, guest, "GitHub", "ada").text
        assert ">gl.ada<" in by(hub, other, "GitLab", "ada").text
        for who, name in ((staff, "ada"), (guest, "gh-ada"), (other, "gl.ada")):
            assert f">{name}<" in who.get(hub[0].url("services/atoll/servers")).text
    # Nor are groups of one way those of another, and lists are each way's own.
    assert known(hub, "ada") == ({"physics", "staff"}, True)
    assert known(hub, "gh-ada") == ({"gh-example", "gh-example:physics"}, False)
    assert known(hub, "gl.ada") == ({"gl.physics", "gl.staff"}, False)


def test_an_administrator_by_one_way_is_none_by_another(hub):
    with Somebody() as guest, Somebody() as other:
        assert ">gh-boss<" in by(hub, guest, "GitHub", "boss").text
        assert ">gl.boss<" in by(hub, other, "GitLab", "boss").text
    assert (known(hub, "gh-boss")[1], known(hub, "gl.boss")[1]) == (True, False)


def test_nobody_else_gets_in_by_any_of_them(hub):
    with Somebody() as somebody:
        page = by(hub, somebody, "GitHub", "eve")
        assert page.status_code == 403
        assert "knows you, but nobody has let you in here." in page.text
    for name, word in (("gh-ada", "x"), ("eve", ""), ("ada", "wrong"), ("gh-boss", "boss's word")):
        with Somebody() as somebody:
            page = by_password(hub, somebody, name, word)
            assert page.status_code == 403, name
            assert "Sign in" in somebody.get(hub[0].url("services/atoll/")).text


def test_a_name_that_looks_like_one_of_another_way_is_refused(hub):
    """Somebody calls themselves so in the directory, or at a forge, to be taken for a guest."""
    with Somebody() as guest:
        by(hub, guest, "GitHub", "ada")
    with Somebody() as somebody:
        page = by_password(hub, somebody, "gh-ada")  # whom the directory knows, with that word
        assert page.status_code == 403
        assert "names like that are of another way to sign in" in page.text
        assert ">gh-ada<" not in somebody.get(hub[0].url("services/atoll/")).text


def test_a_name_that_was_taken_over_at_a_forge_opens_nothing(hub):
    forge = hub[1]["GitHub"]
    with Somebody() as guest:
        assert by(hub, guest, "GitHub", "ada").status_code == 200
    forge.people = {**HUBBERS, "ada": {"id": 99, "groups": ["example"]}}
    with Somebody() as thief:
        page = by(hub, thief, "GitHub", "ada")
    forge.people = HUBBERS
    assert page.status_code == 403
    assert "“gh-ada” is somebody else here" in page.text


def test_what_one_site_says_is_not_taken_for_anothers(hub):
    one, _ = hub
    with Somebody() as somebody:
        page = by(hub, somebody, "GitHub", "ada")
        steps = [str(step.url) for step in page.history]
        [back] = [url for url in steps if "/hub/by_gh/oauth_callback?code=" in url]
        for other in ("by_gl/oauth_callback", "oauth_callback"):
            url = back.replace("by_gh/oauth_callback", other)
            with Somebody() as thief:
                assert thief.get(url).status_code in {400, 403, 404}
            assert somebody.get(url).status_code in {400, 403, 404}
        assert somebody.get(one.url("hub/oauth_login")).status_code == 404


def test_after_a_deletion_the_name_is_free_again_and_only_then(hub):
    one, forges = hub
    forges["GitHub"].people = {**HUBBERS, "new": {"id": 7, "groups": ["example"]}}
    with Somebody() as guest:
        assert ">gh-new<" in by(hub, guest, "GitHub", "new").text
    forges["GitHub"].people = {**HUBBERS, "new": {"id": 8, "groups": ["example"]}}
    with Somebody() as second:
        assert by(hub, second, "GitHub", "new").status_code == 403
    assert one.api("DELETE", "users/gh-new").status_code == 204
    with Somebody() as second:
        assert ">gh-new<" in by(hub, second, "GitHub", "new").text
    forges["GitHub"].people = HUBBERS


def test_a_prefix_that_is_given_to_another_way_gives_nobody_elses_files(tmp_path_factory):
    """An operator moves “no prefix” from the directory to GitHub, where anybody can be called ada."""
    data = tmp_path_factory.mktemp("moved")
    with slapd(tmp_path_factory.mktemp("slapd")) as directory, Forge(HUBBERS) as github:
        staff = {
            "kind": "ldap",
            "address": directory.plain,
            "user_dn": f"uid={{username}},ou=people,{BASE}",
            "everybody": True,
        }
        guests = oauth("github", github, data, everybody=True)
        for ways in ([staff], [guests, {**staff, "prefix": "staff-"}]):
            one = Installation(data, service="atoll.web", sign_in=ways)
            hub = (one, {"GitHub": github})
            try:
                one.start()
                with Somebody() as ada:
                    name = "ada" if len(ways) == 1 else "staff-ada"
                    assert f">{name}<" in by_password(hub, ada, "ada").text
                if len(ways) > 1:
                    with Somebody() as stranger:
                        page = by(hub, stranger, "GitHub", "ada")
                        assert page.status_code == 403
                        assert "“ada” is somebody else here" in page.text
                    with Somebody() as stranger:
                        assert ">eve<" in by(hub, stranger, "GitHub", "eve").text
            finally:
                one.end()


def test_each_name_belongs_to_one_way():
    prefixes = ["", "g-", "g-h-", "gh."]
    for name in ("ada", "g-ada", "g-h-ada", "gh.ada", "g-h", "gh", "-", ""):
        assert sum(owns(one, prefixes, name) for one in prefixes) == 1
    assert owns("g-h-", prefixes, "g-h-ada")
    assert not owns("g-", prefixes, "g-h-ada")
    assert not owns("a-", ["a-", "b-"], "ada")


GITHUB = {"kind": "github", "client_id": "x", "client_secret_file": "/x", "everybody": True}
LDAP = {
    "kind": "ldap",
    "address": "ldaps://x.org",
    "user_dn": "uid={username}",
    "everybody": True,
}


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ([GITHUB, LDAP], "each way needs a prefix of its own"),
        ([{**GITHUB, "prefix": "g-"}, {**GITHUB, "prefix": "g."}], "each way needs a prefix"),
        ([{**LDAP, "prefix": "a-"}, {**LDAP, "prefix": "b-"}], "one form for a name"),
        ([{**GITHUB, "prefix": "visitor-"}, LDAP], "nobody can be called “visitor-x”"),
        ([{**GITHUB, "prefix": "x/"}, LDAP], "sign_in.0.prefix"),
        ([{**GITHUB, "prefix": "g"}, LDAP], "sign_in.0.prefix"),
        ([{**GITHUB, "prefix": "g-", "clientid": "y"}, LDAP], "did you mean “client_id”"),
        ([{"kind": "native", "prefix": "n-"}, LDAP], "there is no such kind as “native”"),
        ([{**GITHUB, "prefix": "g-", "everybody": False}, LDAP], "nobody could sign in"),
        ([], "sign_in"),
    ],
)
def test_ways_that_could_take_one_for_another_are_refused_before_anybody_signs_in(ways, said):
    with pytest.raises(BadSettings, match=said):
        settings_from({"sign_in": ways})


def test_a_group_that_only_reads_as_one_of_another_way_is_left_out():
    told = ["maths", "gh-maths", "GH-maths", " gh-maths", "\uff47h-maths"]
    found = prefixed({"name": "ada", "groups": told}, "", ["", "gh-"])
    assert found["groups"] == ["maths"]
    guests = prefixed({"name": "ada", "groups": ["maths", "GH-maths"]}, "gh-", ["", "gh-"])
    assert guests["groups"] == ["gh-GH-maths", "gh-maths"]


def test_a_lone_table_in_brackets_is_as_without():
    assert settings_from({"sign_in": [LDAP]}) == settings_from({"sign_in": LDAP})
