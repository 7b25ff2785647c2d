"""The Lab saves whole files, whatever kills it and whatever it saves over."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError
from traitlets.config import Config

from atoll.engines.local.commands import INSIDE
from atoll.engines.local.volumes import SAVING, fill
from atoll.errors import StartFailed


@pytest.fixture
def manager(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = INSIDE / "jupyter_server_config.py"
    found = {"get_config": Config, "__file__": str(path)}
    code = compile(path.read_text(), "config", "exec")
    exec(code, found)
    made = found["c"].ServerApp.contents_manager_class(root_dir=str(tmp_path))
    assert isinstance(made, AsyncLargeFileManager)
    return made


async def save(manager, name, text):
    model = {"type": "file", "format": "text", "content": text}
    return await manager.save(model, name)


async def test_the_old_file_is_whole_until_the_new_one_is(manager, tmp_path):
    await save(manager, "a.txt", "old")
    with pytest.raises(RuntimeError), manager.atomic_writing(str(tmp_path / "a.txt")) as file:
        file.write("half of the new")
        file.flush()
        assert (tmp_path / "a.txt").read_text() == "old"
        raise RuntimeError("killed")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


async def test_where_there_is_no_room_people_are_told_and_the_old_file_stays(manager, tmp_path):
    await save(manager, "a.txt", "old")
    with pytest.raises(HTTPError) as said, manager.atomic_writing(str(tmp_path / "a.txt")) as file:
        file.write("half of the new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert said.value.status_code == 507
    assert "The disk that it is on is full." in said.value.log_message
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


async def test_permissions_and_links_stay(manager, tmp_path):
    real = tmp_path / "real.sh"
    real.write_text("#!/bin/sh\n")
    real.chmod(0o750)
    (tmp_path / "link.sh").symlink_to("real.sh")
    await save(manager, "link.sh", "#!/bin/sh\necho new\n")
    assert (tmp_path / "link.sh").is_symlink()
    assert real.read_text().endswith("echo new\n")
    assert stat.S_IMODE(real.stat().st_mode) == 0o750
    await save(manager, "new.txt", "x")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o666 & ~mask


async def test_notebooks_and_bytes_are_saved_too(manager, tmp_path):
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    await manager.save({"type": "notebook", "content": notebook}, "n.ipynb")
    assert '"nbformat": 4' in (tmp_path / "n.ipynb").read_text()
    await manager.save({"type": "file", "format": "base64", "content": "AP8="}, "b.bin")
    assert Path(tmp_path, "b.bin").read_bytes() == b"\x00\xff"


async def test_a_note_stands_in_the_home_as_long_as_anything_is_being_saved(manager, tmp_path):
    (tmp_path / "in").mkdir()
    with manager.atomic_writing(str(tmp_path / "in" / "a.txt")):
        with manager.atomic_writing(str(tmp_path / "b.txt")):
            pass
        assert sorted(os.listdir(tmp_path)) == [SAVING, "b.txt", "in"]
    assert sorted(os.listdir(tmp_path)) == ["b.txt", "in"]


DIES = """
import os, signal, sys
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets.config import Config
get_config = Config
__file__ = sys.argv[1]
exec(open(__file__).read())
manager = c.ServerApp.contents_manager_class(root_dir=os.environ["HOME"])
with manager.atomic_writing(sys.argv[2]) as one, manager.atomic_writing(sys.argv[3]) as two:
    for file in one, two:
        file.write("half")
        file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def below(folder):
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))


async def test_what_a_killed_server_left_is_gone_at_the_next_start(manager, tmp_path):
    (tmp_path / "in").mkdir()
    await save(manager, "in/a.ipynb", "old")
    before = below(tmp_path)
    words = [INSIDE / "jupyter_server_config.py", tmp_path / "in" / "a.ipynb", tmp_path / "new.txt"]
    ran = subprocess.run([sys.executable, "-c", DIES, *words], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert len(below(tmp_path)) == len(before) + 3  # two written aside, and the note
    fill(tmp_path, tmp_path / "content", None)
    assert below(tmp_path) == before
    assert (tmp_path / "in" / "a.ipynb").read_text() == "old"


async def test_a_persons_own_files_stay_whatever_they_are_called(manager, tmp_path):
    outside = tmp_path / "outside"
    home = tmp_path / "home"
    names = [".~mine", ".~lock.a.odt#", f"{SAVING}-a.txt", f"{SAVING}-notes", "a.txt"]
    for folder in (outside, home):
        folder.mkdir()
        (folder / f"{SAVING}-abcdefgh-a.txt").write_text("x")
        for name in names:
            (folder / name).write_text("x")
    (home / f"{SAVING}-12345678-folder").mkdir()
    (home / "link").symlink_to(outside)
    before = below(tmp_path)
    fill(home, tmp_path / "content", None)
    assert below(tmp_path) == before  # nothing says that a server was killed there
    (home / SAVING).touch()
    fill(home, tmp_path / "content", None)
    assert below(tmp_path) == [one for one in before if one != f"home/{SAVING}-abcdefgh-a.txt"]


def test_content_that_is_gone_is_told(tmp_path):
    with pytest.raises(StartFailed, match="not here any more") as caught:
        fill(tmp_path / "home", tmp_path / "content", None)
    assert "again" in caught.value.hint
    assert not (tmp_path / "home").exists()
