"""What people ask of a real JupyterHub itself is written down, and what they type is not."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlencode

import httpx2
from tornado.httputil import HTTPHeaders

from atoll.acts import Search
from atoll.errors import Unreachable
from atoll.hub.witness import Witness
from atoll.people import Person
from atoll.stores.sql import open_store
from support.hub import a_plan, eventually


def acts(installation, who="", what=""):
    async def find():
        store = open_store(installation.settings)
        await store.open()
        found = await store.acts.find(Search(who=who, what=what))
        await store.close()
        return [act for _, act in reversed(found)]

    return asyncio.run(find())


def sign_in(browser, installation, name, password):
    """Try to sign in as *name*; return the status of the answer."""
    headers = {"Sec-Fetch-Mode": "navigate"}
    page = browser.get(installation.url("hub/login"), headers=headers)
    token = re.search(r'name="_xsrf" value="([^"]+)"', page.text)[1]
    sent = {"_xsrf": token, "username": name, "password": password}
    return browser.post(installation.url("hub/login"), data=sent, headers=headers).status_code


def test_who_signs_in_and_out_is_written_down_and_no_password(installation):
    password = installation.places.secret(installation.places.password.name)
    before = len(acts(installation))
    with httpx2.Client(trust_env=False, timeout=60) as browser:
        assert sign_in(browser, installation, "admin", "a-wrong-password") == 403
        assert sign_in(browser, installation, "my-password-typed-as-a-name", "x") == 403
        assert sign_in(browser, installation, "admin", password) == 302
        browser.get(installation.url("hub/logout"))
    wanted = ["sign in, in vain", "sign in, in vain", "sign in", "sign out"]

    def all_written():
        found = [one for one in acts(installation)[before:] if one.deed.startswith("sign")]
        return found if len(found) >= len(wanted) else None

    found = eventually(all_written)
    assert sorted(one.deed for one in found) == sorted(wanted)
    assert {(one.deed, one.who, one.what) for one in found} == {
        ("sign in, in vain", "", "admin"),
        ("sign in, in vain", "", ""),
        ("sign in", "admin", "admin"),
        ("sign out", "admin", "admin"),
    }
    assert {one.address for one in found} == {"127.0.0.1"}
    for secret in (password, "a-wrong-password", "my-password-typed-as-a-name"):
        assert secret not in repr(acts(installation))


def test_what_people_do_by_jupyterhubs_api_is_written_down_once(installation):
    token = installation.person("wanda")
    plan = a_plan("wanda", "lab")
    installation.put(plan)
    installation.run(plan, token)
    made = installation.api("POST", "users/wanda/tokens", token, json={}).json()
    installation.api("DELETE", f"users/wanda/tokens/{made['id']}", token)
    for more in ({}, {"json": {"remove": True}}):
        answer = installation.api("DELETE", "users/wanda/servers/lab", token, **more)
        assert answer.status_code in {202, 204}
        eventually(lambda: not installation.server("wanda", "lab").get("pending"))
    assert installation.api("DELETE", "users/admin", token).status_code in {403, 404}
    deeds = ["start", "make a token", "revoke a token", "stop", "delete"]
    eventually(lambda: len(acts(installation, who="wanda")) == len(deeds))
    found = acts(installation, who="wanda")
    assert sorted(one.deed for one in found) == sorted(deeds)
    assert {one.server for one in found} == {"", "wanda/lab"}
    assert {(one.who, one.way.value) for one in found} == {("wanda", "program")}
    assert made["token"] not in repr(found)


def told(installation, name):
    async def find():
        store = open_store(installation.settings)
        await store.open()
        found = await store.messages.live(datetime.now(UTC))
        await store.close()
        return [one for one in found if one.goes_to(Person(name))]

    return asyncio.run(find())


def enter(browser, installation, server):
    """Ask JupyterHub to be let into *server*, as its proxy would have a browser do."""
    owner, name = server.split("/")
    sent = {
        "client_id": f"jupyterhub-user-{owner}-{name}",
        "redirect_uri": f"{installation.places.base}user/{server}/oauth_callback",
        "response_type": "code",
    }
    headers = {"Sec-Fetch-Mode": "navigate"}
    where = f"{installation.url('hub/api/oauth2/authorize')}?{urlencode(sent)}"
    answer = browser.get(where, headers=headers)
    if answer.status_code == 200:  # JupyterHub asks whether one wants it
        sure = re.search(r'name="_xsrf" value="([^"]+)"', answer.text)[1]
        answer = browser.post(where, data={"_xsrf": sure}, headers=headers)
    return answer


def test_an_operator_who_enters_somebodys_server_is_written_down_and_its_owner_told(installation):
    installation.person("walter")
    installation.person("wendy")
    plans = [a_plan("walter", "shared"), replace(a_plan("walter", "lab"), title="Rocks & Rivers")]
    plans += [a_plan("admin", "mine")]
    installation.put(*plans)
    for plan in plans:
        installation.run(plan)
    password = installation.places.secret(installation.places.password.name)
    given = {"user": "admin", "scopes": ["access:servers!server=walter/shared"]}
    assert installation.api("POST", "shares/walter/shared", json=given).status_code == 200
    with httpx2.Client(trust_env=False, timeout=60) as browser:
        assert sign_in(browser, installation, "admin", password) == 302
        for server in ("admin/mine", "walter/shared", "walter/lab"):
            answer = enter(browser, installation, server)
            assert answer.status_code == 302, answer.text
            assert f"/user/{server}/oauth_callback?code=" in answer.headers["location"]
    eventually(lambda: told(installation, "walter"))
    entered = {one.server: one for one in acts(installation, who="admin", what="enter")}
    assert entered.keys() == {"walter/shared", "walter/lab"}  # one's own is nothing to write down
    assert entered["walter/lab"].detail == {"as": "operator"}
    assert entered["walter/shared"].detail == {}  # its owner has let them in
    (message,) = told(installation, "walter")
    assert message.text.startswith("admin, an operator of this hub, opened your server “Rocks &")
    assert told(installation, "wendy") == []


async def test_a_database_that_is_away_keeps_nobody_from_signing_in(caplog):
    async def away():
        raise Unreachable("The database does not answer.")

    handler = SimpleNamespace(request=SimpleNamespace(headers=HTTPHeaders(), remote_ip="192.0.2.1"))
    await Witness(away, "/hub/").signed_in(handler, "ada")
    assert "NOT WRITTEN DOWN: ada: sign in ada" in caplog.text
