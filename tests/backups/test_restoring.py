"""An installation is backed up while it is in use, and made again elsewhere."""

import asyncio
import dataclasses
import os
import sqlite3
import stat
import tarfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from atoll.backups import MAKING, RESTORING, databases, work_room
from atoll.backups.archive import reading, writing
from atoll.backups.making import Wish, back_up
from atoll.backups.restoring import look_through, restore
from atoll.disk import remove
from atoll.engines.local.owners import FIRST, VOLUMES, adopt, give
from atoll.errors import AtollError, BadRequest, Busy, Lacking, NotFound, Refused
from atoll.hub.preparation import claim
from atoll.names import new_id
from atoll.providers.making import mark
from atoll.settings import settings_from
from atoll.sources import RepoRef
from atoll.stores.sql import open_store
from support.plans import make_plan
from support.postgres import fresh_database
from support.small_disk import tell_on_small_disk

SECRETS = ("admin_password", "jupyterhub_cookie_secret", "service_token")


def silent(*_):
    """Hear how far it has come."""


@pytest.fixture
def old(tmp_path):
    return tmp_path / "old"


@pytest.fixture
def backups(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


async def furnish(data, **tables):
    """Make an installation in *data* with two people's servers; return its settings."""
    settings = settings_from({"data": str(data), **tables})
    data.mkdir()
    store = open_store(settings)
    await store.open()
    for owner, name in (("ada", "first"), ("ada", "second"), ("grace@example.org", "third")):
        plan = make_plan(data, {"a.txt": "repository's"}, owner=owner, name=name)
        await store.plans.put(plan)
        home = data / "volumes" / owner / name / "home"
        home.mkdir(parents=True)
        (home / "work.ipynb").write_text(f"{owner}'s {name}")
        home.with_name("origin.txt").write_text("https://example.org/r\nc0ffee\n")
    await store.plans.put(make_plan(data, {"b": "b"}, name="gone", temporary=True))
    await store.close()
    for name in SECRETS:
        (data / name).write_text(f"{name} of old")
        (data / name).chmod(0o600)
    for again in ("cache/uv", "mirrors/x.git", "servers/1234", "logs"):
        (data / again).mkdir(parents=True)
        (data / again / "large").write_text("made again")
    with sqlite3.connect(data / "jupyterhub.sqlite") as hub:
        hub.execute("CREATE TABLE users (name TEXT)")
        hub.execute("INSERT INTO users VALUES ('ada')")
    return settings


async def plans_of(settings):
    store = open_store(settings)
    await store.open()
    kept = await store.plans.kept()
    await store.close()
    return {(plan.owner.name, plan.name): plan for plan in kept}


async def there(file, data, **tables):
    """Restore *file* into *data*, in a thread, as the command does it without a loop."""
    settings = settings_from({"data": str(data), **tables})
    return settings, await asyncio.to_thread(restore, file, settings, silent, given=bool(tables))


async def made(settings, target, **more):
    return await asyncio.to_thread(back_up, Wish(settings, **more), target, silent)


async def test_all_that_cannot_be_made_again_comes_back_elsewhere(old, backups, tmp_path):
    settings = await furnish(old)
    backup = await made(settings, backups)
    assert [one.name for one in backups.iterdir()] == [backup.file.name]
    assert stat.S_IMODE(backup.file.stat().st_mode) == 0o600
    assert {(one.person, one.name) for one in backup.servers} == {
        ("ada", "first"),
        ("ada", "second"),
        ("grace@example.org", "third"),
    }
    remove(old)

    new, found = await there(backup.file, tmp_path / "new")
    data = tmp_path / "new"
    assert found.manifest.data == str(old)
    assert {one.name for one in data.iterdir()} - {"atoll.sqlite.lock"} == {
        *SECRETS,
        *("volumes", "atoll.sqlite", "jupyterhub.sqlite"),
    }
    assert (data / "volumes" / "ada" / "first" / "home" / "work.ipynb").read_text() == "ada's first"
    assert (data / "admin_password").read_text() == "admin_password of old"
    assert stat.S_IMODE((data / "admin_password").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    with sqlite3.connect(data / "jupyterhub.sqlite") as hub:
        assert hub.execute("SELECT name FROM users").fetchall() == [("ada",)]
    plans = await plans_of(new)
    assert len(plans) == 3
    for plan in plans.values():  # what else would lead to the old folder, if that is there
        assert Path(plan.environment.handle).is_relative_to(data)
        assert Path(plan.content.checkout).is_relative_to(data)


async def test_a_folder_that_is_not_empty_is_left_alone(old, backups, tmp_path):
    backup = await made(await furnish(old), backups)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("mine")
    with pytest.raises(Refused, match=r"is not empty: it holds thesis\.txt") as refused:
        await there(backup.file, tmp_path / "new")
    assert "ATOLL_DATA=" in refused.value.hint
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["thesis.txt"]
    with pytest.raises(Refused, match="is not empty"):
        await there(backup.file, old)
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)  # a file system of its own
    await there(backup.file, tmp_path / "disk")
    assert (tmp_path / "disk" / "volumes").is_dir()


async def test_a_backup_that_was_cut_off_leaves_nothing(old, backups, tmp_path):
    backup = await made(await furnish(old), backups)
    whole = backup.file.read_bytes()
    for part in (0.3, 0.9, 0.999):
        backup.file.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(Refused, match=r"cut off or damaged|not a backup"):
            await there(backup.file, tmp_path / "new")
        assert not (tmp_path / "new").exists() or not list((tmp_path / "new").iterdir())
        with pytest.raises(Refused, match=r"cut off or damaged|not a backup"):
            look_through(backup.file, silent)


async def test_rows_written_meanwhile_are_whole_and_nobody_is_kept_waiting(old, backups, tmp_path):
    settings = await furnish(old)
    begun, stopped = threading.Event(), threading.Event()
    slowest = 0.0

    def write():
        nonlocal slowest
        with sqlite3.connect(old / "jupyterhub.sqlite", timeout=30) as hub:
            hub.execute("PRAGMA journal_mode = WAL")
            hub.execute("CREATE TABLE pairs (a, b)")
            number = 0
            while not stopped.is_set():
                began = time.monotonic()
                hub.execute("INSERT INTO pairs VALUES (?, 0)", [number])
                hub.execute("UPDATE pairs SET b = a WHERE a = ?", [number])
                hub.commit()
                slowest = max(slowest, time.monotonic() - began)
                number += 1
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        begun.wait(30)
        files = [(await made(settings, backups / f"{n}.tar")).file for n in range(3)]
    finally:
        stopped.set()
        writer.join()
    counts = []
    for file in files:
        data = tmp_path / file.stem
        await there(file, data)
        with sqlite3.connect(data / "jupyterhub.sqlite") as hub:
            counts.append(hub.execute("SELECT count(*) FROM pairs").fetchone()[0])
            assert hub.execute("SELECT count(*) FROM pairs WHERE a != b").fetchone() == (0,)
    assert counts == sorted(counts)
    assert slowest < 5


async def test_settings_come_back_and_name_the_new_folder(old, backups, tmp_path):
    await furnish(old)
    config = tmp_path / "etc" / "hub.py"
    config.parent.mkdir()
    config.write_text("c.JupyterHub.admin_access = False\n")
    file = tmp_path / "etc" / "atoll.toml"
    text = f"# ours\ndata = '{old}' # here\n[hub]\nbind = 'http://127.0.0.1:9'\nconfig = '{config}'"
    file.write_text(text)
    hub = {"bind": "http://127.0.0.1:9", "config": str(config)}
    backup = await made(settings_from({"data": str(old), "hub": hub}), backups, file=file)
    _, found = await there(backup.file, tmp_path / "new")
    data = tmp_path / "new"
    written = (data / "atoll.toml").read_text()
    assert written == text.replace(f"data = '{old}' # here", f'data = "{data}"')
    assert (data / "jupyterhub_config.py").read_text() == config.read_text()
    assert "[hub] config" in found.notes[0]


async def test_settings_that_cannot_be_corrected_are_put_aside(old, backups, tmp_path):
    settings = await furnish(old)
    (old / "atoll.toml").write_text(f'"data" = """{old}"""\n')
    backup = await made(settings, backups)
    _, found = await there(backup.file, tmp_path / "new")
    assert "atoll.toml.restored" in found.notes[0]
    assert not (tmp_path / "new" / "atoll.toml").exists()


async def test_uploads_of_kept_servers_go_in_since_nobody_else_has_them(old, backups, tmp_path):
    settings = await furnish(old)
    digest = "ab" * 32
    locator = f"upload:{digest}/course.zip"
    plan = make_plan(old, {}, name="uploaded")
    ref = dataclasses.replace(plan.ref, repo=RepoRef("deposits", locator), version=digest)
    store = open_store(settings)
    await store.plans.put(dataclasses.replace(plan, ref=ref))
    await store.close()
    name = mark(locator, digest, trusted=False)
    (old / "checkouts" / name / "tree").mkdir(parents=True)
    (old / "checkouts" / name / "tree" / "a.ipynb").write_text("{}")
    backup = await made(settings, backups)
    await there(backup.file, tmp_path / "new")
    assert [one.name for one in (tmp_path / "new" / "checkouts").iterdir()] == [name]


async def test_environments_go_in_when_asked_for(old, backups, tmp_path):
    settings = await furnish(old)
    (old / "environments" / "unused" / "env").mkdir(parents=True)
    backup = await made(settings, backups, environments=True)
    await there(backup.file, tmp_path / "new")
    new = tmp_path / "new" / "environments"
    assert [one.name for one in new.iterdir()] == ["bare"]
    assert (new / "bare" / "atoll.json").exists()


async def test_a_server_whose_repository_is_only_here_is_named(old, backups):
    settings = await furnish(old)
    plan = make_plan(old, {}, name="local")
    ref = dataclasses.replace(plan.ref, repo=RepoRef("git", "/home/ada/course"))
    store = open_store(settings)
    await store.plans.put(dataclasses.replace(plan, ref=ref))
    await store.close()
    backup = await made(settings, backups)
    only = {one.name: one.only_here for one in backup.servers}
    assert only == {"first": "", "second": "", "third": "", "local": "/home/ada/course"}


@pytest.mark.parametrize("where", ["", "volumes"])
async def test_a_backup_into_the_data_folder_is_refused(old, where):
    settings = await furnish(old)
    with pytest.raises(BadRequest, match="would be lost with it"):
        await made(settings, old / where)


async def test_a_backup_never_takes_the_place_of_a_file(old, backups):
    settings = await furnish(old)
    (backups / "a.tar").write_text("last year's")
    with pytest.raises(Refused, match="is there already"):
        await made(settings, backups / "a.tar")
    assert (backups / "a.tar").read_text() == "last year's"
    with pytest.raises(NotFound, match="There is no folder"):
        await made(settings, backups / "none" / "a.tar")


async def test_nothing_to_back_up_is_told_so(tmp_path):
    with pytest.raises(NotFound, match="There is no data folder"):
        await made(settings_from({"data": str(tmp_path / "none")}), tmp_path)


async def test_a_backup_that_fails_leaves_nothing(old, backups, monkeypatch):
    settings = await furnish(old)
    (old / "jupyterhub.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    with pytest.raises(AtollError, match=r"jupyterhub\.sqlite could not be copied"):
        await made(settings, backups)
    assert list(backups.iterdir()) == []


async def test_what_a_killed_backup_left_goes_with_the_next(old, backups):
    settings = await furnish(old)
    left = backups / f"{MAKING}{new_id()}"
    left.mkdir()
    (left / "archive").write_text("half of it")
    with work_room(backups, MAKING) as other:  # which somebody is writing to right now
        backup = await made(settings, backups)
        assert sorted(backups.iterdir()) == sorted([other, backup.file])


async def test_a_restore_that_was_cut_off_is_no_data_folder(old, backups, tmp_path):
    backup = await made(await furnish(old), backups)
    data = tmp_path / "new"
    left = data / f"{RESTORING}{new_id()}"
    left.mkdir(parents=True)
    with pytest.raises(Refused, match="being restored into"):
        claim(settings_from({"data": str(data), "hub": {"bind": "http://127.0.0.1:1"}}))
    (data / "volumes").mkdir()
    with pytest.raises(Refused, match="A restore was cut off there"):
        await there(backup.file, data)
    remove(data)
    left.mkdir(parents=True)  # cut off before anything was in its place
    await there(backup.file, data)
    assert not left.exists()


@pytest.mark.parametrize("name", ["data", "data/atoll.toml", "data/atoll.sqlite", "data/volumes"])
async def test_no_link_takes_the_place_of_what_a_restore_works_on(old, backups, tmp_path, name):
    backup = await made(await furnish(old), backups)
    with reading(backup.file) as reader:
        first = reader.first
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text(f"data = '{old}'")
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, str(outside / "mine.txt")
    with writing(backups / "evil.tar", first, "evil.tar") as writer:
        writer.add(link)
    with pytest.raises(Refused, match="is a link in it"):
        await there(backups / "evil.tar", tmp_path / "new")
    assert (outside / "mine.txt").read_text() == f"data = '{old}'"
    assert list((tmp_path / "new").iterdir()) == []


async def test_what_an_operator_has_put_on_another_disk_goes_in(old, backups, tmp_path):
    settings = await furnish(old)
    for name in ("volumes", "admin_password"):
        (old / name).rename(tmp_path / name)
        (old / name).symlink_to(tmp_path / name)
    (old / "old-disk").symlink_to("/nowhere")
    backup = await made(settings, backups)
    assert backup.remarks.counts == {"a link to nowhere": 1}
    await there(backup.file, tmp_path / "new")
    home = tmp_path / "new" / "volumes" / "ada" / "first" / "home"
    assert (home / "work.ipynb").read_text() == "ada's first"
    assert not (tmp_path / "new" / "volumes").is_symlink()
    assert (tmp_path / "new" / "admin_password").read_text() == "admin_password of old"


async def test_settings_that_are_no_toml_are_put_aside(old, backups, tmp_path):
    settings = await furnish(old)
    (old / "atoll.toml").write_text("data = \n[hub")
    backup = await made(settings, backups)
    _, found = await there(backup.file, tmp_path / "new")
    assert "is not TOML" in found.notes[0]


async def test_two_restores_at_once_are_not_mixed(old, backups, tmp_path):
    backup = await made(await furnish(old), backups)
    (tmp_path / "new").mkdir()
    with work_room(tmp_path / "new", RESTORING), pytest.raises(Busy):
        await there(backup.file, tmp_path / "new")


async def full(folder):
    disk, large = folder / "data", folder / "old"  # the disk is small, and the data are elsewhere
    settings = await furnish(large)
    (large / "volumes" / "ada" / "first" / "home" / "large").write_bytes(os.urandom(3_000_000))
    with pytest.raises(Lacking, match="not enough room"):
        await made(settings, disk)
    backup = await made(settings, folder)
    with pytest.raises(Lacking, match="not enough room"):
        await there(backup.file, disk / "new")
    assert [one for one in disk.rglob("*") if one.is_file()] == []


def test_a_disk_that_is_full_is_told_and_keeps_nothing(tmp_path):
    tell_on_small_disk(full, tmp_path, 2)


async def test_it_all_holds_on_postgresql(backups, tmp_path, monkeypatch, postgres_server):
    with fresh_database(postgres_server) as url, fresh_database(postgres_server) as other:
        database = {"url": url.replace("atoll@", "atoll:s3cr3t%2Fword@")}
        words = tmp_path / "words"
        _spy_on(tmp_path, monkeypatch, words)
        settings = await furnish(tmp_path / "old", database=database)
        with psycopg.connect(url) as hub:
            hub.execute("CREATE TABLE users (name TEXT)")
            hub.execute("INSERT INTO users VALUES ('ada')")
        backup = await made(settings, backups)
        assert backup.servers
        with pytest.raises(Refused, match="is not empty"):  # the database of then
            await there(backup.file, tmp_path / "new", database=database)
        assert list((tmp_path / "new").iterdir()) == []
        with pytest.raises(Refused, match="another kind"):
            await there(backup.file, tmp_path / "new")
        new, _ = await there(backup.file, tmp_path / "new", database={"url": other})
        plans = await plans_of(new)
        handles = {Path(plan.environment.handle) for plan in plans.values()}
        assert handles == {tmp_path / "new" / "environments" / "bare"}
        with psycopg.connect(other) as hub:
            assert hub.execute("SELECT name FROM users").fetchall() == [("ada",)]
        assert "s3cr3t" not in words.read_text()
        assert "pg_dump" in words.read_text()


def _spy_on(tmp_path, monkeypatch, words):
    """Have what PostgreSQL's programs are told written to the file *words*."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("pg_dump", "pg_restore"):
        spy = folder / program
        path = os.environ["PATH"]
        spy.write_text(
            f'#!/bin/sh\necho {program} "$@" >> {words}\nPATH={path} exec {program} "$@"\n'
        )
        spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


async def test_without_postgresqls_programs_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    settings = settings_from(
        {"data": str(tmp_path), "database": {"url": "postgresql://u:hidden@h/d"}}
    )
    with pytest.raises(Lacking, match="pg_dump is not there") as lacking:
        databases.copy(settings, tmp_path)
    assert "hidden" not in str(lacking.value) + lacking.value.hint


async def test_files_belong_to_whom_they_belonged(old, backups, tmp_path):
    """To root's persons' ids; an ordinary user's installation has none but the user's own."""
    settings = await furnish(old)
    theirs = os.getuid() or FIRST + 7
    os.chown(old / "volumes" / "ada", theirs, -1)
    give(old / "volumes" / "ada" / "first" / "home", theirs)
    backup = await made(settings, backups)
    await there(backup.file, tmp_path / "new")
    person = tmp_path / "new" / "volumes" / "ada"
    assert person.stat().st_uid == theirs
    assert (person / "first" / "home" / "work.ipynb").stat().st_uid == theirs


async def test_root_gives_ids_to_those_who_had_none(old):
    await furnish(old)
    shared = old / "named-volumes" / ("0" * 24) / "notes.txt"
    shared.parent.mkdir(parents=True)
    shared.write_text("for all")
    if os.getuid() == 0:
        adopt(old)
        ids = [(old / "volumes" / name).stat().st_uid for name in ("ada", "grace@example.org")]
        assert ids == [FIRST + 1, FIRST + 2]
        assert (old / "volumes/ada/second/home/work.ipynb").stat().st_uid == ids[0]
        assert (old / "volumes/ada/second/origin.txt").stat().st_uid == 0
        assert {one.stat().st_uid for one in (shared, shared.parent)} == {VOLUMES}
    else:
        with pytest.raises(PermissionError):
            adopt(old)
