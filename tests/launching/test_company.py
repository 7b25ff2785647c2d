"""Whom a launch names to be let in."""

from __future__ import annotations

import pytest

from atoll.access import Kind, Level, Party
from atoll.errors import BadRequest, Refused
from atoll.launching.company import Guest, Invited, check_levels, guests

MATHS = Party(Kind.GROUP, "maths")


def person(name):
    return Party(Kind.PERSON, name)


def test_people_groups_and_levels_are_written_as_people_write_them():
    named = guests(" anna, bob:view ,carl:manage, group:maths:run,@logic:view,, lti:7:view")
    assert named == (
        Guest(person("anna")),
        Guest(person("bob"), Level.VIEW),
        Guest(person("carl"), Level.MANAGE),
        Guest(MATHS),
        Guest(Party(Kind.GROUP, "logic"), Level.VIEW),
        Guest(person("lti:7"), Level.VIEW),  # a name may have a colon
    )
    assert ", ".join(map(str, named)) == (
        "anna, bob:view, carl:manage, @maths, @logic:view, lti:7:view"
    )
    assert guests(", ".join(map(str, named))) == named
    assert guests("anna, anna:run") == (Guest(person("anna")),)
    assert guests("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "anna:view, anna:manage",
        "@",
        "group:",
        ":view",
        "visitor-1234:run",
        "a/b",
        "a\nb",
        "x" * 300,
        ",".join(f"p{number}" for number in range(21)),
    ],
)
def test_what_nobody_can_be_called_is_refused(text):
    with pytest.raises(BadRequest):
        guests(text)


def test_nobody_only_looks_in_a_repositorys_own_lab():
    check_levels(Invited(guests("anna, bob:manage")), own_lab=True)
    check_levels(Invited(guests("anna:view")), own_lab=False)
    with pytest.raises(Refused, match="held to looking"):
        check_levels(Invited(guests("bob, anna:view")), own_lab=True)
