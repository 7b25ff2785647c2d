"""Signing in with an account of this machine: the real JupyterHub, PAM, and real accounts."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess

import pytest

from support.hub import Installation
from support.identity import Somebody

PASSWORD = secrets.token_urlsafe(12)


@contextlib.contextmanager
def account(name: str, group: str):
    """Have a user of this machine, whose home is never made."""
    digest = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(["groupadd", group], check=True)
    try:
        subprocess.run(["useradd", "-M", "-N", "-G", group, "-p", digest, name], check=True)
        try:
            yield
        finally:
            subprocess.run(["userdel", name], check=True, stderr=subprocess.DEVNULL)
    finally:
        subprocess.run(["groupdel", group], check=True)


@pytest.fixture(scope="module")
def people():
    """Two accounts; the first one's group is let in. Only root may make and ask for any."""
    assert os.getuid() == 0, "Only root can try this."
    mark = secrets.token_hex(3)
    names = (f"pam-ada-{mark}", f"pam-eve-{mark}")
    with account(names[0], f"in-{mark}"), account(names[1], f"out-{mark}"):
        yield *names, mark


@pytest.fixture(scope="module")
def hub(tmp_path_factory, people):
    sign_in = {"kind": "pam", "groups": [f"in-{people[2]}"], "name": "Example University"}
    one = Installation(tmp_path_factory.mktemp("pam"), service="atoll.web", sign_in=sign_in)
    try:
        one.start()
        yield one
    finally:
        one.end()


def sign_in(somebody, hub, name, password=PASSWORD):
    assert "Your name and password at Example University" in somebody.get(hub.url("")).text
    return somebody.send(username=name, password=password)


def test_a_member_signs_in_with_the_machines_groups(hub, people):
    ada, _, mark = people
    with Somebody() as somebody:
        assert f">{ada}<" in sign_in(somebody, hub, ada).text
    found = hub.api("GET", f"users/{ada}").json()
    assert f"in-{mark}" in found["groups"]
    assert not found["admin"]


@pytest.mark.parametrize(("who", "password"), [(1, PASSWORD), (0, "wrong"), (0, "")])
def test_nobody_else_does(hub, people, who, password):
    with Somebody() as somebody:
        page = sign_in(somebody, hub, people[who], password)
        assert page.status_code == 403
        assert "Invalid username or password" in page.text
        assert "Sign in" in somebody.get(hub.url("services/atoll/")).text


def test_visitors_need_no_account_of_the_machine(hub):
    assert hub.api("POST", "users/visitor-1-2").status_code == 201
