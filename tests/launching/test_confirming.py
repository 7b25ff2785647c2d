from __future__ import annotations

import pytest

from atoll.launching.confirming import marks, may_be_trusted
from atoll.launching.wishes import Wishes
from atoll.settings import settings_from
from atoll.sources.parsing import parse, parse_binder

RULES = settings_from({"servers": {"networks": ["none", "internet", "full"]}}).servers


def may(path: str, **wishes: str) -> bool:
    provider, _, rest = path.partition("/")
    spec, _, opening = rest.partition("?")
    target = parse_binder(provider, spec, {"urlpath": opening} if opening else {})
    return may_be_trusted(target, Wishes(**wishes), RULES)


@pytest.mark.parametrize(
    "path",
    [
        "gh/ada/engine/main",
        "gh/ada/engine/refs%2Ftags%2Fv1",
        "gh/ada/engine/0123456789012345678901234567890123456789",
        "gh/ada/engine/main?lab/tree/a/b c.ipynb",
        "gh/ada/engine/main?doc/tree/a.ipynb",
        "gh/ada/engine/main?lab",
    ],
)
def test_a_file_of_a_version_that_its_owners_make_may_be_trusted(path):
    assert may(path)


@pytest.mark.parametrize(
    ("wishes", "trusted"),
    [
        ({"title": "Mine"}, True),
        ({"lifetime": "1h", "idle": "30m"}, True),  # less than is usual
        ({"lifetime": "never"}, False),
        ({"idle": "8h"}, False),
        ({"gpus": "1"}, False),
        ({"credentials": "yes"}, False),
    ],
)
def test_so_is_what_asks_for_a_longer_life_or_what_is_not_to_be_had(wishes, trusted):
    usual = {"idle": "1h", "max_idle": 0, "lifetime": "8h"}
    rules = settings_from({"servers": usual}).servers
    assert may_be_trusted(parse("gh:ada/engine@v1"), Wishes(**wishes), rules) is trusted


@pytest.mark.parametrize(
    "path",
    [
        "gh/ada/engine/refs%2Fpull%2F7%2Fhead",
        "gh/ada/engine/pull%2F7%2Fhead",
        "gl/ada%2Fengine/refs%2Fmerge-requests%2F7%2Fhead",
    ],
)
def test_a_version_that_anybody_can_move_is_asked_about_each_time(path):
    assert not may(path)


@pytest.mark.parametrize(
    "path",
    [
        "gh/ada/engine/main?proxy/8080/do?what=it",
        "gh/ada/engine/main?lab/tree/a?reset",
        "gh/ada/engine/main?api/shutdown",
    ],
)
def test_an_address_in_the_server_that_is_no_files_is_asked_about_each_time(path):
    assert not may(path)


@pytest.mark.parametrize(
    "more", [{"memory": "4G"}, {"cpus": "3"}, {"network": "full"}, {"volumes": "thesis"}]
)
def test_what_asks_for_more_than_is_usual_is_asked_about_each_time(more):
    assert not may("gh/ada/engine/main", **more)


@pytest.mark.parametrize(
    "less", [{"memory": "1G"}, {"cpus": "1"}, {"network": "none"}, {"name": "x"}, {"at": "today"}]
)
def test_what_asks_for_less_may_be_trusted(less):
    assert may("gh/ada/engine/main", **less)


def test_one_version_says_nothing_about_another_nor_one_repository_about_a_pair():
    main, dev = marks(parse("gh:ada/engine@main")), marks(parse("gh:ada/engine@dev"))
    assert not set(main) & set(dev)
    both = marks(parse("gh:ada/engine@main + gh:bob/course"))
    assert set(main) < set(both)
