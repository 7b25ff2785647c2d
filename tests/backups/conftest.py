from __future__ import annotations

import pytest

from atoll.backups.archive import reading, writing
from atoll.backups.packing import Packer
from atoll.backups.placing import Placer


@pytest.fixture
def through(tmp_path):
    """Write a folder into an archive and make another folder of it; return that, and the packer."""

    def send(folder, name="backup.tar.gz"):
        file, target = tmp_path / name, tmp_path / "back"
        with writing(file, {"atoll": "0"}, name) as writer:
            packer = Packer(writer, lambda *_: None)
            packer.pack(folder, "data")
        target.mkdir()
        with reading(file) as reader, Placer(target, owners=False) as placer:
            for one in reader.members():
                placer.place(*one)
        return target / "data", packer

    return send
