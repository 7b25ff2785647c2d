"""Many people who open the same link at the same moment, beside a plain JupyterHub.

crowd_30    from the moment until the last one's Lab answers, through hub, proxy and box. Beside:
            JupyterHub with its own spawner and single-user servers, told to wait 300 s for each.
            Who gets no Lab within 300 s has “failed”.
crowd_100   the same with a hundred people.
crowd_300   300 over a minute, kernels for a third, then idle: the memory of a server without
            kernel, its box and all. Beside: an idle `jupyter lab`. Also “with_kernel”, a server
            and its kernel; “seconds”, from the first request to the last Lab; “failed”, and with
            which words. It stops asking when the machine has less than 1.5 GB left; those who
            would have come later have failed, too.
page_p95    how long a signed-in person waits for “My servers” while 30 launch, in 95 of 100 cases.
            Beside: the same at rest.

Each says “people”: the processor time, in seconds, of this program, which plays them, and “late”:
how many seconds after its time somebody came because this program was busy. Both are to be small.

Prints a JSON list of figures, medians of --rounds (3); --peers says how many of JupyterHub.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from support.asking import Failed, first_cell
from support.figures import Row, Wanted, note, percentile, program, row
from support.installation import Installation, Launched, folder, installation
from support.peers import jupyterhub, plain_lab
from support.processes import Weight, calm, descendants, memory_left, weight

FIGURES = ("crowd_30", "crowd_100", "crowd_300", "page_p95")
LEAST = int(1.5 * 1024**3)  # bytes of memory that are left to the machine
ROUNDS = 3
LOOKS = 200  # at a page, at rest
BREATH = 0.05  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a crowd got: the seconds until its last Lab, who got one, and who did not and why.

    ``people`` and ``late`` tell of this program, as said above.
    """

    seconds: float
    got: tuple[Any, ...]
    failures: tuple[str, ...]
    people: float
    late: float

    def notes(self) -> dict[str, object]:
        """Return what is to be known beside a figure."""
        words = "; ".join(f"{many} × {text[:80]}" for text, many in Counter(self.failures).items())
        told: dict[str, object] = {"failed": len(self.failures)}
        return (
            told
            | ({"why": words} if words else {})
            | {
                "people": round(self.people, 1),
                "late": round(self.late, 2),
            }
        )


async def crowd(
    number: int, launch: Callable[[int], Awaitable[Any]], *, over: float = 0.0
) -> Crowd:
    """Have *number* people call *launch*, at one moment or evenly *over* so many seconds."""
    begun, worked = time.monotonic(), sum(os.times()[:2])
    last, late = begun, 0.0

    async def one(index: int) -> Any:
        nonlocal last, late
        await asyncio.sleep(index * over / number)
        late = max(late, time.monotonic() - begun - index * over / number)
        if memory_left() < LEAST:
            raise Failed("The machine has no memory left.")
        got = await launch(index)
        last = time.monotonic()
        return got

    ends = await asyncio.gather(*map(one, range(number)), return_exceptions=True)
    wrong = [end for end in ends if isinstance(end, BaseException)]
    for end in wrong:
        if not isinstance(end, Failed):
            raise end
    failures = tuple(map(str, wrong))
    for text in sorted(set(failures)):
        note(f"  {failures.count(text)} failed: {text[:300]}")
    got = tuple(end for end in ends if not isinstance(end, BaseException))
    return Crowd(last - begun, got, failures, sum(os.times()[:2]) - worked, late)


async def measure(wanted: Wanted) -> list[Row]:
    """Measure what is *wanted*."""
    rows = []
    async with folder() as where, installation(where) as atoll:
        if wanted.any("page_p95"):
            rows.append(await _pages(atoll, wanted))
        for name, number in (("crowd_30", 30), ("crowd_100", 100)):
            if wanted.any(name):
                ours = [await _visitors(atoll, number) for _ in range(wanted.rounds or ROUNDS)]
                rows.append(await _beside_jupyterhub(name, number, ours, where, wanted))
        if wanted.any("crowd_300"):
            rows.append(await _classes(atoll, where, wanted))
    return rows


async def _visitors(atoll: Installation, number: int) -> Crowd:
    found = await crowd(number, lambda _: atoll.launch())
    note(f"{number}: {found.seconds:.2f} s, {len(found.failures)} failed")
    await atoll.clear()
    await calm()
    return found


async def _beside_jupyterhub(
    name: str, number: int, ours: Sequence[Crowd], where: Path, wanted: Wanted
) -> Row:
    theirs = []
    for turn in range(wanted.peers or wanted.rounds or ROUNDS):
        async with jupyterhub(where / f"{name}-{turn}") as plain:
            people = [f"person-{index}" for index in range(number)]
            await plain.add(people)
            await calm()
            found = await crowd(number, lambda index: plain.launch(people[index]))  # noqa: B023
            note(f"{number} at JupyterHub: {found.seconds:.2f} s, {len(found.failures)} failed")
            theirs.append(found)
        await calm()
    return row(
        name,
        [one.seconds for one in ours],
        "s",
        "JupyterHub, its own spawner, waiting 300 s",
        [one.seconds for one in theirs if one.got],
        **max(ours, key=lambda one: (len(one.failures), one.seconds)).notes(),
        first=round(statistics.median(min(_pages_of(one), default=0) for one in ours), 3),
        beside_failed=max(len(one.failures) for one in theirs),
        beside_rounds=len(theirs),
    )


