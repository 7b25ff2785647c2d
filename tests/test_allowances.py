"""What somebody may have is what their groups say, else what is said for everybody."""

import pytest

from atoll.allowances import allowance, ends
from atoll.errors import BadSettings
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
