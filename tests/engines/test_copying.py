"""A visitor's copy: real boxes, hostile homes, and the volumes that it reads and does not write."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from atoll.engines.local import cgroups, mounting
from atoll.engines.local.copying import fill_copy
from atoll.engines.local.owners import folder_name, give, person_owner
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.volumes import kept_home, size
from atoll.errors import StartFailed
from atoll.settings import settings_from
from atoll.volumes import Content, Copied, Mount
from support.kernels import run_cell
from support.plans import make_plan
from support.small_disk import tell_on_small_disk

COPIED = Copied("ada", "first", "mark")
VOLUME = "0123456789abcdef01234567"


@pytest.fixture
def settings(tmp_path):
    return settings_from({"data": str(tmp_path / "data"), "access": {"copy_size": "1M"}})


@pytest.fixture
def home(settings):
    """What ada's server has saved, with much that visitors must not get."""
    home = kept_home(settings, "ada", "first")
    files = {
        "intro.ipynb": "{}",
        "deep/er/run.sh": "#!/bin/sh\n",
        ".netrc": "password",
        ".ssh/id": "key",
        ".env": "TOKEN=1",
        ".binder/start": "theirs",
        "deep/.env": "TOKEN=2",
        "deep/.ipynb_checkpoints/x": "before",
    }
    for path, text in files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    (home / "deep/er/run.sh").chmod(0o4777)
    (home / "intro.ipynb").chmod(0o600)
    (home / "key").symlink_to(".ssh/id")
    os.mkfifo(home / "pipe")
    give(home, person_owner(settings, "ada"))
    return home


@pytest.fixture
def plan(settings):
    made = make_plan(settings.data, {"intro.ipynb": "old", ".binder/start": "ours"}, owner="vera")
    return replace(made, content=Content(made.content.checkout, temporary=True, copied=COPIED))


def copy(settings, plan, tmp_path):
    fill_copy(settings, plan, tmp_path / "home", person_owner(settings, "vera"))
    return tmp_path / "home"


def test_work_files_are_copied_and_nothing_hidden_of_their_person(settings, home, plan, tmp_path):
    made = copy(settings, plan, tmp_path)
    found = {str(one.relative_to(made)) for one in made.rglob("*")}
    dirs = {"deep", "deep/er", ".binder"}
    assert found == dirs | {"intro.ipynb", "deep/er/run.sh", "key", ".binder/start"}
    assert (made / "intro.ipynb").read_text() == "{}"
    assert (made / ".binder/start").read_text() == "ours"  # the repository's, which starts it
    assert (made / "deep/er/run.sh").stat().st_mode & 0o7777 == 0o755
    assert os.readlink(made / "key") == ".ssh/id"
    owner = person_owner(settings, "vera")
    owners = {one.lstat().st_uid for one in (made, *made.rglob("*"))}
    assert owners == {os.getuid() if owner is None else owner}


def test_what_is_too_large_or_too_much_is_refused_and_leaves_nothing(
    settings, home, plan, tmp_path
):
    with (home / "endless").open("wb") as file:
        file.truncate(2**40)  # it takes no disk, but its copy might
    with pytest.raises(StartFailed, match="take more than 1M"):
        copy(settings, plan, tmp_path)
    (home / "endless").unlink()
    for number in range(300):
        (home / str(number)).touch()
    with pytest.raises(StartFailed, match="take more than 1M"):
        copy(settings, plan, tmp_path)
    assert not list(tmp_path.glob("*home*"))


def test_of_a_server_that_has_saved_nothing_the_repositorys_files_are_copied(
    settings, plan, tmp_path
):
    assert (copy(settings, plan, tmp_path) / "intro.ipynb").read_text() == "old"


