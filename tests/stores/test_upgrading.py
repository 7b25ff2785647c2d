"""What an earlier Atoll had written is there, and can be read, after an upgrade from any revision.

The bodies in ``as_first_written.json`` were written by the first version that had the tables.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import JSON, MetaData, Table, insert, inspect, select, text

from atoll.access import HUB, Kind, Party
from atoll.acts import Search
from atoll.cli import main
from atoll.stores.sql import NEWEST, open_store
from atoll.stores.sql.migrating import FOLDER, configuration, connected
from atoll.stores.sql.schema import PREFIX, VERSION_TABLE, metadata
from atoll.stores.sql.urls import database_url
from support.hub import free_port

BODIES = json.loads(Path(__file__).with_name("as_first_written.json").read_text())
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
DAY = date(2026, 1, 2)
MATHS = Party(Kind.GROUP, "maths")
VOLUME = {
    "id": "v1",
    "owner": {"kind": "group", "name": "maths"},
    "name": "proofs",
    "made": "2026-01-02T12:00:00.123456Z",
    "description": "what é is",
    "quota": 5 * 10**9,
    "deleted": None,
    "origin": "",
}
# A row for each table, with all columns that it ever had; a revision takes those that it knows.
ROWS = {
    "environments": {
        "key": "0123456789abcdef0123",
        "engine": "local",
        "made": NOON,
        "used": NOON,
        "body": BODIES["environments"],
        "pinned": True,
    },
    "failures": {
        "key": "f" * 20,
        "engine": "local",
        "made": NOON,
        "error": "BuildFailed",
        "message": "It é failed.",
        "hint": "Try.",
        "log": "f.txt",
    },
    "plans": {
        "number": 7,
        "id": "plan1",
        "owner": "ada",
        "name": "notes",
        "made": NOON,
        "body": BODIES["plans"],
    },
    "launches": {
        "number": 7,
        "id": "l1",
        "person": "ada",
        "state": "preparing",
        "made": NOON,
        "body": BODIES["launches"],
    },
    "records": {
        "number": 7,
        "id": "l1",
        "person": "ada",
        "at": NOON,
        "status": "success",
        "body": BODIES["records"],
    },
    "stops": {"owner": "ada", "name": "notes", "at": NOON, "why": "idle"},
    "trusts": {"person": "ada", "what": "git https://example.org/a", "at": NOON},
    "volumes": {
        "id": "v1",
        "owner": "group:maths",
        "name": "proofs",
        "deleted": None,
        "body": VOLUME,
    },
    "shares": {"volume": "v1", "whom": "person:ada", "writable": True},
    "acts": {
        "number": 7,
        "at": NOON,
        "who": "ada",
        "deed": "stop",
        "kind": "server",
        "what": "bob/x",
        "server": "bob/x",
        "way": "page",
        "address": "192.0.2.7",
        "detail": {"why": "é"},
    },
    "costs": {
        "day": DAY,
        "thing": "server",
        "owner": "person:ada",
        "name": "notes",
        "cpu": 1.5,
        "memory": 2.5,
        "disk": 10**12,
        "groups": ["maths"],
    },
    "readings": {
        "handle": "h1",
        "owner": "ada",
        "name": "notes",
        "at": NOON,
        "started": NOON,
        "cpu": 1.5,
        "memory": 10**12,
        "cpus": 0.5,
    },
    "rulings": {
        "whom": "group:maths",
        "name": "memory",
        "value": 2**33,
        "by": "boss",
        "at": NOON,
    },
    "messages": {
        "number": 7,
        "whom": "hub:",
        "text": "Down at six, é.",
        "level": "warning",
        "server": "",
        "by": "boss",
        "at": NOON,
        "until": None,
    },
    "dismissals": {"message": 7, "person": "ada"},
    "copies": {"owner": "ada", "name": "notes", "key": "a-key", "made": NOON, "volumes": ["v1"]},
}


def revisions():
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def reflected(connection):
    """Return the tables that there are, in an order in which rows can be put into them."""
    found = MetaData()
    found.reflect(
        connection, only=lambda name, _: name.startswith(PREFIX) and name != VERSION_TABLE
    )
    for table in found.sorted_tables:
        for column in table.columns:
            if column.name in {"body", "detail", "groups", "value", "volumes"}:
                column.type = JSON()
    return found.sorted_tables


def filled(connection, table: Table):
    """Put its row into *table*, as far as this revision knows it."""
    name = table.name.removeprefix(PREFIX)
    assert name in ROWS, f"Put a row of {table.name} into ROWS, and read it in `everything`."
    sqlite = connection.dialect.name == "sqlite"
    row = {
        key: value.replace(tzinfo=None) if sqlite and isinstance(value, datetime) else value
        for key, value in ROWS[name].items()
        if key in table.c
    }
    assert set(row) == set(table.c.keys()), f"{table.name} has other columns than ROWS says."
    connection.execute(insert(table).values(**row))


def rows_of(connection, tables):
    """Return all that is in *tables*, as the connection has them now."""
    known = {table.name: table for table in reflected(connection)}
    return {
        table.name: connection.execute(
            select(*(known[table.name].c[one.name] for one in table.c))
        ).all()
        for table in tables
    }


async def everything(store):
    """Read what ROWS says through the store, by table, where there is any."""
    key = ROWS["environments"]["key"]
    [environment] = await store.shelf.all() or [None]
    yield "environments", environment and environment.environment.handle, "/data/environments/0123"
    failure = await store.shelf.failure("f" * 20, "local")
    yield "failures", failure and str(failure.error), "It é failed."
    plan = await store.plans.get("plan1", "ada")
    yield "plans", (plan.environment.key, plan.limits.memory), (key, 123456789012)
    yield "plans", [one.id for one in await store.plans.kept()], ["plan1"]
    yield "launches", [one.id for one in await store.launches.unfinished()], ["l1"]
    yield "records", [one.provider for one in await store.records.newest()], ["GitHub"]
    yield "stops", [one.why.value for one in (await store.stops.latest("ada")).values()], ["idle"]
    yield "trusts", [*await store.trusts.all("ada")], ["git https://example.org/a"]
    volumes = await store.volumes.of([Party(Kind.PERSON, "ada")])
    yield "volumes", [(one.owner, one.quota) for one in volumes], [(MATHS, 5 * 10**9)]
    yield "shares", [share.writable for one in volumes for share in one.shares], [True]
    acts = await store.acts.find(Search())
    yield "acts", [(number, one.detail) for number, one in acts], [(7, {"why": "é"})]
    costs = await store.costs.between(DAY, DAY)
    yield "costs", [(one.disk, one.groups) for one in costs], [(10**12, ("maths",))]
    yield "readings", [one.at for one in await store.costs.readings()], [NOON]
    rulings = await store.rulings.all()
    yield "rulings", [(one.whom, one.value) for one in rulings], [(MATHS, 2**33)]
    messages = await store.messages.live(NOON)
    yield "messages", [(one.whom, one.number) for one in messages], [(HUB, 7)]
    link = await store.copies.get("a-key")
    yield "copies", link and (link.owner, link.volumes), ("ada", ("v1",))
    yield "dismissals", [*await store.messages.dismissed("ada")], [7]


@pytest.mark.parametrize("revision", revisions())
async def test_every_row_of_an_earlier_atoll_is_there_and_read_after_an_upgrade(settings, revision):
    url = database_url(settings)
    with connected(url) as connection:
        command.upgrade(configuration(connection), revision)
        tables = reflected(connection)
        for table in tables:
            filled(connection, table)
        before = rows_of(connection, tables)
    store = open_store(settings)
    await store.open()
    there = {table.name.removeprefix(PREFIX) for table in tables}
    wrong = [
        (name, found, expected)
        async for name, found, expected in everything(store)
        if name in there and found != expected
    ]
    assert wrong == []
    if "pinned" in {column.name for table in tables for column in table.c}:
        [environment] = await store.shelf.all()
        assert environment.pinned
    await store.close()
    with connected(url) as connection:
        assert rows_of(connection, tables) == before
        assert {*inspect(connection).get_table_names()} >= {*metadata.tables}
        found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        assert found == NEWEST


async def test_each_table_is_read_in_this_test(settings):
    store = open_store(settings)
    await store.open()
    await store.close()
    assert {f"{PREFIX}{name}" for name in ROWS} == {*metadata.tables}


def test_atoll_up_refuses_the_data_of_a_newer_atoll_and_leaves_it_as_it_is(settings, tmp_path):
    url = database_url(settings)
    with connected(url) as connection:
        command.upgrade(configuration(connection), "head")
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    file = tmp_path / "atoll.toml"
    bind = f"http://127.0.0.1:{free_port()}"
    file.write_text(f'[hub]\nbind = "{bind}"\n[database]\nurl = "{settings.database.url}"\n')
    environ = {"ATOLL_DATA": str(settings.data), "ATOLL_CONFIG": str(file)}
    ran = CliRunner(env=environ).invoke(main, ["up"])
    assert ran.exit_code != 0
    assert "made by a newer Atoll: its tables are of 9999" in ran.output
    assert "Start that version" in ran.output
    with connected(url) as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "9999"
