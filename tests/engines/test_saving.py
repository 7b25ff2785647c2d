"""The Lab saves whole files, whatever kills it and whatever it saves over."""

import os
import stat
from pathlib import Path

import pytest
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets.config import Config

from atoll.engines.local.commands import INSIDE


@pytest.fixture
def manager(tmp_path):
    found = {"get_config": Config}
    code = compile((INSIDE / "jupyter_server_config.py").read_text(), "config", "exec")
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
