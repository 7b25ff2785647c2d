import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.engines.local.owners import folder_name
from atoll.people import LONGEST, VISITOR, Person, unfit


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "7",
        "ada lovelace",
        "ada@example.org",
        "ünï",
        "日本",
        "a.b_c-d+e",
        "12345",
        "a" * LONGEST,
    ],
)
def test_people_can_be_called_as_most_places_call_them(name):
    assert not unfit(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", "-rf", "_x", " ada", "ada ", "@ada"),
        *(
            "a/b",
            "a\\b",
            "a%2fb",
            "a?b",
            "a#b",
            "a|b",
            "a:b",
            "a;b",
            "a'b",
            'a"b',
            "a`b",
            "<b>",
            "$x",
        ),
        *("a\nb", "a\tb", "a\0b", "a\u202eb", "a\u200bb", "a\u00a0b", "a\u0301"),
        *("ﬁ", "ａｄａ", "²"),  # what looks like another name
        "a" * (LONGEST + 1),
        "日" * 27,
        "\ud800",
    ],
)
def test_nobody_can_be_called_what_means_something_else_somewhere(name):
    assert unfit(name)


@pytest.mark.parametrize(
    "name", ["visitor-1-2", "visitor-", "service-atoll", "atoll", "atoll-idle"]
)
def test_nobody_can_be_called_like_a_visitor_or_a_service(name):
    assert unfit(name) == "names like that are Atoll's own"


@given(st.text(max_size=100))
def test_whoever_gets_in_is_no_visitor_and_has_a_folder(name):
    if not unfit(name):
        assert not Person(name).visitor
        assert not name.startswith(VISITOR)
        assert len(folder_name(name)) <= 255
