"""Over the real REST API of a real hub."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from atoll.access import Kind, Party
from atoll.launching.copies import new_link
from atoll.names import new_id
from atoll.volumes import Mount, Volume
from support.hub import a_plan, eventually


def test_a_person_starts_what_they_prepared_and_reaches_it_through_the_proxy(installation):
    ada = installation.person("ada")
    plan = a_plan("ada", "first", opening="lab/tree/{username}.ipynb")
    installation.put(plan)
    installation.run(plan, ada)
    answer = installation.visit("user/ada/first/api").json()
    assert answer["path"] == "/user/ada/first/api"
    environ = answer["environ"]
    assert environ["JUPYTERHUB_USER"] == "ada"
    assert environ["JUPYTERHUB_SERVICE_PREFIX"] == "/user/ada/first/"
    assert environ["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/{username}.ipynb"
    inside = "http+unix://%2Frun%2Fatoll%2Fhub%2Fhub.sock/hub/api"
    assert environ["JUPYTERHUB_API_URL"] == inside


def test_nothing_of_the_hubs_own_environment_reaches_a_server(installation):
    bert = installation.person("bert")
    plan = a_plan("bert", "bare")
    installation.put(plan)
    installation.run(plan, bert)
    environ = installation.visit("user/bert/bare/").json()["environ"]
    others = {name for name in environ if not name.startswith(("JUPYTERHUB_", "JPY_"))}
    assert others <= {"PATH", "LC_CTYPE", "MEM_LIMIT", "CPU_LIMIT"}


def test_only_a_visitors_server_takes_a_key_in_its_address(installation):
    for name, told in (("visitor-0123", "1"), ("bianca", None)):
        token = installation.person(name)
        plan = a_plan(name, "door")
        installation.put(plan)
        installation.run(plan, token)
        environ = installation.visit(f"user/{name}/door/").json()["environ"]
        assert environ.get("JUPYTERHUB_ALLOW_TOKEN_IN_URL") == told


def test_what_could_not_be_had_is_told_while_the_server_starts(installation):
    cora = installation.person("cora")
    volume = Volume(new_id(), Party(Kind.PERSON, "dora"), "x", datetime.now(UTC))
    installation.volumes(volume)
    mount = Mount("data", volume.id, "dora/x", writable=True)  # hers no more, or never
    plan = replace(a_plan("cora", "noted"), mounts=(mount,))
    installation.put(plan)
    path = "users/cora/servers/noted"
    installation.api("POST", path, cora, json={"user_options": {"plan": plan.id}})
    told = installation.api("GET", f"{path}/progress", cora).text
    ready = next(line for line in told.splitlines() if '"ready": true' in line)
    notes = json.loads(ready.removeprefix("data: "))["notes"]
    assert "“dora/x” (at data) is not mounted" in notes[0]
    assert notes[1:] == ["No network helper here."]


def test_somebody_elses_plan_is_not_there(installation):
    installation.person("dora")
    eve = installation.person("eve")
    plan = a_plan("dora", "secret")
    installation.put(plan)
    options = {"user_options": {"plan": plan.id}}
    answer = installation.api("POST", "users/eve/servers/secret", eve, json=options)
    assert answer.status_code == 404
    answer = installation.api("POST", "users/dora/servers/secret", eve, json=options)
    assert answer.status_code == 404  # JupyterHub: not to be seen, so not to be started
    assert not installation.server("eve", "secret").get("ready")
    assert not installation.server("dora", "secret")


HOSTILE = [
    {"image": "evil"},
    {"plan": "../../etc/passwd"},
    {"plan": ["x"]},
    {"plan": {"checkout": "/etc"}},
    {"plan": None},
    {"plan": "x' OR '1'='1"},
    {"cmd": ["sh", "-c", "id"]},
    {"environment": {"LD_PRELOAD": "/tmp/x.so"}},
    {"handle": "1", "socket": "/run/x.sock"},
    {"wiring": "os.system"},
]


@pytest.mark.parametrize("options", HOSTILE)
def test_no_option_but_a_plan_of_ones_own_starts_anything(installation, options):
    finn = installation.person("finn")
    path = "users/finn/servers/box"
    for body in ({"user_options": options}, options):
        answer = installation.api("POST", path, finn, json=body)
        assert answer.status_code in {400, 404}, answer.text
        assert not installation.server("finn", "box").get("ready")
        assert installation.visit("user/finn/box/").status_code in {302, 404, 424}


@pytest.mark.parametrize("extra", ["image", "cmd", "mounts", "socket", "notebook_dir"])
def test_a_plan_with_something_beside_it_is_refused(installation, extra):
    gwen = installation.person("gwen")
    plan = a_plan("gwen", "more")
    installation.put(plan)
    options = {"plan": plan.id, extra: "/etc"}
    answer = installation.api(
        "POST", "users/gwen/servers/more", gwen, json={"user_options": options}
    )
    assert answer.status_code == 400
    assert "no other options" in answer.text


def test_options_written_into_a_stopped_server_are_checked_when_it_starts(installation):
    hans = installation.person("hans")
    path = "users/hans/servers/late"
    options = {"user_options": {"image": "evil", "cmd": ["id"]}}
    assert installation.api("PUT", path, hans, json=options).status_code == 201
    assert installation.api("PATCH", path, hans, json=options).status_code == 200
    assert installation.api("POST", path, hans).status_code == 400
    plan = a_plan("hans", "late")
    installation.put(plan)
    options = {"user_options": {"plan": plan.id}}
    assert installation.api("PATCH", path, hans, json=options).status_code == 200
    assert installation.api("POST", path, hans).status_code in {201, 202}
    eventually(lambda: installation.server("hans", "late").get("ready"))


def test_a_server_without_a_plan_says_where_to_launch(installation):
    ida = installation.person("ida")
    for path in ("users/ida/server", "users/ida/servers/empty"):
        answer = installation.api("POST", path, ida)
        assert answer.status_code == 400
        assert "Launch a repository" in answer.json()["message"]


def test_one_plan_cannot_be_started_under_two_names(installation):
    jan = installation.person("jan")
    plan = a_plan("jan", "one")
    installation.put(plan)
    options = {"user_options": {"plan": plan.id}}
    assert installation.api("POST", "users/jan/servers/two", jan, json=options).status_code == 404
    assert installation.api("POST", "users/jan/server", jan, json=options).status_code == 404


def test_a_server_cannot_be_renamed_away_from_its_files(installation):
    kai = installation.person("kai")
    plan = a_plan("kai", "steady")
    installation.put(plan)
    path = "users/kai/servers/steady"
    installation.api("PUT", path, kai, json={"user_options": {"plan": plan.id}})
    answer = installation.api("PATCH", path, kai, json={"name": "other"})
    assert answer.status_code == 403
    assert installation.server("kai", "steady")


def test_a_failed_start_says_why_and_what_to_do(installation):
    lea = installation.person("lea")
    plan = a_plan("lea", "sad", opening="broken")
    installation.put(plan)
    options = {"user_options": {"plan": plan.id}}
    answer = installation.api("POST", "users/lea/servers/sad", lea, json=options)
    assert answer.status_code == 503
    assert answer.json()["message"] == "It is broken. Mend it."


def test_stopping_ends_it_and_starting_again_needs_no_plan_said_twice(installation):
    mia = installation.person("mia")
    plan = a_plan("mia", "again")
    installation.put(plan)
    installation.run(plan, mia)
    before = installation.visit("user/mia/again/").json()["pid"]
    path = "users/mia/servers/again"
    assert installation.api("DELETE", path, mia).status_code in {202, 204}
    eventually(lambda: installation.server("mia", "again").get("stopped"))
    assert installation.api("POST", path, mia).status_code in {201, 202}
    eventually(lambda: installation.server("mia", "again").get("ready"))
    assert installation.visit("user/mia/again/").json()["pid"] != before


def test_a_server_that_ended_by_itself_is_cleared_up_as_well(own):
    up = own()
    up.start()
    plan = a_plan("ada", "short")
    token = up.person("ada")
    up.put(plan)
    up.run(plan, token)
    os.kill(up.visit("user/ada/short/").json()["pid"], signal.SIGKILL)
    eventually(lambda: up.server("ada", "short").get("stopped"), 30)
    assert "ada/short\n" in (up.tiny / "cleared").read_text()


def test_the_token_of_a_stopped_server_is_revoked_even_if_an_earlier_hub_gave_it(own):
    up = own()
    up.start()
    plan = a_plan("ada", "first")
    token = up.person("ada")
    up.put(plan)
    up.run(plan, token)

    def given():
        found = up.api("GET", "users/ada/tokens").json()["api_tokens"]
        return [one for one in found if one["note"] == "Server at /user/ada/first/"]

    assert len(given()) == 1
    up.kill("hub")
    eventually(lambda: up.server("ada", "first").get("ready"))
    up.api("DELETE", "users/ada/servers/first", token)
    eventually(lambda: up.server("ada", "first").get("stopped"), 30)
    assert given() == []


def test_deleting_a_server_deletes_the_files_it_kept_and_its_plans(installation):
    nina = installation.person("nina")
    plan = a_plan("nina", "gone")
    installation.put(plan)
    installation.run(plan, nina)
    path = "users/nina/servers/gone"
    answer = installation.api("DELETE", path, nina, json={"remove": True})
    assert answer.status_code in {202, 204}
    removed = installation.settings.data / "tiny" / "removed"
    eventually(lambda: removed.exists() and "nina/gone" in removed.read_text())
    options = {"user_options": {"plan": plan.id}}
    assert installation.api("POST", path, nina, json=options).status_code == 404


def test_a_server_that_is_to_be_shared_knows_it_from_the_start(installation):
    olga = installation.person("olga")
    for name, shared in (("company", True), ("alone", False)):
        plan = replace(a_plan("olga", name), shared=shared)
        installation.put(plan)
        installation.run(plan, olga)
        environ = installation.visit(f"user/olga/{name}/").json()["environ"]
        assert ("ATOLL_TOGETHER" in environ) == shared


def test_a_copy_starts_while_its_link_is_there_with_what_the_owner_may_show_now(installation):
    for name in ("paul", "pia"):
        installation.person(name)
    mine = Volume(new_id(), Party(Kind.PERSON, "paul"), "mine", datetime.now(UTC))
    ours = Volume(new_id(), Party(Kind.GROUP, "left"), "ours", datetime.now(UTC))
    installation.volumes(mine, ours)
    mounts = (Mount("mine", mine.id, "mine"), Mount("ours", ours.id, "@left/ours"))
    link = new_link("paul", "notes", (mine.id, ours.id))
    installation.copies(link)
    plan = replace(a_plan("pia", "copy"), mounts=mounts)
    content = replace(plan.content, temporary=True, copied=link.copied)
    plan = replace(plan, content=content)
    installation.put(plan)
    installation.run(plan)
    told = installation.api("GET", "users/pia/servers/copy/progress").text
    ready = next(line for line in told.splitlines() if '"ready": true' in line)
    notes = json.loads(ready.removeprefix("data: "))["notes"]
    lacking = [note for note in notes if "is not in this copy: visitors may not" in note]
    assert [note.partition(" is not")[0] for note in lacking] == [
        "The volume “@left/ours” (at ours)"  # whose group he is not in any more
    ]
    installation.api("DELETE", "users/pia/servers/copy")
    eventually(lambda: installation.server("pia", "copy").get("stopped"))
    installation.copies(None, "paul", "notes")
    options = {"user_options": {"plan": plan.id}}
    answer = installation.api("POST", "users/pia/servers/copy", json=options)
    assert answer.status_code == 404
    assert "no copy to be had" in answer.text


@contextmanager
def signed_in(installation):
    password = installation.places.password.read_text()
    with a_browser(installation, "admin", password) as (client, answer):
        assert answer.status_code == 302, answer.text
        yield client


@contextmanager
def a_browser(installation, name, password):
    with httpx2.Client(trust_env=False, timeout=60, base_url=installation.url("")) as client:
        form = client.get("hub/login").text
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form)[1]
        data = {"username": name, "password": password, "_xsrf": xsrf}
        yield client, client.post("hub/login", data=data)


def test_the_administrator_signs_in_by_the_form_and_lands_on_atolls_page(installation):
    with signed_in(installation) as client:
        answer = client.get("hub/")
        assert answer.headers["location"] == "/services/atoll/"
        home = client.get("hub/home").text
        assert 'href="/services/atoll/servers"' in home
        assert 'href="/services/atoll/static/hub.css"' in home
        assert 'href="/services/atoll/admin"' in home
        assert "hub/spawn" not in home  # there is nothing to start without a plan


def test_the_page_of_a_server_that_was_never_launched_says_where_to_launch(installation):
    with signed_in(installation) as client:
        for path in ("hub/spawn", "hub/spawn/admin/nothing"):
            page = client.get(path, follow_redirects=True)
            assert page.status_code == 400
            assert "Launch a repository" in page.text


def test_the_address_of_a_stopped_server_offers_to_start_it_again(installation):
    plan = a_plan("admin", "parked")
    installation.put(plan)
    installation.run(plan)
    installation.api("DELETE", "users/admin/servers/parked")
    eventually(lambda: installation.server("admin", "parked").get("stopped"))
    with signed_in(installation) as client:
        page = client.get("user/admin/parked/lab", follow_redirects=True)
        assert "/hub/spawn/admin/parked" in page.text
        client.get("hub/spawn/admin/parked", follow_redirects=True)
    eventually(lambda: installation.server("admin", "parked").get("ready"))


@pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("eve", "right"), ("", "")])
def test_nobody_else_gets_in(installation, name, password):
    password = installation.places.password.read_text() if password == "right" else password
    with a_browser(installation, name, password) as (client, answer):
        assert answer.status_code in {200, 403}
        assert client.get("hub/home").status_code == 302


def test_neither_the_spawn_form_nor_its_query_names_anything_but_a_plan(installation):
    with signed_in(installation) as client:
        client.get("hub/home")
        xsrf = client.cookies.get("_xsrf", path="/hub/")
        for name, value in (("image", "evil"), ("cmd", "id"), ("plan", "0" * 24)):
            answer = client.post(
                "hub/spawn/admin/form", data={name: value, "_xsrf": xsrf}, follow_redirects=True
            )
            assert answer.status_code in {400, 404}, answer.text
            client.get(f"hub/spawn/admin/query?opt-{name}={value}", follow_redirects=True)
            for server in ("form", "query"):
                assert not installation.server("admin", server).get("ready")


def test_the_service_can_let_a_program_into_one_server_only(installation):
    installation.person("olga")
    plan = a_plan("olga", "shown")
    installation.put(plan)
    body = {"scopes": ["access:servers!server=olga/shown"], "expires_in": 600}
    answer = installation.api("POST", "users/olga/tokens", json=body)
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    granted = set(answer.json()["scopes"])
    identity = {"read:users:name!user=olga", "read:users:groups!user=olga"}
    assert granted == {"access:servers!server=olga/shown"} | identity
    assert installation.api("GET", "users/olga/tokens", token).status_code in {403, 404}
    assert installation.api("DELETE", "users/olga", token).status_code in {403, 404}


def test_an_ordinary_person_may_use_atolls_pages_and_no_one_elses_things(installation):
    paul = installation.person("paul")
    scopes = installation.api("GET", "user", paul).json()["scopes"]
    assert "access:services!service=atoll" in scopes
    assert installation.api("GET", "users", paul).status_code == 403
    assert installation.api("POST", "users/zoe", paul).status_code == 403
