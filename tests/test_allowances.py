"""What somebody may have is what their groups say, else what is said for everybody."""

import pytest

from atoll.access import Kind, Party
from atoll.allowances import Ruling, allowance, ends, rulings_from, shown, words
from atoll.errors import BadSettings, Changed
from atoll.people import Person
from atoll.settings import settings_from

GIB = 1024**3
SETTINGS = settings_from(
    {
        "servers": {"memory": "2G", "max_memory": "8G", "networks": ["none", "internet"]},
        "groups": {
            "students": {"max_memory": "1G", "per_person": 2, "networks": ["none"]},
            "tutors": {"max_memory": "4G", "network": "full", "networks": ["internet", "full"]},
        },
    }
)


def of(*groups):
    return allowance(SETTINGS, Person("ada", frozenset(groups)))


def test_who_is_in_no_group_of_these_has_what_everybody_has():
    assert of() == of("others") == allowance(SETTINGS, None) == SETTINGS.servers


def test_a_group_says_less_or_more_and_the_rest_is_everybodys():
    students = of("students")
    assert (students.max_memory, students.per_person, students.networks) == (GIB, 2, ["none"])
    assert students.memory == GIB  # no more unasked than there is to be had
    assert (students.cpus, students.network) == (SETTINGS.servers.cpus, "internet")


def test_of_several_groups_the_most_generous_word_counts():
    both = of("students", "tutors")
    assert (both.max_memory, both.per_person, both.memory) == (4 * GIB, 2, 2 * GIB)
    assert (both.network, both.networks) == ("full", ["none", "internet", "full"])


def test_for_ever_is_the_most_generous_time():
    times = {"day": {"idle": "8h", "max_age": "12h"}, "night": {"idle": 0, "lifetime": "10h"}}
    settings = settings_from({"servers": {"idle": "1h", "max_age": "6h"}, "groups": times})

    def found(*groups):
        return ends(allowance(settings, Person("ada", frozenset(groups))))

    assert found() == (6 * 3600, 3600)
    assert found("day") == (12 * 3600, 8 * 3600)
    assert found("night") == (6 * 3600, 0)  # what may be at most is still everybody's
    assert found("day", "night") == (10 * 3600, 0)


def test_what_was_asked_for_counts_as_far_as_it_may():
    rules = settings_from({"servers": {"idle": "1h", "max_idle": "2h", "max_age": "6h"}}).servers
    assert ends(rules, 3600, 5400) == (3600, 5400)
    assert ends(rules, 0, 0) == (6 * 3600, 2 * 3600)
    assert ends(settings_from({}).servers, 3600, 0) == (3600, 0)


ADA = Party(Kind.PERSON, "ada")
STUDENTS, TUTORS = Party(Kind.GROUP, "students"), Party(Kind.GROUP, "tutors")


def with_rulings(*groups, **rulings):
    known = {"ada": ADA, "students": STUDENTS, "tutors": TUTORS}
    said = [Ruling(known[key], *one, "boss") for key, many in rulings.items() for one in many]
    person = Person("ada", frozenset(groups))
    return words(SETTINGS, person, said), allowance(SETTINGS, person, said)


def test_what_an_operator_sets_for_a_group_is_in_place_of_what_the_file_says_of_that_group():
    found, rules = with_rulings("students", students=[("max_memory", 6 * GIB), ("per_person", 1)])
    assert (rules.max_memory, rules.per_person, rules.networks) == (6 * GIB, 1, ["none"])
    assert found["max_memory"].source == "set for @students by boss"
    assert found["networks"].source == "@students, atoll.toml"
    assert found["cpus"].source == "everybody, atoll.toml"
    both, _ = with_rulings("students", "tutors", students=[("max_memory", 6 * GIB)])
    assert both["max_memory"].value == 6 * GIB
    less, _ = with_rulings("students", "tutors", tutors=[("max_memory", GIB // 2)])
    assert (less["max_memory"].value, less["max_memory"].source) == (GIB, "@students, atoll.toml")


def test_what_is_set_for_the_person_goes_before_all_of_it_more_or_less():
    said = [("max_memory", GIB // 4), ("networks", ["full"]), ("volume_quota", 7)]
    found, rules = with_rulings("tutors", ada=said, tutors=[("max_memory", 9 * GIB)])
    assert (rules.max_memory, rules.memory) == (GIB // 4, GIB // 4)
    assert rules.networks == ["full"]
    assert (found["volume_quota"].value, found["memory"].source) == (7, "set for ada by boss")


def test_what_is_set_for_others_counts_for_nobody_else():
    found, rules = with_rulings(students=[("max_memory", 1)])
    assert rules == SETTINGS.servers
    assert words(SETTINGS, None, [Ruling(ADA, "cpus", 1.0, "boss")]) == words(SETTINGS, None)
    group_called_ada = Person("bob", frozenset({"ada"}))
    assert words(SETTINGS, group_called_ada, [Ruling(ADA, "cpus", 1.0, "boss")]) == found


@pytest.mark.parametrize("value", ["1G", "1536M", "1025K", "7", "2T"])
def test_a_value_is_shown_as_it_can_be_sent_back(value):
    [one] = rulings_from(ADA, {"volume_quota": value}, "boss")
    assert shown("volume_quota", one.value) == value


@pytest.mark.parametrize(
    ("name", "value"), [("cpus", "1.2345678"), ("per_person", "1234567"), ("idle", "1234567s")]
)
def test_a_number_is_shown_with_all_its_digits(name, value):
    [one] = rulings_from(ADA, {name: value}, "boss")
    assert shown(name, one.value) == value


SET = [Ruling(ADA, "memory", 4 * GIB, "carl"), Ruling(ADA, "cpus", 2.0, "carl")]


def test_what_was_left_as_it_was_seen_is_not_set_again():
    sent = {"memory": "2G", "was_memory": "2048M", "cpus": "3", "was_cpus": "2", "idle": ""}
    [one] = rulings_from(ADA, sent, "boss", SET)
    assert (one.name, one.value) == ("cpus", 3)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"memory": "8G", "was_memory": "2G"}, "carl has set memory to 4G"),
        ({"memory": "8G", "was_memory": ""}, "carl has set memory to 4G"),
        ({"memory": "", "was_memory": "2G"}, "carl has set memory to 4G"),
        ({"max_cpus": "8", "was_max_cpus": "4"}, "what was set of max cpus has been taken back"),
    ],
)
def test_what_has_been_set_since_one_looked_is_told_and_not_replaced(sent, said):
    with pytest.raises(Changed, match=said):
        rulings_from(ADA, sent, "boss", SET)


def test_what_is_set_already_as_one_wants_it_needs_no_word():
    sent = {"memory": "4G", "was_memory": "2G", "max_cpus": "", "was_max_cpus": "4"}
    assert rulings_from(ADA, sent, "boss", SET) == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"max_memroy": "1G"}, "did you mean “max_memory”"),
        ({"max_memory": "much"}, "is not a size"),
        ({"networks": ["all"]}, "groups.students.networks"),
        ({"per_person": 0}, "groups.students.per_person"),
    ],
)
def test_a_mistake_in_a_groups_table_is_told(table, said):
    with pytest.raises(BadSettings, match=said):
        settings_from({"groups": {"students": table}})
