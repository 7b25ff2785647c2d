"""The tables of who may do what with a volume, and with a server, walked whole."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from atoll.access import (
    GUESTS,
    HUB,
    SERVERS,
    VOLUMES,
    Deed,
    Kind,
    Level,
    Party,
    Role,
    ServerDeed,
    Share,
    may_in,
    party,
    roles,
    roles_in,
)
from atoll.errors import BadRequest
from atoll.people import Person
from atoll.volumes import Volume

MATHS = Party(Kind.GROUP, "maths")
ADA = Party(Kind.PERSON, "ada")
PEOPLE = {
    "nobody": None,
    "visitor": Person("visitor-1", frozenset({"maths"})),
    "stranger": Person("mallory", frozenset({"physics"})),
    "reader": Person("reader"),
    "reader by group": Person("x", frozenset({"readers"})),
    "writer": Person("writer"),
    "owner": Person("ada"),
    "mate": Person("mate", frozenset({"maths"})),
    "operator": Person("root", admin=True),
}
SHARES = (
    Share(Party(Kind.PERSON, "reader")),
    Share(Party(Kind.GROUP, "readers")),
    Share(Party(Kind.PERSON, "writer"), writable=True),
)
# What each may do, written down a second time, as a person would: see, Read, Write, Change, sHare,
# Hand over, sNapshot, Delete, reStore.
DEEDS = dict(zip("erwcsonlu", Deed, strict=True))
EXPECTED = {
    "nobody": "",
    "visitor": "",
    "stranger": "",
    "reader": "er",
    "reader by group": "er",
    "writer": "erw",
    "owner": "erwcsonlu",
    "mate": "erwcsnlu",
    "operator": "ecolu",
}


def volume(owner, **more):
    return Volume("v", owner, "data", datetime.now(UTC), shares=SHARES, **more)


def whose(who):
    return MATHS if who == "mate" else ADA


def test_the_letters_are_those_of_the_deeds():
    assert [one.value for one in DEEDS.values()] == [
        *("see", "read", "write", "change", "share", "hand over", "snapshot", "delete", "restore")
    ]
    assert set(VOLUMES) == set(Deed)
    others = {Role.MONITOR, *GUESTS.values()}
    assert set(PEOPLE) - {"reader by group"} == {role.value for role in set(Role) - others}


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("letter", DEEDS)
def test_everybody_may_do_what_the_table_says_and_nothing_else(who, letter):
    allowed = volume(whose(who)).lets(PEOPLE[who], DEEDS[letter])
    assert allowed == (letter in EXPECTED[who])


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("deed", Deed)
def test_a_deleted_volume_is_there_only_for_those_who_may_restore_it(who, deed):
    gone = volume(whose(who), deleted=datetime.now(UTC))
    restores = "u" in EXPECTED[who]
    assert gone.lets(PEOPLE[who], deed) == (
        restores and deed in {Deed.SEE, Deed.DELETE, Deed.RESTORE}
    )


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("deed", Deed)
def test_nobody_writes_to_a_snapshot_and_all_else_is_as_ever(who, deed):
    expected = volume(whose(who)).lets(PEOPLE[who], deed) and deed is not Deed.WRITE
    assert volume(whose(who), origin="of").lets(PEOPLE[who], deed) == expected


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("deed", Deed)
def test_what_is_the_hubs_is_read_by_those_who_have_signed_in_and_changed_by_none(who, deed):
    public = Volume("hub:x", HUB, "x", datetime.now(UTC), shares=(Share(HUB),))
    signed_in = who not in {"nobody", "visitor"}
    assert public.lets(PEOPLE[who], deed) == (signed_in and deed in {Deed.SEE, Deed.READ})


def test_a_person_called_as_a_group_is_written_is_not_of_it():
    assert roles(Person("@maths"), MATHS) == {Role.STRANGER}
    assert roles(Person("maths"), MATHS) == {Role.STRANGER}
    assert not volume(MATHS).lets(Person("maths"), Deed.SEE)


def test_who_is_several_things_may_do_what_any_of_them_may():
    both = Person("reader", admin=True)
    assert roles(both, ADA, SHARES) == {Role.READER, Role.OPERATOR}
    assert volume(ADA).lets(both, Deed.READ)
    assert volume(ADA).lets(both, Deed.DELETE)
    assert not volume(ADA).lets(both, Deed.WRITE)


def test_parties_are_written_and_read_back():
    assert party("ada") == ADA
    assert party("@maths") == MATHS
    assert [str(one) for one in (ADA, MATHS, HUB)] == ["ada", "@maths", "@"]


@pytest.mark.parametrize("text", ["", "@", "a/b", "a\nb", "a\0", "x" * 256])
def test_what_is_no_name_is_no_party(text):
    with pytest.raises(BadRequest, match="neither a person nor a group"):
        party(text)


INSIDE = {  # of a server: Open, Run, sTart, Stop, sHare, Appoint, show to Visitors, Delete
    "nobody": "",
    "visitor": "",
    "stranger": "",
    "view": "O",
    "run": "OR",
    "manage": "ORTSH",
    "owner": "ORTSHAVD",
    "operator": "ORS",
}
LETTERS = dict(zip("ORTSHAVD", ServerDeed, strict=True))


@pytest.mark.parametrize("who", INSIDE)
def test_what_each_may_do_with_a_server_that_is_shared(who):
    level = Level(who) if who in set(Level) else None
    person = PEOPLE.get(who, Person("guest"))
    whoever = roles_in(person, "ada", level)
    assert {deed for deed in ServerDeed if may_in(deed, whoever)} == {
        LETTERS[letter] for letter in INSIDE[who]
    }


def test_every_deed_and_every_level_is_in_the_table_of_servers():
    assert set(SERVERS) == set(ServerDeed)
    assert [level.whole[-1] for level in Level] == list(Level)
    for less, more in pairwise(Level):
        assert set(less.whole) < set(more.whole)
