"""A message is plain words with an end, for whom the operator says."""

from datetime import UTC, datetime, timedelta

import pytest

from atoll.access import HUB, Kind, Party
from atoll.errors import BadRequest
from atoll.messages import LONGEST, message_from
from atoll.people import Person

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_it_goes_to_whom_it_says_and_to_nobody_else():
    ada, bob = Person("ada", frozenset({"maths"})), Person("bob")
    visitor = Person("visitor-x")
    seen = {
        whom: [one.goes_to(who) for who in (None, visitor, bob, ada)]
        for whom in ("@", "@maths", "ada", "ada/x", "visitor-x")
        if (one := message_from(whom, "x", "boss"))
    }
    assert seen["@"] == [True, True, True, True]
    assert seen["@maths"] == seen["ada"] == seen["ada/x"] == [False, False, False, True]
    assert seen["visitor-x"] == [False, False, False, False]
    assert message_from("@", "x", "b").whom == HUB
    assert message_from("ada/x", "x", "b").whom == Party(Kind.PERSON, "ada")


@pytest.mark.parametrize(
    ("until", "then"),
    [
        ("", None),
        ("2h", NOW + timedelta(hours=2)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-22T18:00", datetime(2026, 11, 22, 18, tzinfo=UTC)),
        ("2026-11-22T18:00+02:00", datetime(2026, 11, 22, 16, tzinfo=UTC)),
    ],
)
def test_it_ends_when_it_is_said_to(until, then):
    assert message_from("@", "x", "b", until=until, now=NOW).until == then


def test_it_is_one_line_of_what_can_be_seen():
    assert message_from("@", "a\n b\x1b[31m\0c\u202e\ud800d", "b").text == "a b [31m c d"


@pytest.mark.parametrize(
    "sent",
    [
        {"text": ""},
        {"text": " \n"},
        {"text": "x" * (LONGEST + 1)},
        {"level": "loud"},
        {"whom": ""},
        {"whom": "ada/"},
        {"whom": "ada/.."},
        {"whom": "@maths/x"},
        {"whom": "@/x"},
        {"whom": "x" * 300},
        {"until": "soon"},
        {"until": "2020-01-01"},
        {"until": "0s"},
        {"until": "99999d"},
        {"until": "9" * 300},
        {"until": "9999-12-31"},
    ],
)
def test_what_makes_no_sense_is_refused(sent):
    words = {"whom": "@", "text": "x", **sent}
    with pytest.raises(BadRequest):
        message_from(words.pop("whom"), words.pop("text"), "b", now=NOW, **words)
