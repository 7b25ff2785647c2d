from __future__ import annotations

import pytest

from atoll.errors import BadSettings
from atoll.settings import settings_from
from atoll.stores.sql.urls import blocking, database_url, jupyterhub_url


def settings_with(url, data="/srv/atoll"):
    return settings_from({"data": data, "database": {"url": url}})


def test_without_a_url_both_databases_are_files_in_the_data_folder():
    settings = settings_with("")
    assert str(database_url(settings)) == "sqlite+aiosqlite:////srv/atoll/atoll.sqlite"
    assert jupyterhub_url(settings) == "sqlite:////srv/atoll/jupyterhub.sqlite"


@pytest.mark.parametrize(
    "scheme",
    ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"],
)
def test_every_spelling_of_postgresql_means_psycopg_3(scheme):
    settings = settings_with(f"{scheme}://me:s%40same@db.example.org:5433/hub?sslmode=require")
    url = database_url(settings)
    assert (url.drivername, url.password, url.port) == ("postgresql+psycopg", "s@same", 5433)
    assert url.query == {"sslmode": "require"}
    assert blocking(url) == url


def test_jupyterhub_shares_a_postgresql_database_and_gets_its_password():
    settings = settings_with("postgresql://me:s%40same@db.example.org/hub")
    assert jupyterhub_url(settings) == "postgresql+psycopg://me:s%40same@db.example.org/hub"


def test_jupyterhub_gets_a_file_of_its_own_beside_a_named_sqlite_file():
    settings = settings_with("sqlite:////elsewhere/atoll.db")
    assert str(database_url(settings)) == "sqlite+aiosqlite:////elsewhere/atoll.db"
    assert jupyterhub_url(settings) == "sqlite:////srv/atoll/jupyterhub.sqlite"


@pytest.mark.parametrize(
    "url",
    ["mysql://me:sesame@h/x", "sesame", "sqlite://", "sqlite:///:memory:", "mongodb://sesame@x/y"],
)
def test_any_other_url_is_a_bad_setting_and_its_password_stays_unsaid(url):
    with pytest.raises(BadSettings) as caught:
        database_url(settings_with(url))
    assert "sesame" not in str(caught.value)
    assert "postgresql://" in caught.value.hint
