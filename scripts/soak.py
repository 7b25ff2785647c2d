"""Use an installation hard, at random, break its parts meanwhile, and look at what is left.

    make soak                                   10 minutes, fifty people
    make soak MINUTES=2 PEOPLE=10 SEED=7        as written
    make soak AS=ordinary-user                  as root: the same as an ordinary user

People launch, write, compute, stop and come back; for the first part of the time, trouble kills,
wedges and restarts hub, proxy, service, fork server and supervisor; in the last part only
people are there, and the memory of the parts is watched. At the end all servers are stopped, and
what there is is compared with what there was at the beginning: processes, sockets, mounts, control
groups, descriptors, memory, disk, rows of the databases; and every file that somebody saved with
what is on the disk. SEED decides who does what in which order, not how long it takes.

Prints the report as JSON. Returns 1 when anything was lost, left over or not told. With --keep,
writes benchmarks/soak-USER.json and the tables of docs/explanation/reliability.md as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from endurance import report  # noqa: E402
from endurance.people import PASSWORD, Person, Server  # noqa: E402
from endurance.remains import Look, adopt, bury, look, memory, rows  # noqa: E402
from endurance.tally import Tally  # noqa: E402
from endurance.trouble import Trouble, parts  # noqa: E402
from support.figures import note  # noqa: E402
from support.installation import Installation, folder, installation  # noqa: E402
from support.processes import calm  # noqa: E402

from atoll.engines.local.owners import folder_name  # noqa: E402

STORM = 0.6  # of the time, in which there is trouble
SETTLING = 15.0  # seconds after the storm, before memory is watched
WATCH = 5.0  # seconds between two looks at memory
STOPPED = 180.0  # seconds until all servers must have been stopped
# Descriptors that a part may have more than at the beginning: it keeps up to 15 connections to the
# database, each with two files, and some to other parts.
DESCRIPTORS = 40
MEGA = 1e6
GROWTH = 1.25  # of a part's private memory, while people come and go as before
SPARE = 16 * MEGA  # bytes that a part may grow in any case
LOOKS = 8  # at memory, of which fewer say nothing: garbage comes and goes
REPOSITORIES = ("one", "two")
CONFIG = f"""
c.SharedPasswordAuthenticator.user_password = {PASSWORD!r}
c.SharedPasswordAuthenticator.allow_all = True
"""


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--pause", type=float, default=12, help="seconds between two acts of one")
    parser.add_argument("--trouble", type=float, default=8, help="seconds without, in the storm")
    parser.add_argument("--keep", action="store_true", help="write report and page")
    parser.add_argument("--as", dest="user", choices=["me", "ordinary-user"], default="me")
    options = parser.parse_args()
    note(f"seed {options.seed}")
    told = other(options) if options.user != "me" else asyncio.run(soak(options))
    print(json.dumps(told, indent=2))
    if options.keep:
        report.keep(told, ROOT)
    note(report.table(told))
    return int(bool(told["wrong"]))


def other(options: argparse.Namespace) -> dict[str, Any]:
    """Have an ordinary user do it."""
    words = [ROOT / "scripts" / "as-ordinary-user.sh", "--develop", ".venv/bin/python"]
    words += ["scripts/soak.py", f"--minutes={options.minutes}", f"--people={options.people}"]
    words += [f"--seed={options.seed}", f"--pause={options.pause}", f"--trouble={options.trouble}"]
    ran = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


async def soak(options: argparse.Namespace) -> dict[str, Any]:
    """Do all of it; return the report."""
    adopt()
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    tally = Tally()
    began, load = time.time(), [os.getloadavg()[0]]
    async with folder() as where:
        temporary = where / "tmp"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        config = where / "jupyterhub_config.py"
        config.write_text(CONFIG)
        rules = {
            "hub": {"config": str(config)},
            "access": {"idle": "45s"},
            "servers": {"idle": "40s", "memory": "1G"},
        }
        async with installation(where, rules=rules) as atoll:
            one = Soak(options, atoll, tally, temporary)
            found = await one.run()
            load.append(os.getloadavg()[0])
        bury(())
        tally.began = time.monotonic() - (time.time() - began)
        left = one.left()
    for kind, things in left.items():
        tally.blame(f"after the end: {kind}: {', '.join(map(str, things))}")
    return found | {
        "command": command(options),
        "seed": options.seed,
        "minutes": options.minutes,
        "people": options.people,
        "user": "root" if os.getuid() == 0 else "an ordinary user",
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(began)),
        "machine": machine(),
        "load": [round(one, 1) for one in load],
        "acts": tally.rows(),
        "told": dict(tally.texts.most_common()),
        "wrong": tally.wrong,
    }


def command(options: argparse.Namespace) -> str:
    """Return what to type for the same again."""
    return f"make soak MINUTES={options.minutes:g} PEOPLE={options.people} SEED={options.seed}"


def machine() -> str:
    """Describe where we are."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} processors, {pages / 2**30:.0f} GiB of memory, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


