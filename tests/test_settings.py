import pytest

from atoll.errors import BadSettings
from atoll.settings import Settings, load_settings, settings_from


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
        ({}, 120),  # people may ask for ten minutes
        ({"idle": "8h"}, 120),
        ({"lifetime": "5m"}, 60),
        ({"idle": 0, "max_idle": "1m"}, 12),
        ({"idle": "10m"}, 120),
        ({"idle": 1}, 1),
        ({"max_age": "5m"}, 60),
        ({"idle": "8h", "max_age": "5m"}, 60),
    ],
)
def test_idle_servers_are_looked_for_often_enough_to_overlook_nobodys_last_use(rules, seconds):
    assert settings_from({"servers": rules}).pause == seconds
    assert settings_from({"groups": {"maths": rules}}).pause == seconds


def test_the_operators_folders_are_checked_one_by_one():
    good = {"folder": "/srv/sky", "groups": ["maths"]}
    settings = settings_from({"volumes": {"folders": {"sky-2": good}, "grace": "2d"}})
    assert settings.volumes.folders["sky-2"].groups == ["maths"]
    assert settings.volumes.grace == 2 * 86400
    for name, table, said in (
        ("sky", {"folder": "srv/sky"}, "volumes.folders.sky.folder: “srv/sky” is not an absolute"),
        ("sky", {}, "volumes.folders.sky.folder: must be given"),
        ("sky", {**good, "group": []}, "did you mean “groups”?"),
        ("../x", good, "cannot be a volume's name"),
        ("Sky", good, "cannot be a volume's name"),
    ):
        with pytest.raises(BadSettings, match="1 mistake") as caught:
            settings_from({"volumes": {"folders": {name: table}}})
        assert said in str(caught.value)
