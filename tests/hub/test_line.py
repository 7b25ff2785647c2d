"""Who cannot be served at once waits in line, sees where, and gets what they came for."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from atoll.servers import NO_ENDS, Ends
from support.hub import Installation, a_plan, eventually

TINY = Path(__file__).parents[1] / "support" / "tiny_hub_config.py"
FULL = "No more than 1 server may run here at once; you go on when somebody's server stops."


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    """A hub where one server may run, of everybody."""
    data = tmp_path_factory.mktemp("line")
    config = data / "jupyterhub_config.py"
    config.write_text(f"{TINY.read_text()}\nc.PersonsSpawner.turn_timeout = 15\n")
    one = Installation(data, servers={"at_once": 1, "starting": 4, "memory_free": "1G"})
    one.settings = one.settings.model_copy(
        update={"hub": one.settings.hub.model_copy(update={"config": str(config)})}
    )
    try:
        one.start()
        yield one
    finally:
        one.end()


@pytest.fixture
def hub(one_server):
    """The same, with nobody in it."""
    yield one_server
    for user in one_server.api("GET", "users?include_stopped_servers=1").json():
        for name in filter(None, user["servers"]):
            one_server.api("DELETE", f"users/{user['name']}/servers/{name}", json={"remove": True})
    eventually(lambda: not running(one_server))
    (one_server.tiny / "free-memory").unlink(missing_ok=True)


def ask(hub, owner, name="a", opening="lab", ends=NO_ENDS):
    """Have a server of *owner*'s started; return the status of the answer."""
    hub.person(owner)
    plan = replace(a_plan(owner, name, opening), ends=ends)
    hub.put(plan)
    body = {"user_options": {"plan": plan.id}}
    return hub.api("POST", f"users/{owner}/servers/{name}", json=body).status_code


def running(hub):
    users = hub.api("GET", "users").json()
    return [user["name"] for user in users for one in user["servers"].values() if one["ready"]]


def stop(hub, owner, name="a"):
    assert hub.api("DELETE", f"users/{owner}/servers/{name}").status_code in {202, 204}


@contextmanager
def watching(hub, owner, name="a"):
    """Follow the progress of a start as a page does; yield what has been said so far."""
    said: list[dict] = []
    headers = {"Authorization": f"token {hub.places.secret('service_token')}"}
    url = hub.url(f"hub/api/users/{owner}/servers/{name}/progress")

    def follow():
        with httpx2.stream("GET", url, headers=headers, timeout=90, trust_env=False) as stream:
            for line in stream.iter_lines():
                said.extend([json.loads(line[6:])] if line.startswith("data: ") else [])

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    yield said
    thread.join(30)
    assert not thread.is_alive()


def last(said):
    return said[-1]["message"] if said else ""


def test_the_second_waits_sees_why_and_goes_on_when_the_first_stops(hub):
    ask(hub, "ada")
    eventually(lambda: running(hub) == ["ada"])
    begun = time.monotonic()
    assert ask(hub, "bob") == 202
    assert time.monotonic() - begun < 9  # JupyterHub's own ten seconds would be too long
    assert ask(hub, "cleo") == 202
    with watching(hub, "bob") as bob, watching(hub, "cleo") as cleo:
        eventually(lambda: last(bob).startswith("You are next in line."))
        assert last(bob) == f"You are next in line. {FULL} We cannot say when that is."
        assert bob[-1]["waiting"]
        eventually(lambda: last(cleo).startswith("You are 2nd in line."))
        assert running(hub) == ["ada"]
        stop(hub, "ada")
        eventually(lambda: running(hub) == ["bob"])
        eventually(lambda: last(cleo).startswith("You are next in line."))
        stop(hub, "bob")
        eventually(lambda: running(hub) == ["cleo"])
    assert bob[-1]["ready"]
    assert cleo[-1]["ready"]


def test_who_leaves_gives_up_the_place_and_nothing_of_them_starts(hub):
    ask(hub, "ada")
    ask(hub, "bob")
    ask(hub, "cleo")
    with watching(hub, "cleo") as cleo:
        eventually(lambda: last(cleo).startswith("You are 2nd in line."))
        stop(hub, "bob")
        eventually(lambda: last(cleo).startswith("You are next in line."))
        stop(hub, "ada")
        eventually(lambda: running(hub) == ["cleo"])
    assert hub.server("bob", "a").get("ready", False) is False


def test_one_person_with_three_launches_does_not_hold_up_the_next(hub):
    ask(hub, "ada")
    for name in ("x", "y", "z"):
        assert ask(hub, "bob", name) == 202
    ask(hub, "cleo")
    stop(hub, "ada")
    eventually(lambda: running(hub) == ["bob"])
    stop(hub, "bob", "x")
    eventually(lambda: running(hub) == ["cleo"])


def test_a_start_that_fails_lets_the_next_one_in(hub):
    ask(hub, "ada")
    assert ask(hub, "bob", opening="broken") == 202
    ask(hub, "cleo")
    stop(hub, "ada")
    eventually(lambda: running(hub) == ["cleo"])


def test_a_start_that_is_stuck_does_not_hold_up_the_others_for_long(hub):
    assert ask(hub, "bob", opening="stuck") == 202
    with watching(hub, "bob") as bob:
        ask(hub, "cleo")
        eventually(lambda: running(hub) == ["cleo"])
    assert "The server did not start within 15 seconds." in last(bob)


def test_a_server_starts_only_when_memory_is_left_for_it(hub):
    memory = hub.tiny / "free-memory"
    memory.write_text(str(1024**3 + 10 * 1024**2))  # what is kept free, and too little more
    assert ask(hub, "ada") == 202
    with watching(hub, "ada") as ada:
        eventually(lambda: "memory is not enough" in last(ada))
        assert not running(hub)
        memory.write_text(str(2 * 1024**3))
        eventually(lambda: running(hub) == ["ada"])


def test_a_restarted_hub_counts_what_runs_and_a_server_that_was_killed_makes_room(hub):
    ask(hub, "ada")
    before = hub.pid("hub")
    hub.kill("hub")
    eventually(lambda: hub.pid("hub") != before)
    eventually(lambda: running(hub) == ["ada"])
    assert ask(hub, "bob") == 202
    stop(hub, "ada")
    eventually(lambda: running(hub) == ["bob"])


def test_the_time_in_line_is_no_time_of_the_server(hub):
    ask(hub, "ada")
    ask(hub, "bob")
    time.sleep(3)
    asked = hub.server("bob", "a")["started"]
    stop(hub, "ada")
    eventually(lambda: running(hub) == ["bob"])
    assert hub.server("bob", "a")["started"] > asked


def test_who_waits_hears_what_is_known_and_patience_ends_with_a_word_about_what_to_do(own):
    hub = own(servers={"at_once": 1, "wait": 8, "idle": "10m", "max_idle": "2h"})
    hub.start()
    ask(hub, "ada", ends=Ends(idle=1800))
    ask(hub, "bob")
    with watching(hub, "bob") as bob:
        eventually(lambda: bob and bob[-1].get("failed"))
    said = " ".join(one["message"] for one in bob)
    assert "is stopped in about 30 minutes." in said  # as ada has asked for
    assert "10 minutes" not in said
    assert "You have waited for 8 seconds, and there was no room." in last(bob)
    assert "Try again later" in last(bob)
    assert running(hub) == ["ada"]
