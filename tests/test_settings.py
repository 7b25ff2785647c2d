import contextlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import BadSettings, Refused
from atoll.settings import (
    Settings,
    load_settings,
    parse_duration,
    parse_size,
    run_folder,
    settings_from,
)


def test_nothing_written_is_all_defaults(tmp_path):
    file = tmp_path / "atoll.toml"
    file.write_text("")
    assert load_settings(file) == Settings()


def test_all_mistakes_are_told_together_with_what_was_meant():
    table = {
        "hubb": {},
        "hub": {"bnd": "x"},
        "servers": {"memory": "2 bananas", "cpus": -1, "network": "everything"},
        "access": {"total": "many"},
    }
    with pytest.raises(BadSettings) as caught:
        settings_from(table)
    said = str(caught.value)
    assert "has 6 mistakes" in said
    assert "hubb: there is no such setting; did you mean “hub”?" in said
    assert "hub.bnd: there is no such setting; did you mean “bind”?" in said
    for path in ("servers.memory", "servers.cpus", "servers.network", "access.total"):
        assert path in said


@pytest.mark.parametrize(
    ("text", "said"), [("[hub", "not TOML"), (b"\xff\xfe", "not TOML"), (None, "cannot be read")]
)
def test_a_file_that_is_no_settings_is_a_clear_error(tmp_path, text, said):
    file = tmp_path / "atoll.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadSettings, match=said):
        load_settings(file)


def test_a_file_that_was_named_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(BadSettings):
        load_settings()


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), (7, 7), ("2G", 2 * 1024**3), ("1.5 MiB", 1536 * 1024), ("3kb", 3072)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_sizes(text):
    with contextlib.suppress(ValueError):
        assert parse_size(text) > 0


def test_the_run_folder_is_ours_alone_and_short(tmp_path):
    folder = run_folder(Settings(data=tmp_path))
    found = folder.stat()
    assert found.st_uid == os.getuid()
    assert not stat.S_IMODE(found.st_mode) & 0o022
    assert len(str(folder / "servers" / ("0" * 24) / "lab.sock")) < 107
    assert run_folder(Settings(data=tmp_path)) == folder
    assert run_folder(Settings(data=tmp_path / "other")) != folder
    folder.rmdir()
    run_folder(Settings(data=tmp_path / "other")).rmdir()


def test_a_run_folder_that_somebody_else_prepared_is_refused(tmp_path):
    settings = Settings(data=tmp_path)
    folder = run_folder(settings)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(Refused):
            run_folder(settings)
    finally:
        folder.unlink()
    Path(folder).mkdir()
    folder.chmod(0o777)
    with pytest.raises(Refused):
        run_folder(settings)
    folder.rmdir()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), (90, 90), (1e-5, 1e-5), ("30m", 1800), ("1.5 h", 5400), ("2d", 172800), ("0", 0)],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@given(st.text() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_nothing_breaks_the_reading_of_durations(text):
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) < float("inf")


@pytest.mark.parametrize(
    "text", ["-1", "8 hours", "1..5h", "nan", "inf", "9" * 400 + "d", True, ""]
)
def test_what_is_no_duration_is_a_mistake(text):
    with pytest.raises(BadSettings, match="is not a duration"):
        settings_from({"servers": {"idle": text}})


def test_an_anonymous_server_cannot_be_kept_for_no_time_at_all():
    with pytest.raises(BadSettings, match=r"access\.idle"):
        settings_from({"access": {"idle": "0"}})


@pytest.mark.parametrize(
    ("rules", "seconds"),
    [
        ({}, 0),  # nothing is stopped unless the operator says so
        ({"idle": "8h"}, 300),
        ({"idle": "10m"}, 120),
        ({"idle": 1}, 1),
        ({"max_age": "5m"}, 60),
        ({"idle": "8h", "max_age": "5m"}, 60),
    ],
)
def test_idle_servers_are_looked_for_often_enough_to_overlook_nobodys_last_use(rules, seconds):
    assert settings_from({"servers": rules}).servers.pause == seconds
