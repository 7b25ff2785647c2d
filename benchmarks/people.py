"""Two hundred people who click around while thirty launch.

people_p95             how long signed-in people wait for a page (launch, my servers, volumes, a
                       launch's progress, a style sheet), in 95 of 100 cases, while 30 launch.
                       Beside: the same pages, for the same people, while nobody launches.
people_p95_postgresql  the same, with everything in a PostgreSQL server on this machine.

Everybody has a browser of their own, which keeps its connection, and thinks for some seconds
before the next click, at random but always the same. They are played by a process of their own;
“late” says how many seconds after its time a click came because that process was busy: it is to
be small. --people says how many there are, of whom launch three for each twenty.

Prints a JSON list of figures, medians of --rounds (3).
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import re
import runpy
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from crowds import crowd
from support.asking import Failed, client
from support.figures import Row, Wanted, note, percentile, program, row
from support.installation import Installation, folder, installation
from support.processes import calm, free_port

FIGURES = ("people_p95", "people_p95_postgresql")
PEOPLE = 200
SHARE = 0.15  # of so many people, in addition, launch
QUIET = 20.0  # seconds in which nobody launches
THINKING = 4.0  # seconds between two clicks, in the middle
DOORS = 8  # sign in at the same moment
PASSWORD = "a password of everybody's"
CONFIG = f"""
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = {PASSWORD!r}
c.SharedPasswordAuthenticator.allow_all = True
"""
FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)"')
POSTGRES = Path(__file__).parents[1] / "tests" / "support" / "postgres.py"


@dataclass(frozen=True, slots=True)
class Clicks:
    """What the people waited for each click, in seconds; how late they were; what went wrong."""

    times: list[float]
    late: float
    wrong: list[str]


@dataclass(slots=True)
class Clicker:
    """One person with a browser. ``pages`` are the addresses that they look at."""

    name: str
    url: str
    http: httpx2.AsyncClient
    pages: tuple[str, ...] = ()

    async def arrive(self) -> None:
        """Sign in, and launch what there is not, so as to have the page of a launch."""
        home = f"{self.url}services/atoll/"
        form = await self.http.get(f"{self.url}hub/login")
        mark = next(one.value for one in self.http.cookies.jar if one.name == "_xsrf")
        fields = {"username": self.name, "password": PASSWORD, "_xsrf": mark}
        (await self.http.post(str(form.url), data=fields)).raise_for_status()
        page = await self.http.get(f"{home}sign-in")
        token, style = FORM_TOKEN.search(page.text), STYLE.search(page.text)
        if not token or not style:
            raise Failed(f"{self.name} could not sign in: {page.status_code} {page.url}")
        sent = {"form_token": token[1], "repository": "file:///nowhere/at-all"}
        launch = await self.http.post(f"{home}launches", data=sent)
        self.pages = (
            home,
            f"{home}servers",
            f"{home}volumes",
            str(launch.url).partition("#")[0],
            str(httpx2.URL(home).join(style[1])),
        )

    async def click(self, choice: random.Random) -> tuple[float, str]:
        """Look at a page; return the seconds that it took, and what was wrong with it, or ""."""
        page = choice.choice(self.pages)
        begun = time.monotonic()
        try:
            answer = await self.http.get(page)
        except httpx2.HTTPError as error:
            return time.monotonic() - begun, repr(error)
        taken = time.monotonic() - begun
        right = answer.status_code == httpx2.codes.OK and str(answer.url) == page
        return taken, "" if right else f"{answer.status_code} {answer.url.path}"


async def measure(wanted: Wanted) -> list[Row]:
    """Measure what is *wanted*."""
    rows = []
    for name in FIGURES:
        if not wanted.any(name):
            continue
        with contextlib.ExitStack() as stack:
            rules: dict[str, Mapping[str, Any]] = {}
            if name.endswith("postgresql"):
                postgres = runpy.run_path(str(POSTGRES))["postgres"]
                rules["database"] = {"url": stack.enter_context(postgres())}
            rows.append(await _people(name, rules, wanted))
    return rows


async def _people(name: str, rules: Mapping[str, Mapping[str, Any]], wanted: Wanted) -> Row:
    number = wanted.people or PEOPLE
    async with folder() as where:
        (config := where / "jupyterhub_config.py").write_text(CONFIG)
        hub = {"bind": f"http://127.0.0.1:{free_port()}", "config": str(config)}
        async with installation(where, rules={"hub": hub, **rules}) as atoll:
            quiet, busy, crowds = [], [], []
            for turn in range(wanted.rounds or 3):
                async with _clicking(atoll, number, turn, quiet):
                    await asyncio.sleep(QUIET)
                async with _clicking(atoll, number, turn, busy):
                    crowds.append(await crowd(round(SHARE * number), lambda _: atoll.launch()))
                    await asyncio.sleep(THINKING)
                rest, loud = percentile(quiet[-1].times, 0.95), percentile(busy[-1].times, 0.95)
                note(f"{number}: {rest:.3f} s, {loud:.3f} s in {crowds[-1].seconds:.2f} s")
                await atoll.clear()
                await calm()
    wrong = [text for one in (*quiet, *busy) for text in one.wrong]
    return row(
        name,
        [percentile(one.times, 0.95) for one in busy],
        "s",
        "the same people, while nobody launches",
        [percentile(one.times, 0.95) for one in quiet],
        middle=round(statistics.median(map(statistics.median, (one.times for one in busy))), 3),
        people=number,
        looks=sum(len(one.times) for one in busy),
        late=round(max(one.late for one in (*quiet, *busy)), 3),
        failed=len(wrong) + sum(len(one.failures) for one in crowds),
        **({"why": wrong[0][:80]} if wrong else {}),
    )


@contextlib.asynccontextmanager
async def _clicking(
    atoll: Installation, number: int, seed: int, seen: list[Clicks]
) -> AsyncIterator[None]:
    """Have *number* people click all the while, in another process, once all have signed in."""
    stop = atoll.places.data / "stop-clicking"
    ready = stop.with_suffix(".ready")
    stop.unlink(missing_ok=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        clicking = pool.submit(click, atoll.places.url, number, seed, stop)
        try:
            while not ready.exists() and not clicking.done():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            yield
        finally:
            stop.touch()
            clicks = await asyncio.wrap_future(clicking)
            ready.unlink(missing_ok=True)
    seen.append(clicks)


def click(url: str, number: int, seed: int, stop: Path) -> Clicks:
    """Sign *number* people in at *url*; let them click until there is a file *stop*."""
    return asyncio.run(_all_click(url, number, seed, stop))


async def _all_click(url: str, number: int, seed: int, stop: Path) -> Clicks:
    async with contextlib.AsyncExitStack() as stack:
        everybody = [
            Clicker(f"person-{index}", url, await stack.enter_async_context(client(seconds=60)))
            for index in range(number)
        ]
        door = asyncio.Semaphore(DOORS)

        async def arrive(one: Clicker) -> None:
            async with door:
                await one.arrive()

        await asyncio.gather(*map(arrive, everybody))
        stop.with_suffix(".ready").touch()
        clicks = Clicks([], 0.0, [])
        over = asyncio.Event()
        lates = await asyncio.gather(
            *(_live(one, random.Random(f"{seed} {one.name}"), over, clicks) for one in everybody),
            _watch(stop, over),
        )
    return Clicks(clicks.times, max(lates), clicks.wrong)


async def _watch(stop: Path, over: asyncio.Event) -> float:
    while not stop.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.1)
    over.set()
    return 0.0


async def _live(one: Clicker, choice: random.Random, over: asyncio.Event, clicks: Clicks) -> float:
    """Think and click until it is *over*; return how late the latest click was."""
    late = 0.0
    pause = choice.uniform(0, THINKING)  # they do not all begin at once
    while True:
        due = time.monotonic() + pause
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), pause)
        if over.is_set():
            return late
        late = max(late, time.monotonic() - due)
        taken, wrong = await one.click(choice)
        clicks.times.append(taken)
        clicks.wrong.extend([wrong] if wrong else [])
        pause = choice.uniform(THINKING / 2, THINKING * 3 / 2)


if __name__ == "__main__":
    program(__doc__, FIGURES, measure)
