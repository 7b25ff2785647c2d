"""Signing in by a directory: the real JupyterHub, and a real slapd."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest
from tornado.web import HTTPError
from traitlets.config import Config

from atoll.hub.directory import Ldap
from atoll.hub.places import find_places
from atoll.hub.sign_in import sign_in as sign_in_by
from atoll.settings import settings_from
from support.directories import BASE, SEARCHER, WORD, slapd
from support.hub import Installation, free_port
from support.identity import Somebody, secret_file

PEOPLE = {"user_dn": f"uid={{username}},ou=people,{BASE}"}
GROUPS = {"group_base": f"ou=groups,{BASE}", "groups": ["physics"], "admin_groups": ["staff"]}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    with slapd(tmp_path_factory.mktemp("slapd")) as one:
        yield one


@pytest.fixture(scope="module")
def hub(tmp_path_factory, directory):
    """A hub where people of the directory sign in, whose entries are looked for."""
    data = tmp_path_factory.mktemp("ldap")
    sign_in = {
        "kind": "ldap",
        "name": "Example University",
        "address": directory.tls,
        "ca_file": directory.certificate,
        "user_base": BASE,
        "bind_dn": SEARCHER,
        "bind_password_file": secret_file(data, WORD),
        **GROUPS,
    }
    one = Installation(data, service="atoll.web", sign_in=sign_in)
    try:
        one.start()
        yield one
    finally:
        one.end()


def sign_in(somebody, hub, name, password=""):
    assert "Your name and password at Example University" in somebody.get(hub.url("")).text
    return somebody.send(username=name, password=password or f"{name}'s word")


def test_members_sign_in_with_groups_of_both_kinds(hub):
    for name, groups, admin in ("ada", {"staff", "physics"}, True), ("bob", {"physics"}, False):
        with Somebody() as somebody:
            assert f">{name}<" in sign_in(somebody, hub, name).text
        found = hub.api("GET", f"users/{name}").json()
        assert (set(found["groups"]), found["admin"]) == (groups, admin)


def test_upper_case_makes_no_second_person(hub):
    with Somebody() as somebody:
        assert ">bob<" in sign_in(somebody, hub, "BOB", "bob's word").text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("eve", ""),  # of no group
        ("bob", "ada's word"),
        ("bob", " "),
        ("nobody", ""),
        ("*", "ada's word"),
        ("ada)(uid=*", "ada's word"),
        (f"ada,ou=people,{BASE}", "ada's word"),
        ("a*", "ada's word"),
        ("carl", "wrong"),
    ],
)
def test_nobody_else_does(hub, name, password):
    with Somebody() as somebody:
        page = sign_in(somebody, hub, name, password)
        assert page.status_code == 403
        assert "Invalid username or password" in page.text
        assert "Sign in" in somebody.get(hub.url("services/atoll/")).text


def test_a_member_who_is_called_like_a_visitor_is_told_so(hub):
    with Somebody() as somebody:
        page = sign_in(somebody, hub, "visitor-7")
    assert page.status_code == 403
    assert "You cannot be called “visitor-7” here" in page.text


def test_the_searchers_password_is_nowhere_to_be_read(hub):
    assert WORD not in hub.places.log.read_text()
    assert WORD not in hub.places.settings.read_text()


@pytest.fixture
def ask(tmp_path):
    """Ask a directory at an address, through what JupyterHub makes of the settings."""

    async def ask(address, name="ada", password="ada's word", tls="", **more):
        table = {"kind": "ldap", "address": address, "people": ["ada"], **PEOPLE, **more}
        settings = settings_from({"data": str(tmp_path), "sign_in": table})
        config = Config()
        sign_in_by(config, settings, find_places(settings))
        config.Ldap.tls_strategy = tls or config.Ldap.tls_strategy
        authenticator = Ldap(config=config, patience=1)
        return await authenticator.get_authenticated_user(
            None, {"username": name, "password": password}
        )

    return ask


async def test_entries_that_are_made_alike_need_no_search(ask, directory):
    found = await ask(directory.plain, **GROUPS)
    assert found["name"] == "ada"
    assert found["groups"] == ["physics", "staff"]
    assert found["admin"]
    for name, password in (
        ("ada", "bob's word"),
        ("ada", ""),
        ("*", "ada's word"),
        ("eve", "eve's word"),
    ):
        assert await ask(directory.plain, name, password, **GROUPS) is None


# ldap3 leaves a connection that it does not trust to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_directory_whose_certificate_is_nobodys_is_told_no_password(ask, directory):
    assert (await ask(directory.tls, ca_file=directory.certificate))["name"] == "ada"
    with pytest.raises(HTTPError, match="The directory that knows your password does not answer"):
        await ask(directory.tls)
    other = directory.tls.replace("localhost", "127.0.0.1")  # which the certificate is not for
    with pytest.raises(HTTPError):
        await ask(other, ca_file=directory.certificate)
    gc.collect()


async def test_a_connection_is_made_safe_before_a_password_is_told(ask, directory):
    address = directory.plain.replace("127.0.0.1", "localhost")
    found = await ask(address, ca_file=directory.certificate, tls="before_bind")
    assert found["name"] == "ada"
    with pytest.raises(HTTPError):
        await ask(address, tls="before_bind")


async def test_while_a_directory_is_silent_the_hub_is_not(ask):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asking = asyncio.create_task(ask(f"ldap://127.0.0.1:{silent.getsockname()[1]}"))
        for _ in range(10):
            async with asyncio.timeout(0.2):
                await asyncio.sleep(0.02)
        assert not asking.done()
        with pytest.raises(HTTPError) as caught:
            await asking
    assert caught.value.status_code == 503


async def test_a_directory_that_is_not_there_is_told(ask):
    with pytest.raises(HTTPError) as caught:
        await ask(f"ldap://127.0.0.1:{free_port()}")
    assert caught.value.status_code == 503