class Soak:
    """One soak of *atoll*."""

    def __init__(
        self, options: argparse.Namespace, atoll: Installation, tally: Tally, temporary: Path
    ) -> None:
        self.options, self.atoll, self.tally, self.temporary = options, atoll, tally, temporary
        self.handles: set[str] = set()
        self.memory: list[dict[str, tuple[int, int]]] = []
        self.people: list[Person] = []

    async def run(self) -> dict[str, Any]:
        """Let people live and trouble happen; then stop everything, and compare."""
        await self._gather()
        await self._all_stopped()
        before = self._look()
        self.tally.began = begun = time.monotonic()
        length = self.options.minutes * 60
        dice = random.Random(f"{self.options.seed} trouble")
        forks = bool(self.atoll.runner.companions())
        trouble = Trouble(self.atoll, self.tally, dice, forks)
        calm_from = begun + STORM * length
        worked = sum(os.times()[:2])
        lives = [one.live(begun + length, self.options.pause) for one in self.people]
        storm = asyncio.ensure_future(trouble.go_on(calm_from, self.options.trouble))
        async with self._watched(storm):
            ends = await asyncio.gather(storm, *lives, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                self.tally.blame(f"the soak itself broke: {end!r}")
        await self._all_stopped()
        for person in self.people:
            await person.leave()
        await calm()
        self._files()
        after = self._look()
        self._compare(before, after)
        busy = sum(os.times()[:2])
        return {
            "before": _told(before),
            "after": _told(after),
            "memory": self._growth(),
            "servers": len(self.handles),
            "own_processor_seconds": round(busy - worked, 1),
        }

    async def _gather(self) -> None:
        """Make the people, and the repositories that they launch."""
        where = self.atoll.repository.parent
        repositories = []
        for name in REPOSITORIES:
            shutil.copytree(self.atoll.repository, where / name)
            repositories.append(where / name)
        hub = self.atoll.hub()
        async with hub.http:
            for number in range(self.options.people):
                name = f"person-{number}"
                await hub.add_user(name)
                made = await hub.http.post(f"/users/{name}/tokens", json={})
                self.people.append(
                    Person(
                        name,
                        made.raise_for_status().json()["token"],
                        self.atoll,
                        self.tally,
                        random.Random(f"{self.options.seed} {name}"),
                        [Server(one.name, one) for one in repositories],
                        self._kill,
                    )
                )

    def _kill(self, owner: str, name: str) -> bool:
        """End a server by SIGKILL: the Lab itself, or the box's first process."""
        for record, alive in self.atoll.runner.records.all():
            if alive and (record.owner, record.name) == (owner, name):
                dice = random.Random(record.handle)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(dice.choice([record.fork or record.init, record.init]), signal.SIGKILL)
                return True
        return False

    @contextlib.asynccontextmanager
    async def _watched(self, storm: asyncio.Future[None]) -> AsyncIterator[None]:
        """Bury the dead, note every server's handle and, after the *storm*, the parts' memory."""

        async def watch() -> None:
            after = float("inf")
            while True:
                bury({self.atoll.process.pid})
                self._note_handles()
                now = time.monotonic()
                if storm.done() and after == float("inf"):
                    after = now + SETTLING
                if now > after:
                    after = now + WATCH
                    self.memory.append(memory(parts(self.atoll.process.pid)))
                await asyncio.sleep(0.5)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _note_handles(self) -> None:
        data = self.atoll.places.data
        self.handles |= {one.name for one in (data / "servers").glob("[0-9a-f]*")}
        self.handles |= {one.stem for one in (data / "logs" / "servers").glob("*.txt")}

    async def _all_stopped(self) -> None:
        """Have everybody's servers stopped, and visitors forgotten."""
        until = time.monotonic() + STOPPED
        while rows(self.atoll.places.data)["launches not over"]:  # the service took them up again
            if time.monotonic() > until:
                self.tally.blame("launches that nobody waits for go on and on")
                break
            await asyncio.sleep(1)
        await self.atoll.clear()
        hub = self.atoll.hub()
        async with hub.http:
            while time.monotonic() < until:
                users = await hub.users("")
                up = [
                    (user.name, one.name)
                    for user in users
                    for one in user.servers.values()
                    if not one.stopped or one.pending
                ]
                if not up:
                    break
                stops = (hub.stop(*one) for one in up)
                await asyncio.gather(*stops, return_exceptions=True)
                await asyncio.sleep(1)
            else:
                self.tally.blame(f"after {STOPPED:.0f} s servers run: {up}")
        await self.atoll.clear()
        await asyncio.sleep(2)
        bury({self.atoll.process.pid})

    def _look(self) -> Look:
        bury({self.atoll.process.pid})
        self._note_handles()
        return look(self.atoll, self.handles, self.temporary)

    def _files(self) -> None:
        """Compare all files that were saved with what is on the disk."""
        for person in self.people:
            for server in person.servers:
                home = self.atoll.places.data / "volumes" / folder_name(person.name) / server.name
                for name in server.files:
                    file = home / "home" / name
                    person.check(server, name, file.read_text() if file.exists() else None)
                    self.tally.end("files on the disk at the end", "done")

    def _compare(self, before: Look, after: Look) -> None:
        known = {f"{one.name}/{server.name}" for one in self.people for server in one.servers}
        for kind, things in after.more(before).items():
            left = {name: number for name, number in things.items() if name not in known}
            if left:
                told = ", ".join(f"{name} ({number})" for name, number in sorted(left.items())[:8])
                self.tally.blame(f"left over: {sum(left.values())} {kind}: {told}")
        for part, number in after.descriptors.items():
            if number > before.descriptors[part] + DESCRIPTORS:
                self.tally.blame(
                    f"{part} has {number} descriptors, {before.descriptors[part]} at the beginning"
                )
        for part, (first, last) in self._growth().items():
            if last > first * GROWTH + SPARE / MEGA:
                self.tally.blame(f"{part} grew from {first} to {last} MB")

    def _growth(self) -> dict[str, tuple[float, float]]:
        """Return each part's private memory, in MB, in the first and the last quarter watched.

        It is the least that was seen there: what Node.js has not collected yet is no growth.
        """
        found = {}
        for part in self.memory[-1] if len(self.memory) >= LOOKS else ():
            newest = self.memory[-1][part][0]  # a culler goes with its hub
            sizes = [one[part][1] for one in self.memory if one[part][0] == newest]
            some = max(1, len(sizes) // 4)
            first, last = (min(quarter) / MEGA for quarter in (sizes[:some], sizes[-some:]))
            found[part] = (round(first, 1), round(last, 1))
        return found

    def left(self) -> dict[str, list[str]]:
        """Return what is there when everything has been ended."""
        found = look(self.atoll, self.handles, self.temporary)
        kinds = ("processes", "sockets that listen", "mounts", "control groups")
        return {kind: list(found.things[kind]) for kind in kinds if found.things[kind]}


def _told(found: Look) -> dict[str, Any]:
    return {
        **{kind: sum(things.values()) for kind, things in found.things.items() if kind != "rows"},
        **{f"rows: {name}": number for name, number in found.things["rows"].items()},
        "descriptors": found.descriptors,
        "private MB": {part: round(size / MEGA, 1) for part, (_, size) in found.memory.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
