"""Restoring: a backup becomes a data folder again, whole or not at all.

It is unpacked aside, in the data folder itself, which may be a disk of its own; looked through to
its end; and only then put in place.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from atoll.app import this_platform
from atoll.backups import (
    OPERATORS,
    RESTORING,
    SETTINGS,
    Manifest,
    databases,
    translated_disk,
    work_room,
)
from atoll.backups.archive import Reader, reading
from atoll.backups.packing import Say
from atoll.backups.placing import Placer
from atoll.engines.local.owners import adopt
from atoll.errors import BadRequest, Busy, Refused
from atoll.folders import data_folder
from atoll.settings import Settings, load_settings
from atoll.stores.sql.moving import move
from atoll.stores.sql.urls import database_url

OF_A_DISK = {"lost+found"}  # what may be in an empty folder
DATA = re.compile(r"^[ \t]*data[ \t]*=.*$", re.MULTILINE)
TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and sentences about what an operator must see to."""

    data: Path
    manifest: Manifest
    files: int
    bytes: int
    notes: tuple[str, ...] = ()


def look_through(file: Path, say: Say) -> Restored:
    """Read the backup *file* to its end, and keep nothing. Raises as `restore` does."""
    files = size = 0
    with reading(file) as reader:
        manifest = _manifest(reader)
        for info, _, content in reader.members():
            files += info.isreg() or info.islnk()
            size += sum(len(chunk) for chunk in content)
            say(files, size)
    return Restored(Path(manifest.data), manifest, files, size)


def restore(file: Path, settings: Settings, say: Say, *, given: bool = False) -> Restored:
    """Make the data folder of *settings* from the backup *file*.

    *given* says that a settings file was named; else those in the backup say where PostgreSQL is.
    Raises `Refused` where the folder is not empty, or for what is no whole backup; `Lacking` where
    the disk is full.
    """
    with reading(file) as reader, translated_disk(settings.data):
        manifest = _manifest(reader)
        data = _empty(settings)
        with work_room(data, RESTORING) as room:
            if [one for one in data.iterdir() if _is_room(one.name)] != [room]:
                raise Busy(f"Something is being restored into {data} already.")
            owners = manifest.owners and os.getuid() == 0
            with Placer(room, owners) as placer:
                for info, segments, content in reader.members():
                    _check_top(info, file)
                    placer.place(info, segments, content)
                    say(placer.files, placer.size)
            unpacked = room / "data"
            unpacked.mkdir(exist_ok=True)
            notes = _settle(unpacked, manifest, data)
            used = settings if given else _own(unpacked, settings)
            _bring_databases(room, manifest, used.model_copy(update={"data": data}))
            if os.getuid() == 0 and not manifest.owners:
                adopt(unpacked)
            _publish(unpacked, data)
    return Restored(data, manifest, placer.files, placer.size, tuple(notes))


def _manifest(reader: Reader) -> Manifest:
    try:
        return Manifest.read(reader.first)
    except (TypeError, KeyError) as error:
        raise Refused(f"{reader.file} is not a backup of Atoll's.") from error


def _empty(settings: Settings) -> Path:
    """Return the data folder, or raise `Refused`: what is there is never mixed with a backup."""
    data = settings.data.absolute()
    if data.exists() and not data.is_dir():
        raise BadRequest(f"{data} is not a folder.")
    there = sorted(one.name for one in data.iterdir()) if data.exists() else []
    others = [one for one in there if one not in OF_A_DISK and not _is_room(one)]
    if others:
        cut = " A restore was cut off there." if any(map(_is_room, there)) else ""
        raise Refused(
            f"{data} is not empty: it holds {', '.join(others[:5])}.{cut}",
            hint="Restoring never mixes. Name an empty folder, which will be the data folder: "
            "ATOLL_DATA=/srv/atoll-new atoll restore FILE; or move that one away first.",
        )
    return data_folder(settings)


def _check_top(info: tarfile.TarInfo, file: Path) -> None:
    """Raise `Refused` for a link in the place of what we are going to read, write and move.

    `atoll backup` follows those that an operator has made there; deeper ones are people's own.
    """
    if info.issym() and info.name.count("/") <= 1:
        raise Refused(f"{file} was changed: {ascii(info.name)[1:-1]} is a link in it.")


def _is_room(name: str) -> bool:
    return name.startswith(RESTORING)


def _settle(unpacked: Path, manifest: Manifest, data: Path) -> list[str]:
    """See to what is unpacked before it is put in place; return what an operator must see to."""
    notes = []
    if manifest.environments and manifest.platform != this_platform():
        (unpacked / "environments").rename(unpacked.parent / "environments")  # of another machine
        notes.append(
            f"The environments were made on another kind of machine ({manifest.platform}): they "
            "are left out, and built again."
        )
    settings = unpacked / SETTINGS
    if settings.exists() and not _names(settings, data):
        settings.rename(unpacked / f"{SETTINGS}.restored")
        notes.append(
            f"{SETTINGS} names another data folder, or is not TOML. It is called "
            f"{SETTINGS}.restored: correct it, and give it its name back."
        )
    if (unpacked / OPERATORS).exists():
        notes.append(
            f"The jupyterhub_config.py of then is {data / OPERATORS}; [hub] config must name it, "
            "or another."
        )
    return notes


def _names(file: Path, data: Path) -> bool:
    """Have the settings *file* name *data* where it names a data folder; return whether it does."""
    text = file.read_text("utf-8")
    table = TABLE.search(text)
    head, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    changed = DATA.sub(lambda _: f"data = {_quoted(data)}", head) + rest
    try:
        if tomllib.loads(changed).get("data", str(data)) != str(data):
            return False
    except tomllib.TOMLDecodeError:
        return False
    if changed != text:
        file.write_text(changed, "utf-8")
    return True


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)  # which TOML reads the same


def _own(unpacked: Path, settings: Settings) -> Settings:
    """Return the settings that are in the backup, else *settings*."""
    file = unpacked / SETTINGS
    return load_settings(file) if file.exists() else settings


def _bring_databases(room: Path, manifest: Manifest, settings: Settings) -> None:
    """Bring the databases to where *settings* have them; paths in them follow the data folder."""
    if databases.kind(settings) != manifest.database:
        raise Refused(
            f"The databases in this backup are for {manifest.database}, and [database] url names "
            "another kind.",
            hint="There is no converter. Give the settings of then with --config.",
        )
    url = database_url(settings)
    if manifest.database == databases.POSTGRESQL:
        databases.bring_back(settings, room / databases.DUMP)
    else:
        file = room / "data" / databases.OURS
        if not file.exists():
            return
        url = url.set(database=str(file))
    move(url, Path(manifest.data), settings.data)


def _publish(unpacked: Path, data: Path) -> None:
    """Put everything in its place; the work room, which says that this goes on, goes last."""
    for one in sorted(unpacked.iterdir()):
        one.rename(data / one.name)
    os.sync()
