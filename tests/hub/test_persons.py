"""Nobody gets more servers than one person may have, and nobody inherits somebody else's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atoll.access import Kind, Party
from atoll.allowances import Ruling
from atoll.launching.copies import new_link
from atoll.names import new_id
from atoll.stores.sql import open_store
from atoll.volumes import Volume
from support.hub import Installation, a_plan, eventually

TINY = Path(__file__).parents[1] / "support" / "tiny_hub_config.py"
MOST = 2


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A hub where a person may have two servers running, and JupyterHub lets them name four."""
    data = tmp_path_factory.mktemp("small")
    config = data / "jupyterhub_config.py"
    config.write_text(f"{TINY.read_text()}\nc.JupyterHub.named_server_limit_per_user = 4\n")
    groups = {"many": {"per_person": MOST + 1}}
    one = Installation(data, servers={"per_person": MOST}, groups=groups)
    one.settings = one.settings.model_copy(
        update={"hub": one.settings.hub.model_copy(update={"config": str(config)})}
    )
    try:
        one.start()
        yield one
    finally:
        one.end()


def plans(hub, owner, *names):
    """Make *owner* and plans for servers called *names*; return the token and the plans."""
    token = hub.person(owner)
    made = [a_plan(owner, name) for name in names]
    hub.put(*made)
    return token, made


def links_known(hub, links, *, put=False):
    """Return which of *links* lead to copies; *put* makes them do so first."""

    async def do():
        store = open_store(hub.settings)
        await store.open()
        for one in links if put else ():
            await store.copies.put(one)
        found = [await store.copies.get(one.key) for one in links]
        await store.close()
        return [*filter(None, found)]

    return asyncio.run(do())


def ask(hub, plan, token):
    path = f"users/{plan.owner.name}/servers/{plan.name}"
    return hub.api("POST", path, token, json={"user_options": {"plan": plan.id}})


def running(hub, owner):
    servers = hub.api("GET", f"users/{owner}").json()["servers"].values()
    return sorted(one["name"] for one in servers if one["ready"])


def test_one_too_many_is_refused_over_jupyterhubs_own_api_and_says_what_to_stop(small):
    token, (a, b, c) = plans(small, "ada", "a", "b", "c")
    small.run(a, token)
    small.run(b, token)
    answer = ask(small, c, token)
    assert answer.status_code == 429
    assert "one person may have 2 running or starting" in answer.json()["message"]
    assert "Stop one that you do not need: a, b." in answer.json()["message"]
    # whoever asks, and however: the operator's service, options laid down before, another body
    assert ask(small, c, "").status_code == 429
    path = "users/ada/servers/c"
    body = {"user_options": {"plan": c.id}}
    assert small.api("PATCH", path, token, json=body).status_code == 200
    assert small.api("POST", path, token).status_code == 429
    assert small.api("POST", path, token, json={"plan": c.id}).status_code == 429
    assert running(small, "ada") == ["a", "b"]
    small.api("DELETE", "users/ada/servers/a", token)
    eventually(lambda: running(small, "ada") == ["b"])
    small.run(c, token)


def test_somebodys_group_may_have_more(small):
    token, made = plans(small, "gert", "a", "b", "c")
    operator = small.api("POST", "users/admin/tokens", json={}).json()["token"]
    assert small.api("POST", "groups/many", operator).status_code == 201
    asked = small.api("POST", "groups/many/users", operator, json={"users": ["gert"]})
    assert asked.status_code == 200
    for plan in made:
        small.run(plan, token)
    assert running(small, "gert") == ["a", "b", "c"]


def test_what_an_operator_has_set_counts_at_the_next_start(small):
    token, (a, b) = plans(small, "lea", "a", "b")
    lea = Party(Kind.PERSON, "lea")
    small.run(a, token)
    small.rulings(Ruling(lea, "per_person", 1, "boss"))
    assert ask(small, b, token).status_code == 429
    small.rulings(Ruling(lea, "per_person", None, "boss"))
    small.run(b, token)
    assert running(small, "lea") == ["a", "b"]


