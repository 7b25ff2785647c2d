"""Records: what is known of the servers of this machine, whoever started them.

It stands in their folders, ``servers/<handle>/``: ``server.json``, ``log.txt`` and ``door.json``.
A box is recognised again by the process id and the start time of its first process.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from atoll.engines.local import sandbox
from atoll.engines.local.owners import folder_name
from atoll.settings import Settings

LOG_TAIL, LOG_MOST = 256 * 1024, 8 * 1024**2  # bytes that are shown, and that are kept


@dataclass(frozen=True, slots=True)
class Record:
    """What stands in ``server.json``."""

    handle: str
    plan: str
    owner: str
    name: str
    init: int
    born: str
    socket: str
    temporary: bool
    started: float
    environment: str = ""
    reference: str = ""
    opening: str = "lab"
    notes: tuple[str, ...] = ()
    fork: int = 0  # the server's process, where it is not a child of the box's first one
    fork_born: str = ""
    volumes: tuple[str, ...] = ()  # the ids of those that are mounted
    aside: bool = False  # it makes way for others

    @property
    def alive(self) -> bool:
        """Whether its box runs now."""
        return sandbox.born(self.init) == self.born != ""


@dataclass(slots=True)
class Records:
    """The folders of the servers on this machine."""

    settings: Settings
    _read: dict[str, tuple[tuple[int, int], Record]] = field(default_factory=dict)  # and of when

    def find(self, handle: str) -> Record | None:
        """Return what is known of *handle*, if it was started and not cleared up.

        What was read is remembered: every start looks at all servers, in the hub's only thread.
        """
        file = self.folder(handle) / "server.json"
        try:
            found = file.stat()
            mark = (found.st_ino, found.st_mtime_ns)
            if handle not in self._read or self._read[handle][0] != mark:
                known = json.loads(file.read_bytes())
                lists = {name: tuple(known.get(name, ())) for name in ("notes", "volumes")}
                record = Record(**{**known, **lists})
                self._read[handle] = (mark, record)
            return self._read[handle][1]
        except (OSError, ValueError):
            self._read.pop(handle, None)
            return None

    def all(self) -> Iterator[tuple[Record, bool]]:
        """Yield every server there is, and whether it runs."""
        folder = self.settings.data / "servers"
        for one in sorted(folder.iterdir()) if folder.exists() else ():
            if record := self.find(one.name):
                yield record, record.alive

    def write(self, record: Record) -> None:
        """Keep *record*, in place of what was known of the server."""
        file = self.folder(record.handle) / "server.json"
        aside = file.with_name(f".{file.name}")
        aside.write_text(json.dumps(asdict(record)))
        aside.replace(file)

    def log(self, handle: str) -> str:
        """Return the end of what the server printed."""
        try:
            with (self.folder(handle) / "log.txt").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def last_log(self, owner: str, name: str) -> str:
        """Return the end of what *owner*'s server *name* had printed when it last stopped."""
        try:
            return self._last_log(owner, name).read_text(errors="replace")
        except OSError:
            return ""

    def keep_log(self, record: Record) -> None:
        """Keep the end of what a server printed that has stopped; `last_log` then returns it."""
        logs = self.settings.data / "logs" / "servers"
        logs.mkdir(parents=True, exist_ok=True)
        if said := self.log(record.handle):  # its end, as a server may print without end
            (logs / f"{record.handle}.txt").write_text(said)
            last = self._last_log(record.owner, record.name)
            last.parent.mkdir(exist_ok=True)
            last.unlink(missing_ok=True)
            last.symlink_to(f"../{record.handle}.txt")

    def cut_log(self, handle: str) -> None:
        """Forget the beginning of what the server printed, when that has become too long.

        It goes on printing at the end of the file, wherever that is; a line of this moment may be
        lost.
        """
        with contextlib.suppress(OSError):
            path = self.folder(handle) / "log.txt"
            if path.stat().st_size > LOG_MOST:
                end = self.log(handle).encode()
                os.truncate(path, 0)
                with path.open("ab") as file:
                    file.write(b"(What came before is not kept.)\n" + end)

    def keep_token(self, handle: str, token: str, port: int = 0) -> None:
        """Remember the token and the forwarded port of a server that a laptop's user started."""
        path = self.folder(handle) / "door.json"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump([token, port], file)

    def door(self, handle: str) -> tuple[str, int]:
        """Return what `keep_token` kept; the port is 0 if nothing listens there any more."""
        token, port = json.loads((self.folder(handle) / "door.json").read_bytes())
        with socket.socket() as probe:
            return token, port if port and probe.connect_ex(("127.0.0.1", port)) == 0 else 0

    def folder(self, handle: str) -> Path:
        """Return where stands what is known of a server."""
        return self.settings.data / "servers" / Path(handle).name

    def _last_log(self, owner: str, name: str) -> Path:
        logs = self.settings.data / "logs" / "servers"
        return logs / "last" / f"{folder_name(owner)}.{Path(name).name}.txt"
