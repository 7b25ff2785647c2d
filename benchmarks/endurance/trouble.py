"""Trouble: parts of an installation are killed, stopped and wedged at random."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
from endurance.tally import Tally
from support.asking import client
from support.figures import note
from support.installation import Installation
from support.processes import descendants, title

from atoll.engines.local.forking.client import answers, place

MARKS = {  # of a part's command line
    "fork server": "fork server",
    "proxy": "serve.mjs",
    "hub": "-m atoll.hub -f",
    "service": "-m atoll.web",
    "supervisor": "-m atoll.hub.supervisor",
}
KILL, TERM, STOP, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT
# What is done to whom, and how often compared with the others.
KINDS: dict[tuple[str, signal.Signals], int] = {
    ("hub", KILL): 3,
    ("hub", TERM): 1,
    ("proxy", KILL): 3,
    ("service", KILL): 3,
    ("service", TERM): 1,
    ("keeper", KILL): 2,
    ("answerer", KILL): 2,
    ("fork server", KILL): 2,
    ("answerer", STOP): 1,
    ("supervisor", KILL): 2,
    ("supervisor", INT): 1,
}
UNFELT = {"keeper", "answerer", "fork server"}  # nobody is to notice: no excuse
LATE = 180.0  # seconds until a part must be back; usually 5, but 90 were seen at a load of 20


def parts(supervisor: int) -> dict[str, list[int]]:
    """Return the processes of each part; the fork server's keeper comes before its answerer."""
    found: dict[str, list[int]] = {name: [] for name in MARKS}
    for pid in sorted(descendants(supervisor)):
        command = title(pid)
        for name, mark in MARKS.items():
            if mark in command:
                found[name].append(pid)
                break
    forks = found.pop("fork server")
    keepers = [pid for pid in forks if not _is_child_of(pid, forks)]
    answerers = [pid for pid in forks if _is_child_of(pid, keepers)]
    return found | {"keeper": keepers, "answerer": answerers, "fork server": keepers + answerers}


def _is_child_of(pid: int, parents: list[int]) -> bool:
    return any(pid in descendants(one)[1:] for one in parents if one != pid)


@dataclass(slots=True)
class Trouble:
    """Makes trouble for *atoll*, and waits each time until all is well again."""

    atoll: Installation
    tally: Tally
    dice: random.Random
    forks: bool

    async def go_on(self, until: float, pause: float) -> None:
        """Make trouble, with pauses of about *pause* seconds in which nothing is broken."""
        cards: list[tuple[str, signal.Signals]] = []
        while time.monotonic() < until:
            await asyncio.sleep(self.dice.uniform(0.5, 1.5) * pause)
            if not cards:  # as with a deck, so that each kind comes
                cards = [kind for kind, often in KINDS.items() for _ in range(often)]
                self.dice.shuffle(cards)
            await self.make(*cards.pop())

    async def make(self, part: str, number: signal.Signals) -> None:
        """Send *part* the signal *number*, and wait until all parts answer."""
        name = f"{part} {number.name}"
        whom = parts(self.atoll.process.pid)[part]
        if not whom:
            return
        note(f"  {time.monotonic() - self.tally.began:.0f} s: {name}")
        begun = time.monotonic()
        span = self.tally.trouble() if part not in UNFELT else [0.0, 0.0]
        for pid in whom if part == "fork server" else whom[:1]:
            os.kill(pid, number)
        if part == "supervisor":
            await asyncio.to_thread(self.atoll.process.wait, LATE)
            await asyncio.sleep(self.dice.uniform(0, 2))
            self.atoll.begin()
        elif number is not STOP:
            await _until(lambda: not _exists(whom[0]), LATE)
        back = await self._well(whom)
        span[1] = time.monotonic()
        self.tally.end(name, "done" if back else "wrong", time.monotonic() - begun)
        if not back:
            self.tally.blame(f"{LATE:.0f} s after {name} not everything answers")

    async def _well(self, before: list[int]) -> bool:
        """Wait until all parts answer, none of which is one of *before*."""
        until = time.monotonic() + LATE
        async with client() as http:
            http.timeout = 5
            while time.monotonic() < until:
                found = parts(self.atoll.process.pid)
                here = ["hub", "service", "proxy", *(["answerer"] if self.forks else [])]
                fresh = all(found[one] and found[one][0] not in before[:1] for one in here)
                if fresh and await self._answer(http):
                    return True
                await asyncio.sleep(0.2)
        return False

    async def _answer(self, http: httpx2.AsyncClient) -> bool:
        for path in ("hub/health", "versions"):
            try:
                if not (await http.get(f"{self.atoll.places.url}{path}")).is_success:
                    return False
            except httpx2.TransportError:
                return False
        return not self.forks or await answers(place(self.atoll.settings))


def _exists(pid: int) -> bool:
    return bool(title(pid))


async def _until(done: Callable[[], bool], seconds: float) -> None:
    late = time.monotonic() + seconds
    while not done() and time.monotonic() < late:  # noqa: ASYNC110 - not asyncio's
        await asyncio.sleep(0.05)
