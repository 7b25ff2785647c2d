from __future__ import annotations

import pytest

from atoll.errors import BadRequest
from atoll.launching.wishes import Wishes
from atoll.people import Person
from atoll.servers import Ends, Limits, Network
from atoll.settings import settings_from
from atoll.sources.parsing import parse
from atoll.volumes import Wish

RULES = settings_from({"servers": {"max_memory": "8G", "max_cpus": 4}}).servers
TARGET = parse("gh:ada/engine@v1")
ALL = Wishes(
    *("mine", "yes", "4G", "1.5", "none", "2020-01-01", "thesis:data:ro, bob/x:x"),
    *("Thèse, 2ᵉ", "8h", "never", "2", "yes"),
)


def asked(wishes: Wishes):
    return wishes.request(TARGET, Person("ada"), RULES, typed="it")


def test_what_is_wished_for_is_what_is_launched():
    request = asked(ALL)
    assert (request.name, request.temporary, request.at) == ("mine", True, "2020-01-01")
    assert request.limits == Limits(1.5, 4 * 1024**3, RULES.processes, 2)
    assert request.network is Network.NONE
    assert request.repo == TARGET.repo
    assert (request.title, request.ends) == ("Thèse, 2ᵉ", Ends(8 * 3600, 0))
    assert request.credentials
    assert request.mounts == (Wish("data", "thesis", read_only=True), Wish("x", "bob/x"))


def test_without_a_wish_it_is_as_the_operator_has_set():
    request = asked(Wishes())
    assert request.limits == Limits(RULES.cpus, int(RULES.memory), RULES.processes)
    assert not request.temporary
    assert Wishes.of(request, RULES) == Wishes()


def test_a_request_says_what_was_wished_for():
    assert Wishes.of(asked(ALL), RULES) == ALL


@pytest.mark.parametrize("host", ["https://hub.example.org", "http://127.0.0.1:8000/jupyter"])
def test_a_link_carries_its_wishes_to_wherever_it_is_pasted(host):
    link = f"{host}/v2/gh/ada/engine/v1?urlpath=lab&memory=4G&temporary=TRUE&cpus=1&x=y"
    assert Wishes.of_link(f" {link} ").asked() == {
        "memory": "4G",
        "cpus": "1",
        "temporary": "TRUE",
    }
    assert asked(Wishes.of_link(link)).temporary


@pytest.mark.parametrize(
    "text",
    [
        "gh:ada/engine",
        "https://github.com/ada/engine?memory=4G",
        "https://hub.example.org/v2/nothing/ada?memory=4G",
        "https://mybinder.org/?memory=4G",
        "http://[?memory=4G",
        "",
    ],
)
def test_what_is_no_link_of_ours_carries_none(text):
    assert Wishes.of_link(text) == Wishes()


def test_a_program_writes_them_as_json_has_them():
    sent = {
        "memory": 4 * 1024**3,
        "cpus": 1.5,
        "temporary": True,
        "visitors": False,
        "title": None,
        "volumes": [["data", "thesis:ro"], "bob/x:x"],
        "people": ["bob", "@maths:view"],
        "unknown": {},
    }
    read = Wishes.of_program(sent)
    assert read.asked() == {
        "memory": "4294967296",
        "cpus": "1.5",
        "temporary": "yes",
        "volumes": "thesis:data:ro, bob/x:x",
        "people": "bob, @maths:view",
    }
    assert asked(read).mounts == (Wish("data", "thesis", read_only=True), Wish("x", "bob/x"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("memory", {}), ("name", "x" * 1001), ("people", ["x" * 900, "y" * 900])],
        *[("people", [7]), ("people", [["a", "b"]]), ("volumes", [["data"]]), ("volumes", [None])],
        *[("volumes", [["a", "b", "c"]]), ("volumes", [{"data": "thesis"}]), ("at", [[]])],
    ],
)
def test_what_a_program_writes_and_nobody_knows_is_refused_by_its_name(name, value):
    with pytest.raises(BadRequest, match=name):
        Wishes.of_program({name: value})


def test_only_texts_that_are_known_are_read_and_no_more_of_them_than_is_sensible():
    read = Wishes.read({"memory": 7, "person": "eve", "name": "x" * 5000, "temporary": "No"})
    assert read == Wishes(name="x" * 1000)


@pytest.mark.parametrize(
    "wish",
    [
        {"memory": "8.1G"},
        {"memory": "lots"},
        {"memory": "1"},
        {"cpus": "5"},
        {"cpus": "1e-320"},
        {"cpus": "nan"},
        {"network": "full"},
        {"network": "host"},
        {"name": "../x"},
        {"temporary": "perhaps"},
        {"at": "2024-13-01"},
        {"at": "9999-01-01"},
        {"volumes": "a:b:c"},
        {"title": "a\nb"},
        {"title": "x" * 101},
        {"lifetime": "long"},
        {"lifetime": "-1h"},
        {"lifetime": "1e400"},
        {"lifetime": "5m"},  # it would hardly have started
        {"idle": "0.1"},
        {"gpus": "-1"},
        {"gpus": "1.5"},
        {"gpus": "100"},
        {"gpus": "²"},
        {"credentials": "perhaps"},
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_a_hint(wish):
    with pytest.raises(BadRequest) as caught:
        asked(Wishes(**wish))
    assert caught.value.hint or "size" in str(caught.value)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"lifetime": "9h"}, "at most 8h"),
        ({"lifetime": "never"}, "at most 8h"),
        ({"lifetime": "0"}, "at most 8h"),
        ({"idle": "never"}, "at most 2h"),
        ({"idle": "121m"}, "at most 2h"),
        ({"idle": "599"}, "10m at least"),
    ],
)
def test_no_server_lives_longer_than_the_operator_lets_it(wish, said):
    bounded = settings_from({"servers": {"idle": "1h", "max_idle": "2h", "max_age": "8h"}}).servers
    with pytest.raises(BadRequest, match=said):
        Wishes(**wish).request(TARGET, Person("ada"), bounded, typed="it")
    asked = Wishes(lifetime="8H", idle="2h").request(TARGET, Person("ada"), bounded, typed="it")
    assert asked.ends == Ends(8 * 3600, 2 * 3600)


def test_where_the_operators_own_bound_is_short_it_may_be_asked_for():
    short = settings_from({"servers": {"max_age": "2m"}}).servers
    asked = Wishes(lifetime="2m").request(TARGET, Person("ada"), short, typed="it")
    assert asked.ends.lifetime == 120


def test_people_and_visitors_are_wished_for_and_written_again():
    wishes = Wishes(people="anna, bob:view, @maths", visitors="yes")
    request = asked(wishes)
    assert request.invited.visitors
    assert len(request.invited.people) == 3
    assert Wishes.of(request, RULES) == wishes
    assert not asked(Wishes.read({"visitors": "no"})).invited.anybody
    with pytest.raises(BadRequest, match="Visitors may have copies, or may not"):
        asked(Wishes(visitors="perhaps"))