def _pages_of(found: Crowd) -> list[float]:
    return [one.page for one in found.got if isinstance(one, Launched)]


async def _classes(atoll: Installation, where: Path, wanted: Wanted) -> Row:
    ours = [await _class(atoll) for _ in range(wanted.rounds or ROUNDS)]
    (plain := where / "plain").mkdir(exist_ok=True)
    async with plain_lab(plain) as lab:
        await asyncio.sleep(2)
        theirs = weight(descendants(lab.process.pid))
    return row(
        "crowd_300",
        [one["without"] for one in ours],
        "bytes",
        "an idle jupyter lab",
        [theirs.pss],
        **{
            name: round(statistics.median(one[name] for one in ours), 3)
            for name in ("private", "with_kernel", "kernel", "seconds", "people", "late")
        },
        failed=max(one["failed"] for one in ours),
    )


async def _class(atoll: Installation, number: int = 300, over: float = 60) -> dict[str, Any]:
    """Have *number* people come *over* so many seconds, every third of whom runs a cell."""
    begun = seen = time.monotonic()

    async def launch(index: int) -> tuple[Launched, bool]:
        nonlocal seen
        launched = await atoll.launch()
        seen = time.monotonic()
        if index % 3 == 0:
            await first_cell(launched.url, launched.token)
        return launched, index % 3 == 0

    found = await crowd(number, launch, over=over)
    note(f"{number}: {seen - begun:.2f} s, {len(found.failures)} failed")
    await calm(0.5, 60)
    without, kernels, alone = [], [], []
    boxes = atoll.weights([launched for launched, _ in found.got])
    for parts, (_, kernel) in zip(boxes, found.got, strict=True):
        whole = sum(parts.values(), Weight())
        if kernel:
            kernels.append(whole.pss)
            alone.append(parts["kernels"].pss)
        else:
            without.append(whole)
    await atoll.clear()
    await calm()
    return {
        "without": statistics.median([one.pss for one in without] or [0]),
        "private": statistics.median([one.private for one in without] or [0]),
        "with_kernel": statistics.median(kernels or [0]),
        "kernel": statistics.median(alone or [0]),
        "seconds": seen - begun,
        **found.notes(),
    }


async def _pages(atoll: Installation, wanted: Wanted) -> Row:
    """Look at “My servers” of the administrator, who has one, at rest and during crowds."""
    await atoll.launch(token=await _token(atoll), see=False)  # only visitors' links open a Lab
    await calm()
    rest, busy, crowds = [], [], []
    for _ in range(wanted.rounds or ROUNDS):
        async with _watching(atoll, rest):
            await asyncio.sleep(LOOKS * BREATH)
        async with _watching(atoll, busy):
            crowds.append(await crowd(30, lambda _: atoll.launch()))
        quiet, loud = percentile(rest[-1], 0.95), percentile(busy[-1], 0.95)
        note(f"page: {quiet:.3f} s, {loud:.3f} s in a crowd of {crowds[-1].seconds:.2f} s")
        await atoll.clear()
        await calm()
    return row(
        "page_p95",
        [percentile(one, 0.95) for one in busy],
        "s",
        "the same page at rest",
        [percentile(one, 0.95) for one in rest],
        middle=round(statistics.median(map(statistics.median, busy)), 3),
        looks=sum(map(len, busy)),
        failed=max(len(one.failures) for one in crowds),
    )


async def _token(atoll: Installation) -> str:
    """Return a token of the administrator's, with all that they may do."""
    hub = atoll.hub()
    async with hub.http:
        answer = await hub.http.post("/users/admin/tokens", json={})
        return str(answer.raise_for_status().json()["token"])


@contextlib.asynccontextmanager
async def _watching(atoll: Installation, seen: list[list[float]]) -> AsyncIterator[None]:
    """Look at the page all the while, from another process: we are busy being a crowd."""
    places = atoll.places
    stop = places.data / "stop-watching"
    stop.unlink(missing_ok=True)
    password = places.secret(places.password.name)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        looking = pool.submit(watch, places.url, password, stop)
        try:
            while not stop.with_suffix(".ready").exists() and not looking.done():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            yield
        finally:
            stop.touch()
            times = await asyncio.wrap_future(looking)
            stop.with_suffix(".ready").unlink(missing_ok=True)
    seen.append(times)


def watch(url: str, password: str, stop: Path) -> list[float]:
    """Sign in, then look at “My servers” until there is a file *stop*; return the seconds."""
    times = []
    page = f"{url}services/atoll/servers"
    with httpx2.Client(follow_redirects=True, timeout=60, trust_env=False) as http:
        form = http.get(f"{url}hub/login")
        fields = {"username": "admin", "password": password, "_xsrf": http.cookies["_xsrf"]}
        http.post(str(form.url), data=fields).raise_for_status()
        http.get(f"{url}services/atoll/sign-in").raise_for_status()
        late = time.monotonic() + 600
        stop.with_suffix(".ready").touch()
        while not stop.exists() and time.monotonic() < late:
            begun = time.monotonic()
            answer = http.get(page)
            times.append(time.monotonic() - begun)
            if answer.status_code != httpx2.codes.OK or "My servers" not in answer.text:
                raise Failed(f"My servers: {answer.status_code} {answer.url}")
            time.sleep(BREATH)
    return times


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
