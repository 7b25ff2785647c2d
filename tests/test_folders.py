import os
import stat
from pathlib import Path

import pytest

from atoll.errors import Refused
from atoll.folders import run_folder
from atoll.settings import Settings


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
