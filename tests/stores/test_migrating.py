"""Tables come up to date on both real databases, whoever asks and however many at once."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, make_url, text

from atoll.errors import Lacking, Unreachable
from atoll.settings import settings_from
from atoll.stores.sql import NEWEST, open_store
from atoll.stores.sql.migrating import configuration, connected, migrate
from atoll.stores.sql.schema import PREFIX, VERSION_TABLE, metadata
from atoll.stores.sql.urls import database_url
from support.postgres import fresh_database

OPEN_AND_WRITE = """
import asyncio, json, sys
from dataclasses import replace
from atoll.settings import settings_from
from atoll.stores.sql import open_store
from atoll.environments import Environment, EnvKey

async def main(table, who):
    store = open_store(settings_from(table))
    await store.open()
    for number in range(20):
        await store.shelf.put(Environment(EnvKey(f"{who}-{number}"), "local", "/x"))
        await store.shelf.put(Environment(EnvKey("shared"), "local", who))
    await store.close()

asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture
def url(settings):
    return database_url(settings)


def test_the_migrations_lead_to_the_tables_in_the_code(url):
    migrate(url)
    with connected(url) as connection:
        options = {
            "version_table": VERSION_TABLE,
            "include_name": lambda name, kind, _: kind != "table" or name.startswith(PREFIX),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_every_table_of_ours_bears_our_prefix(url):
    migrate(url)
    with connected(url) as connection:
        names = inspect(connection).get_table_names()
    assert len(names) == len(metadata.tables) + 1
    assert all(name.startswith(PREFIX) for name in names)


def test_jupyterhubs_tables_beside_ours_are_left_alone(url):
    with connected(url) as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
        connection.execute(text("CREATE TABLE users (id INTEGER)"))
    migrate(url)
    with connected(url) as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        assert found.all() == ["theirs"]


def test_processes_that_open_at_once_all_find_whole_tables_and_lose_no_write(settings):
    table = settings.model_dump_json()
    them = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_WRITE, table, f"p{number}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    said = [process.communicate(timeout=60)[1] for process in them]
    assert [process.returncode for process in them] == [0, 0, 0], said
    url = database_url(settings)
    with connected(url) as connection:
        count = connection.execute(text("SELECT count(*) FROM atoll_environments")).scalar()
    assert count == 3 * 20 + 1


def test_a_step_that_fails_leaves_nothing_behind(url, monkeypatch):
    from alembic import op

    def fail(*args, **kwargs):
        raise RuntimeError("the power went out")

    monkeypatch.setattr(op, "batch_alter_table", fail)  # the first step's tables exist by then
    with pytest.raises(RuntimeError):
        migrate(url)
    monkeypatch.undo()
    with connected(url) as connection:
        assert inspect(connection).get_table_names() == []
    migrate(url)


def test_environments_of_before_there_were_pins_are_kept_without_one(url):
    row = "('k', 'local', '2026-01-02 03:04:05', '2026-01-02 03:04:05', '{}')"
    with connected(url) as connection:
        command.upgrade(configuration(connection), "0002")
        into = "INSERT INTO atoll_environments (key, engine, made, used, body) VALUES"
        connection.execute(text(f"{into} {row}"))
    migrate(url)
    with connected(url) as connection:
        found = connection.execute(text("SELECT key, pinned FROM atoll_environments")).all()
    assert [tuple(one) for one in found] == [("k", False)]


def test_the_revision_that_the_code_needs_is_the_last_one(url):
    with connected(url) as connection:
        steps = ScriptDirectory.from_config(configuration(connection))
        assert steps.get_current_head() == NEWEST


ALEMBIC = """
import asyncio, json, sys
from atoll.settings import settings_from
from atoll.stores.sql import open_store

asyncio.run(open_store(settings_from(json.loads(sys.argv[1]))).open())
print("alembic" in sys.modules)
"""


def test_where_nothing_is_to_be_changed_nothing_for_it_is_loaded(settings):
    table = settings.model_dump_json(include={"data", "database"})
    for loaded in (b"True\n", b"False\n"):
        command = [sys.executable, "-P", "-c", ALEMBIC, table]
        assert subprocess.run(command, capture_output=True, check=True).stdout == loaded


async def test_a_database_of_a_newer_atoll_is_refused_and_kept(settings, url):
    migrate(url)
    with connected(url) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(Lacking, match="newer Atoll"):
        await open_store(settings).open()


async def test_a_server_that_is_not_there_is_unreachable_and_its_password_unsaid(tmp_path):
    table = {"database": {"url": "postgresql://me:sesame@127.0.0.1:1/x"}}
    store = open_store(settings_from({"data": str(tmp_path), **table}))
    with pytest.raises(Unreachable) as caught:
        await store.open()
    assert "sesame" not in f"{caught.value}{caught.value.hint}"


async def test_questions_to_a_server_that_is_gone_are_answered_unreachable(tmp_path):
    table = {"database": {"url": f"postgresql://me:sesame@/x?host={tmp_path}"}}
    store = open_store(settings_from({"data": str(tmp_path), **table}))
    with pytest.raises(Unreachable):
        await store.plans.latest("ada")
    await store.close()


async def test_a_server_that_was_restarted_is_connected_to_anew(postgres_server, tmp_path):
    with fresh_database(postgres_server) as url:
        store = open_store(settings_from({"data": str(tmp_path), "database": {"url": url}}))
        await store.open()
        await store.plans.latest("ada")
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            ended = connection.execute(  # each waited for: only then has it hung up
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s",
                [make_url(url).database],
            ).fetchall()
        assert ended == [(True,)]
        assert await store.plans.latest("ada") == {}
        await store.close()


async def test_the_sqlite_file_is_for_nobody_elses_eyes(tmp_path):
    store = open_store(settings_from({"data": str(tmp_path / "data")}))
    await store.open()
    await store.plans.latest("ada")
    files = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "data").iterdir()}
    await store.close()
    assert "atoll.sqlite" in files
    assert files == dict.fromkeys(files, 0)


async def test_the_sqlite_file_lets_people_read_while_one_writes(tmp_path):
    store = open_store(settings_from({"data": str(tmp_path)}))
    await store.open()
    with connected(make_url(f"sqlite:///{tmp_path}/atoll.sqlite")):  # somebody is writing
        assert await store.plans.latest("ada") == {}
    await store.close()
