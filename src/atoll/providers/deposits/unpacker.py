"""Unpacker: the process in which an archive is unpacked.

A hundred thousand small files would keep the service's pages waiting for the interpreter; a process
of its own has a limit to its memory, and can be ended at any moment.

``python -m atoll.providers.deposits.unpacker ARCHIVE TARGET MOST`` prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from atoll import errors
from atoll.errors import AtollError, Lacking, TooLarge, Unreachable
from atoll.providers.deposits.room import Room
from atoll.providers.deposits.unpacking import unpack

MEMORY = 1024**3  # bytes; the lists of the largest archives that are taken need a third of it
AT_ONCE = 2  # processes; more only make each other, and everything else, slower


async def unpack_apart(archive: Path, target: Path, most: int) -> list[str]:
    """Unpack *archive* to *target* as `unpack` does, in a process of its own; *most* is in bytes.

    When nobody waits any more, it is ended before this returns.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *("prlimit", f"--data={MEMORY}", "--core=0", "nice", "-n", "5"),
            *_words(archive, target, most),
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Lacking("There is no prlimit here.", hint="Install util-linux.") from error
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return _answer(said)


def _words(archive: Path, target: Path, most: int) -> tuple[str, ...]:
    places = (str(archive.absolute()), str(target.absolute()))
    return (sys.executable, "-I", "-m", __name__, *places, str(most))


def _answer(said: bytes) -> list[str]:
    try:
        told = json.loads(said)
    except ValueError as error:
        raise TooLarge("The archive is too much for this machine to unpack.") from error
    if "error" in told:
        kind: type[AtollError] = getattr(errors, told["error"], Unreachable)
        raise kind(told["message"], hint=told["hint"])
    return [str(note) for note in told["notes"]]


def main(archive: str, target: str, most: str) -> None:
    """Unpack, and print what the person should know, or what went wrong."""
    told: dict[str, object]
    try:
        room = Room(Path(target).parent, int(most))
        told = {"notes": unpack(Path(archive), Path(target), room)}
    except AtollError as error:
        told = {"error": type(error).__name__, "message": str(error), "hint": error.hint}
    print(json.dumps(told))  # noqa: T201 - the answer


if __name__ == "__main__":
    main(*sys.argv[1:])
