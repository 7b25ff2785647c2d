from __future__ import annotations

import json
import stat

import pytest

from atoll.hub import journal as module
from atoll.hub.journal import Journal, read_line

LINES = [
    (
        "[W 2026-01-31 12:00:00.000 JupyterHub app:3990] Beware",
        ("warning", "Beware", {"where": "app:3990"}),
    ),
    (
        "12:00:00.000 [ConfigProxy] \x1b[32minfo\x1b[39m: Route added /",
        ("info", "Route added /", {}),
    ),
    ("12:00:00.000 [ConfigProxy] warn: Terminated", ("warning", "Terminated", {})),
    ("INFO:     Started server process [7]", ("info", "Started server process [7]", {})),
    ("ERROR:    Exception in ASGI application", ("error", "Exception in ASGI application", {})),
    ('{"event": "launched", "level": "info", "key": 1}', ("info", "launched", {"key": 1})),
    ("Traceback (most recent call last):", ("error", "Traceback (most recent call last):", {})),
    ("    goes on", ("debug", "    goes on", {})),
    ('{"event": 5}', ("debug", '{"event": 5}', {})),
    ("{" * 9, ("debug", "{" * 9, {})),
]


@pytest.mark.parametrize(("line", "meaning"), LINES)
def test_a_line_is_understood_in_the_form_of_whoever_wrote_it(line, meaning):
    assert read_line(line, "debug") == meaning


@pytest.fixture
def said():
    return []


@pytest.fixture
def journal(tmp_path, said):
    journal = Journal(tmp_path / "atoll.log", said.append)
    yield journal
    journal.close()


def test_everything_is_one_json_object_a_line_that_only_we_can_read(journal):
    journal.tell("hub", "one\ntwo", where="app:1")
    (line,) = journal.file.read_text().splitlines()
    kept = json.loads(line)
    assert kept.pop("timestamp").endswith("+00:00")
    assert kept == {"event": "one\ntwo", "level": "info", "process": "hub", "where": "app:1"}
    assert stat.S_IMODE(journal.file.stat().st_mode) == 0o600


def test_only_errors_are_said_aloud_and_give_the_terminal_no_orders(journal, said):
    journal.tell("hub", "quiet", "warning")
    journal.tell("service", "loud\x1b]0;owned\x07", "error")
    assert said == ["service: loud ]0;owned "]


HOSTILE = [
    '{"event": "x", "process": "hub", "level": "critical", "self": 1, "event2": {}}',
    '{"event": "\\ud800", "level": {"a": 1}}',
    '{"event": ' + "[" * 30000,
    '{"event": "x", "exc_info": true, "stack_info": true, "_from_structlog": 1}',
    "%s %(x)s {0}",
    '{"event": "x", "timestamp": "then", "NaN": NaN, "half": "\\ud800", "who": "ünï"}',
]


@pytest.mark.parametrize("line", HOSTILE)
def test_no_line_breaks_the_journal_or_speaks_for_another_process(journal, line):
    level, event, fields = read_line(line, "info")
    journal.tell("service", event, level, **fields)
    (kept,) = journal.file.read_text().splitlines()
    assert json.loads(kept)["process"] == "service"
    assert json.loads(kept)["timestamp"] != "then"


def test_what_is_printed_without_end_takes_five_files_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 10_000)
    one = Journal(tmp_path / "atoll.log", lambda _: None)
    for number in range(2000):
        one.tell("hub", f"line {number} {'x' * 50}")
    one.close()
    files = list(tmp_path.iterdir())
    assert len(files) == 5
    assert sum(file.stat().st_size for file in files) <= 5 * 10_000
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files} == {0}
    assert "line 1999" in (tmp_path / "atoll.log").read_text()
