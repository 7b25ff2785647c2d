from __future__ import annotations

import os
import shutil
import stat

import pytest

from atoll.errors import BadSettings
from atoll.hub.places import (
    find_places,
    http_unix,
    read_private,
    secrets_of,
    write_private,
    write_settings,
)
from atoll.settings import load_settings, settings_from


@pytest.fixture
def places_of(tmp_path):
    made = []

    def make(bind):
        settings = settings_from({"data": str(tmp_path / "data"), "hub": {"bind": bind}})
        made.append(find_places(settings))
        return made[-1]

    yield make
    for places in made:
        shutil.rmtree(places.run, ignore_errors=True)


ADDRESSES = [
    ("http://127.0.0.1:8000", "127.0.0.1", 8000, "/", "http://127.0.0.1:8000/"),
    ("http://0.0.0.0:80/jupyter/", "0.0.0.0", 80, "/jupyter/", "http://127.0.0.1:80/jupyter/"),
    ("http://[::1]:9000/a/b", "::1", 9000, "/a/b/", "http://[::1]:9000/a/b/"),
    ("http://hub.example.org", "hub.example.org", 80, "/", "http://hub.example.org:80/"),
]


@pytest.mark.parametrize(("bind", "host", "port", "base", "url"), ADDRESSES)
def test_an_address_says_host_port_and_the_path_under_which_all_is_served(
    places_of, bind, host, port, base, url
):
    places = places_of(bind)
    assert (places.host, places.port, places.base, places.url) == (host, port, base, url)
    assert places.prefix == f"{base}services/atoll/"


@pytest.mark.parametrize(
    "bind",
    [
        "127.0.0.1:8000",
        "https://x:1",
        "http://x:y",
        "http://",
        "http://u:p@x:1",
        "",
        "http://x:99999",
    ],
)
def test_what_is_no_address_is_a_mistake_in_the_settings(places_of, bind):
    with pytest.raises(BadSettings, match="bind"):
        places_of(bind)


def test_a_secret_is_made_once_and_only_we_can_read_it(places_of):
    places = places_of("http://127.0.0.1:1")
    secret = places.secret("some_token")
    assert len(secret) >= 32
    assert places.secret("some_token") == secret
    assert places.secret("another_token") != secret
    assert stat.S_IMODE((places.data / "some_token").stat().st_mode) == 0o600


def test_a_file_that_everybody_could_read_is_private_after_it_was_written(tmp_path):
    file = tmp_path / "x"
    file.write_text("old")
    file.chmod(0o666)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_settings_are_the_same_for_every_process(tmp_path):
    settings = settings_from(
        {
            "data": str(tmp_path / 'od"d\\näme'),
            "database": {"url": "postgresql://u:p%40x@/db?host=/run"},
            "access": {"anonymous": True, "origins": ["https://a.example", "ünï😀\x7f\t"]},
            "builds": {"conda_mirrors": {"conda-forge": "https://c.example", 'a"b': "https://d"}},
            "servers": {"memory": "3G", "cpus": 0.5},
            "pages": {
                "notice": "two\nlines",
                "hubs": {"b.org": "https://b.org"},
                "prepared": [
                    {"title": 'ü "x"', "launch": "gh:a/b", "groups": ["g", "h"]},
                    {"title": "y", "launch": "gh:c/d"},
                ],
            },
            "volumes": {"folders": {"sky": {"folder": "/srv/sky", "groups": ["maths"]}}},
            "sign_in": {"kind": "pam", "people": ["ada", "ünï"], "groups": ['od"d']},
        }
    )
    write_settings(settings, tmp_path / "copy.toml")
    assert load_settings(tmp_path / "copy.toml") == settings


def test_a_socket_becomes_a_url_that_jupyterhub_understands():
    assert http_unix("/run/a b/x.sock") == "http+unix://%2Frun%2Fa%20b%2Fx.sock"


def test_a_database_password_is_known_in_every_form_in_which_it_may_be_printed(tmp_path):
    url = "postgresql://u:p%40ss%2Fword@db.example.org/x"
    settings = settings_from({"data": str(tmp_path), "database": {"url": url}})
    places = find_places(settings)
    secrets = secrets_of(settings, places)
    shutil.rmtree(places.run)
    assert {"p%40ss%2Fword", "p@ss/word", places.secret("service_token")} <= secrets
    assert "" not in secrets


def test_a_data_folder_made_by_hand_is_closed_to_others(places_of, tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    places = places_of("http://127.0.0.1:8000")
    assert stat.S_IMODE(places.data.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o700 | 0o010])
def test_a_secret_that_others_can_read_is_refused_with_what_to_do(tmp_path, mode):
    file = tmp_path / "secret"
    file.write_text("a secret\n")
    file.chmod(0o400)
    assert read_private(str(file)) == "a secret"
    file.chmod(mode)
    with pytest.raises(BadSettings, match="Others can read the secret in") as caught:
        read_private(str(file))
    assert f"chmod 600 {file}" in caught.value.hint


@pytest.mark.parametrize(
    "held", [b"", b"abc", b"\n\n", b"one\ntwo", b"\xff\xfe\xff\xff", b"x" * 5000]
)
def test_what_is_no_secret_is_refused(tmp_path, held):
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_bytes(held)
    with pytest.raises(BadSettings):
        read_private(str(file))


def test_a_secret_is_read_from_a_file_and_from_nothing_else(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)  # nobody writes into it: opening it would wait for ever
    for name in ("pipe", "nothing", "."):
        with pytest.raises(BadSettings):
            read_private(str(tmp_path / name))