def test_what_cannot_be_read_is_left_out_and_the_rest_is_copied(settings, home, plan, tmp_path):
    for name in ("locked", "shut/inner"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("x")
    (home / "wide").mkdir()
    for number in range(100):
        (home / "wide" / str(number)).mkdir()
    (home / "big").write_bytes(b"1" * 100_000)
    (home / "locked").chmod(0)
    (home / "shut").chmod(0)
    give(home, person_owner(settings, "ada"))
    made = copy(settings, plan, tmp_path)
    assert not (made / "locked").exists()
    assert list((made / "shut").iterdir()) == []
    assert len(list((made / "wide").iterdir())) == 100
    assert (made / "big").read_bytes() == b"1" * 100_000
    (home / "shut").chmod(0o700)  # else nobody could clear up


def test_a_path_longer_than_the_kernel_takes_does_no_harm(settings, home, plan, tmp_path):
    at = os.open(home, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=at)
        at, before = os.open("d" * 200, os.O_RDONLY, dir_fd=at), at
        os.close(before)
    os.close(at)
    give(home, person_owner(settings, "ada"))
    made = copy(settings, plan, tmp_path)
    assert (made / ("d" * 200)).is_dir()


async def test_a_copy_neither_changes_nor_fills_the_original_or_its_volume(settings, home, plan):
    volume = mounting.folder(settings, VOLUME)
    volume.mkdir(parents=True)
    (volume / "data.csv").write_text("1\n")
    give(volume, mounting.owner())
    (home / "data").mkdir(mode=0o555)
    give(home / "data", person_owner(settings, "ada"))
    local = LocalRunner(settings)
    mounts = (Mount("data", VOLUME, "data"),)
    before = size(home), size(volume)
    server = await local.start(replace(plan, mounts=mounts), {"JUPYTER_TOKEN": "s3cret"})
    try:
        groups = cgroups.find(server.handle).folders
        assert {one.parent.name for one in groups} <= {cgroups.ASIDE, cgroups.ASIDE_SLICE}
        port = open_gate(local.records.find(server.handle))
        said = await run_cell(
            f"http://127.0.0.1:{port}/",
            "from pathlib import Path\n"
            "Path('intro.ipynb').write_text('changed')\n"
            "Path('deep/big').write_bytes(b'1' * 3_000_000)\n"
            "print(Path('data/data.csv').read_text())\n"
            "try:\n    Path('data/data.csv').write_text('2')\n"
            "except OSError as error:\n    print(error.strerror)\n"
            f"print(Path('{settings.data}').exists())",
            headers={"Authorization": "token s3cret"},
        )
    finally:
        await local.stop(server.handle, now=True)
    assert said.split() == ["1", "Read-only", "file", "system", "False"]
    assert (home / "intro.ipynb").read_text() == "{}"
    assert (volume / "data.csv").read_text() == "1\n"
    assert (size(home), size(volume)) == before  # so that neither's quota is nearer
    mine = settings.data / "volumes" / folder_name("vera")
    assert not list(mine.glob("*"))  # nothing of it is kept


def test_copies_end_before_they_have_taken_the_last_of_the_disk(tmp_path):
    tell_on_small_disk(fill_the_disk, tmp_path, 60)


async def fill_the_disk(folder):
    settings = settings_from({"data": str(folder / "data")})
    local = LocalRunner(settings)
    original = make_plan(settings.data, {"intro.ipynb": "{}"})
    copied = make_plan(settings.data, {}, owner="vera")
    copied = replace(copied, content=replace(copied.content, temporary=True, copied=COPIED))
    kept, copy = [await local.start(one, {"JUPYTER_TOKEN": "x"}) for one in (original, copied)]
    try:
        assert await local.make_room() == []
        large = settings.data / "servers" / copy.handle / "home" / "large"
        large.write_bytes(bytes(50 * 1024**2))
        assert [one.handle for one in await local.make_room()] == [copy.handle]
        assert [one.handle for one in await local.running()] == [kept.handle]
        assert await local.make_room() == []
        home = kept_home(settings, "ada", "first")
        (home / "large").write_bytes(bytes(50 * 1024**2))
        with pytest.raises(StartFailed, match="no room for a temporary server"):
            await local.start(copied, {})
        with pytest.raises(StartFailed, match="no room for a temporary server"):
            await asyncio.to_thread(fill_copy, settings, copied, folder / "home", None)
    finally:
        await local.stop(kept.handle, now=True)
        await local.stop(copy.handle, now=True)