def test_many_at_once_do_not_slip_through(small):
    token, made = plans(small, "bob", "a", "b", "c", "d")
    with ThreadPoolExecutor(len(made)) as pool:
        answers = list(pool.map(lambda plan: ask(small, plan, token), made))
    refused = [one for one in answers if one.status_code == 429]
    assert len(refused) == len(made) - MOST, [one.text for one in answers]
    eventually(lambda: len(running(small, "bob")) == MOST)


def test_a_start_that_fails_takes_no_room(small):
    token = small.person("cleo")
    broken = [a_plan("cleo", name, opening="broken") for name in ("x", "y")]
    fine = [a_plan("cleo", name) for name in ("a", "b")]
    small.put(*broken, *fine)
    for plan in broken:
        assert ask(small, plan, token).status_code == 503
    for plan in fine:
        small.run(plan, token)


def test_administrators_are_counted_too_and_each_person_alone(small):
    made = [a_plan("admin", name) for name in ("a", "b", "c")]
    small.put(*made)
    for plan in made[:MOST]:
        small.run(plan)
    assert ask(small, made[-1], "").status_code == 429
    token, (other,) = plans(small, "dora", "a")
    small.run(other, token)


def test_a_restarted_hub_still_counts_what_runs(small):
    token, (a, b, c) = plans(small, "emil", "a", "b", "c")
    small.run(a, token)
    small.run(b, token)
    before = small.pid("hub")
    small.kill("hub")
    eventually(lambda: small.pid("hub") != before)
    eventually(lambda: running(small, "emil") == ["a", "b"])
    assert ask(small, c, token).status_code == 429


def test_jupyterhubs_own_limit_of_named_servers_holds_for_atolls_service_as_well(small):
    _, made = plans(small, "fay", "a", "b", "c", "d", "e")
    for plan in made[:4]:
        small.run(plan)
        small.api("DELETE", f"users/fay/servers/{plan.name}")
        eventually(lambda: not running(small, "fay"))
    answer = ask(small, made[4], "")  # the token of the service
    assert answer.status_code == 400
    assert "maximum of 4 named servers" in answer.json()["message"]


def test_who_is_deleted_leaves_nothing_to_the_next_person_of_that_name(small):
    token, (started, running_one, prepared) = plans(small, "gus", "ran", "runs", "never-ran")
    small.volumes(Volume(new_id(), Party(Kind.PERSON, "gus"), "x", datetime.now(UTC)))
    small.rulings(Ruling(Party(Kind.PERSON, "gus"), "per_person", 9, "boss"))
    links = [new_link("gus", plan.name, ()) for plan in (started, prepared)]
    assert len(links_known(small, links, put=True)) == len(links)
    small.run(started, token)
    small.api("DELETE", "users/gus/servers/ran", token)
    small.run(running_one, token)
    eventually(lambda: running(small, "gus") == ["runs"])
    # Nothing is taken from under a server that runs, even if the nameless one comes first.
    assert small.api("POST", "users/gus/server", token).status_code == 400
    answer = small.api("DELETE", "users/gus")
    assert answer.status_code == 400
    assert "stop these first, then delete: runs" in answer.json()["message"]
    assert running(small, "gus") == ["runs"]
    assert len(small.volumes()) == 1
    removed = small.settings.data / "tiny" / "removed"
    assert not removed.exists() or "gus/" not in removed.read_text()
    small.api("DELETE", "users/gus/servers/runs", token)
    eventually(lambda: running(small, "gus") == [])
    assert small.api("DELETE", "users/gus").status_code == 204
    removed = (small.settings.data / "tiny" / "removed").read_text()
    assert {"gus/ran", "gus/runs", "gus/never-ran"} <= set(removed.split())
    assert small.volumes() == []
    assert small.rulings() == []
    assert links_known(small, links) == []
    assert small.api("GET", "user", token).status_code == 403
    newcomer = small.person("gus")
    for plan in (started, running_one, prepared):
        assert ask(small, plan, newcomer).status_code == 404
