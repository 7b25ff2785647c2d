"""Named volumes of the local engine: a folder each, below the data folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from atoll.disk import discard, remove
from atoll.engines.local.mounting import PLACE, folder, owner
from atoll.engines.local.owners import give
from atoll.engines.local.records import Records
from atoll.engines.local.sandbox import Bind, Box, run
from atoll.engines.local.volumes import size
from atoll.errors import StartFailed
from atoll.settings import Settings
from atoll.volumes import Volume

FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file
COPYING = 24 * 3600.0  # seconds that a copy may take


class LocalFiles:
    """Keeps the `atoll.volumes.Files` contract with folders of the data folder."""

    def __init__(self, settings: Settings, servers: Records) -> None:
        self._settings = settings
        self._servers = servers

    async def make(self, volume_id: str) -> None:
        """Make an empty folder."""
        path = folder(self._settings, volume_id)
        path.mkdir(parents=True, mode=0o700)
        give(path, owner())

    async def has(self, volume: Volume) -> bool:
        """Say whether the folder is there; a network's may be slow to answer."""
        return await asyncio.to_thread(folder(self._settings, volume.id).is_dir)

    async def size(self, volume: Volume) -> int:
        """Return how many bytes of disk the files take."""
        return await asyncio.to_thread(size, folder(self._settings, volume.id))

    async def copy(self, volume_id: str, new_id: str) -> bool:
        """Copy the files; in a box, since a server may change them meanwhile, to links, too."""
        source, target = (folder(self._settings, one) for one in (volume_id, new_id))
        making = target.with_name(f".{target.name}.making")
        making.mkdir(mode=0o700)
        try:
            await _copy(source, making)
            making.rename(target)
        except BaseException:
            await asyncio.to_thread(remove, making)
            raise
        return shares_blocks(target.parent)

    async def remove(self, volume_id: str) -> None:
        """Delete the folder; it may be gone."""
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(discard, [folder(self._settings, volume_id)])

    async def sweep(self, before: datetime) -> None:
        """Delete the hidden folders that got their names *before*."""
        await asyncio.to_thread(_sweep, self._settings.data / PLACE, before.timestamp())

    def users(self) -> list[tuple[str, str]]:
        """Return which volumes are mounted, and in which servers."""
        return [
            (volume, f"{record.owner}/{record.name}")
            for record, alive in self._servers.all()
            if alive
            for volume in record.volumes
        ]


def _sweep(place: Path, before: float) -> None:
    for one in place.glob(".*"):
        with contextlib.suppress(FileNotFoundError):  # another process has swept it away
            if one.lstat().st_ctime < before:
                remove(one)


async def _copy(source: Path, target: Path) -> None:
    give(target, owner())
    said: list[str] = []
    words = ("cp", "--archive", "--reflink=auto", "--", "/from/.", "/to/")
    binds = (Bind(source, "/from"), Bind(target, "/to", writable=True))
    box = Box(words, binds, {"PATH": "/usr/bin:/bin"}, workdir="/", owner=owner())
    if await run(box, said.append, timeout=COPYING):
        message = f"The volume could not be copied: {' '.join(said[-1:])}."
        raise StartFailed(message, hint="Is the disk full? `atoll doctor` tells.")


def shares_blocks(place: Path) -> bool:
    """Say whether copies of files in *place* share blocks with them until either is changed."""
    with TemporaryFile(dir=place) as one, TemporaryFile(dir=place) as other:
        one.write(b"x")
        one.flush()
        try:
            fcntl.ioctl(other, FICLONE, one.fileno())
        except OSError:
            return False
        return True
