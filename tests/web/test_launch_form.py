from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from atoll.errors import AtollError, BadRequest
from atoll.people import Person
from atoll.servers import Network
from atoll.settings import settings_from
from atoll.settings.sections import ServerSettings
from atoll.web.launch_form import LaunchForm, most_cpus, request_from

ADA = Person("ada")
RULES = settings_from({"servers": {"max_memory": "8G", "max_cpus": 4}}).servers
URL = "https://github.com/ada/engine"


def asked(rules: ServerSettings = RULES, **fields: str):
    return request_from(LaunchForm(**{"repository": URL, **fields}), ADA, rules)


def test_nothing_but_a_repository_gets_what_the_operator_set():
    request = asked()
    assert request.limits.memory == 2 * 1024**3
    assert request.limits.cpus == 2
    assert request.network is Network.INTERNET
    assert not request.temporary
    assert request.typed == URL


@pytest.mark.parametrize(
    "fields",
    [
        {"memory": "8.1G"},
        {"memory": "lots"},
        {"memory": "-1G"},
        {"memory": "1e400"},
        {"cpus": "5"},
        {"cpus": "0"},
        {"cpus": "nan"},
        {"cpus": "inf"},
        {"cpus": "many"},
        {"network": "full"},
        {"network": "host"},
        {"name": "Up"},
        {"name": "a--b"},
        {"name": "../x"},
        {"temporary": "for ever"},
        {"at": "tomorrow"},
        {"at": "date", "date": ""},
        {"at": "date", "date": "2024-13-01"},
        {"version": "--upload-pack=x"},
        {"repository": ""},
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(fields):
    with pytest.raises(AtollError) as caught:
        asked(**fields)
    assert caught.value.status == 400


def test_a_day_to_come_is_refused():
    later = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    with pytest.raises(BadRequest, match="still to come"):
        asked(at="date", date=later)


def test_the_most_that_is_offered_can_be_had():
    request = asked(memory="8G", cpus="4", network="none", at="date", date="2020-02-29")
    assert request.limits.memory == 8 * 1024**3
    assert request.network is Network.NONE
    assert request.at == "2020-02-29"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"version": "v2", "opening": "a.ipynb"},
        {"repository": f"{URL}/blob/main/a.ipynb"},
        {"repository": f"gh:ada/env + {URL}", "version": "v2", "opening": "a.ipynb"},
        {"name": "mine", "temporary": "yes", "memory": "4G", "cpus": "1.5", "network": "none"},
        {"at": "today"},
        {"at": "date", "date": "2020-01-01"},
        {"title": "Ma thèse", "lifetime": "8h", "idle": "never"},
        {"gpus": "1", "credentials": "yes", "volumes": "thesis:data:ro"},
    ],
)
def test_the_form_can_be_filled_in_again(fields):
    form = LaunchForm(**{"repository": URL, **fields})
    assert LaunchForm.of(request_from(form, ADA, RULES), RULES) == form


def test_only_known_text_fields_are_read():
    assert LaunchForm.read({"repository": "x", "person": "eve", "memory": 7}) == LaunchForm("x")


def test_no_more_processors_are_offered_than_there_are(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert most_cpus(RULES) == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(96)))
    assert most_cpus(RULES) == RULES.max_cpus
