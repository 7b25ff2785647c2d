"""Whoever stands in line stays there while the parts of the real Atoll are killed, one by one."""

from __future__ import annotations

import pytest

from support.gitservers import make_repo, serve
from support.hub import eventually
from support.real_atoll import RealAtoll
from support.streams import launching


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll with room for one server, which bob has, and a repository's address."""
    folder = tmp_path_factory.mktemp("line")
    make_repo(folder / "remote" / "course", {"a.txt": "first"})
    with serve(folder / "remote") as base:
        one = RealAtoll(
            folder / "hub",
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "at_once": 1},
            builds={"grace": "10m"},  # for which a launch goes on without its listener
        )
        try:
            one.start()
            with launching(one, f"{base}/course", "bob"):
                pass
            yield one, f"{base}/course"
        finally:
            one.end()


def places(heard):
    return [told["message"] for told in heard if "in line" in told["message"]]


def waiting(one, person):
    return one.server(person, "course").get("pending") == "spawn"


def test_a_killed_hub_forgets_nobody_who_waits(hub):
    one, repository = hub
    with launching(one, repository, "cleo") as cleo:
        eventually(lambda: places(cleo))
        before = one.pid("hub")
        one.kill("hub")
        eventually(lambda: one.pid("hub") != before)
        eventually(lambda: len(places(cleo)) == 2)
        assert one.server("bob", "course")["ready"]
        one.api("DELETE", "users/bob/servers/course")
    assert one.servers() == [("cleo", "course")]


def test_a_killed_service_takes_up_who_waits_and_nobody_waits_twice(hub):
    one, repository = hub
    (there,) = one.servers()
    with launching(one, repository, "dora", ends="broken") as dora:
        eventually(lambda: places(dora))
        one.kill("service")
    eventually(lambda: waiting(one, "dora"))
    one.api("DELETE", f"users/{there[0]}/servers/course")
    eventually(lambda: one.server("dora", "course").get("ready"))
    assert one.servers() == [("dora", "course")]
