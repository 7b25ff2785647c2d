"""People: each launches, writes, computes and stops at random, and knows what is to be there.

Whoever does not get what they asked for must be told why, and must get it when they try again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from endurance.tally import Broken, Silent, Tally, Told
from support.asking import Failed, client, first_cell, page
from support.installation import Installation

BOUND = 150.0  # seconds within which whatever a person does must have ended, well or not
DISTURBED = 25.0  # seconds until the hub has noticed that a server was killed: it looks every 10
# Words of a program for itself.
INTERNAL = ("Something went wrong in Atoll itself", "Traceback", "Internal Server Error")
INTERNAL += ("QueuePool", "Spawn failed:")
FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
XSRF = "_xsrf"
PASSWORD = "a password of everybody's"
OK, NOT_FOUND, REFUSED = 200, 404, 400
LAB = b"jupyter-config-data"  # in every page of a JupyterLab


@dataclass(slots=True)
class Server:
    """A server as its person sees it: where it is, and each text that a file of it may hold."""

    name: str
    repository: Path
    url: str = ""
    killed: float = -1e9
    files: dict[str, set[str | None]] = field(default_factory=dict)


@dataclass(slots=True)
class Person:
    """Somebody who has signed in, with two servers that keep their files."""

    name: str
    token: str
    atoll: Installation
    tally: Tally
    dice: random.Random
    servers: list[Server]
    kill: Callable[[str, str], bool]
    browser: httpx2.AsyncClient = field(default_factory=client)
    http: httpx2.AsyncClient = field(init=False)
    form_token: str = ""
    numbers: int = 0

    def __post_init__(self) -> None:
        self.http = client(self.token)

    async def live(self, until: float, pause: float) -> None:
        """Do one thing after the other, with pauses of about *pause* seconds."""
        await asyncio.sleep(self.dice.uniform(0, 2 * pause))
        while time.monotonic() < until:
            act = self._choose()
            await self.do(act.__name__.strip("_"), act)
            await asyncio.sleep(self.dice.expovariate(1 / pause))

    def _choose(self) -> Callable[[], Awaitable[None]]:
        if self.dice.random() < 0.1:  # noqa: PLR2004
            return self.visitor
        server = self.dice.choice(self.servers)
        if not server.url:
            launches = (self.binder_launch, self.page_launch, self.hub_start)
            launch = self.dice.choice(launches if server.files else launches[:2])
            return _named(launch, server)
        acts = {
            self.lab_page: 4,
            self.write: 6,
            self.read: 6,
            self.cell: 3,
            self.binder_launch: 1,  # it runs already
            self.stop: 3,
            self.own_kill: 1,
            self.rest: 2,
        }
        (act,) = self.dice.choices(list(acts), list(acts.values()))
        return _named(act, server)

    async def do(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        """Do it, again if it failed for a reason that was told, and judge how it ended."""
        while True:  # trouble ends
            begun = time.monotonic()
            try:
                async with asyncio.timeout(BOUND):
                    await act()
            except TimeoutError:
                self.tally.end(name, "hung")
                self.tally.blame(f"{name} of {self.name} did not end within {BOUND:.0f} s")
                return
            except (Told, Broken) as error:
                self.tally.text(error)
                if not self.tally.excused(begun):
                    self.tally.end(name, "wrong")
                    self.tally.blame(f"{name} of {self.name} failed: {error}")
                    return
                self.tally.end(name, "told")
                await self.tally.calm()
                await asyncio.sleep(self.dice.uniform(0, 2))
            except Silent as error:
                self.tally.end(name, "wrong")
                self.tally.blame(f"{name} of {self.name} was told nothing: {error}")
                return
            else:
                self.tally.end(name, "done", time.monotonic() - begun)
                return

    async def binder_launch(self, server: Server) -> None:
        """Launch as Binder's clients do."""
        ready = await binder(self.http, self.atoll.places.url, server.repository, self.token)
        server.url = ready["url"]
        await self._see(server)

    async def page_launch(self, server: Server) -> None:
        """Launch by the form, and follow the page's stream."""
        place = f"{self.atoll.places.url}services/atoll/"
        fields = {"form_token": await self._form(place), "repository": _link(server.repository)}
        begun = await ask(self.browser, "POST", f"{place}launches", data=fields)
        launch = str(begun.url).partition("#")[0]
        if "/launches/" not in launch:
            raise Told(words(begun))
        state = await self._follow(launch)
        if state != "ready":
            raise Told(words(await ask(self.browser, "GET", launch)))
        path = f"/user/{self.name}/{server.repository.name}/"
        await ask(self.browser, "GET", f"{launch}/enter")
        server.url = f"{self.atoll.places.url.rstrip('/')}{path}"
        await self._see(server)

    async def hub_start(self, server: Server) -> None:
        """Start it anew through JupyterHub's own interface."""
        api = f"{self.atoll.places.url}hub/api/users/{self.name}"
        answer = await ask(self.http, "GET", f"{api}?include_stopped_servers=1")
        model = answer.json()["servers"][server.name]
        if not model["ready"]:
            body = {"user_options": model["user_options"]}
            url = f"{api}/servers/{server.name}"
            if not model["pending"]:
                await ask(self.http, "POST", url, json=body)
            if model["pending"] == "stop":
                raise Broken("it is just being stopped")
            async for event in stream(self.http, f"{url}/progress"):
                if event.get("failed"):
                    raise told(str(event.get("message", "")))
        server.url = f"{self.atoll.places.url}user/{self.name}/{server.name}/"
        async with self._using(server):  # JupyterHub may call one ready that was just killed
            await self._see(server)

    async def visitor(self) -> None:
        """Launch without signing in, write and read, and leave: somebody will clear up."""
        repository = self.servers[0].repository
        async with client() as http:
            ready = await binder(http, self.atoll.places.url, repository)
            http.headers["Authorization"] = f"token {ready['token']}"
            await page(http, f"{ready['url']}lab", seconds=60)
            self.numbers += 1
            url, text = f"{ready['url']}api/contents/visit.txt", f"visit {self.numbers}"
            await ask(http, "PUT", url, json=_file(text))
            if (await ask(http, "GET", url)).json()["content"] != text:
                self.tally.blame(f"a visitor's file is not what was written: {url}")
            if self.dice.random() < 0.5:  # noqa: PLR2004
                with contextlib.suppress(Broken):  # File → Shut Down
                    await ask(http, "POST", f"{ready['url']}api/shutdown")

    async def lab_page(self, server: Server) -> None:
        """Open the Lab's page."""
        async with self._using(server):
            answer = await ask(self.http, "GET", f"{server.url}lab")
            if LAB not in answer.content:
                raise Told(f"this is not a Lab: {answer.url.path}")

    async def write(self, server: Server) -> None:
        """Save a file; until we hear that it is saved, it may hold what it did before."""
        name = f"file-{self.dice.randrange(5)}.txt"
        self.numbers += 1
        text = f"{self.name} {self.numbers}\n" * self.dice.choice((1, 50, 5000))
        async with self._using(server):
            server.files[name] = server.files.get(name, {None}) | {text}
            await ask(self.http, "PUT", f"{server.url}api/contents/{name}", json=_file(text))
            server.files[name] = {text}

    async def read(self, server: Server) -> None:
        """Read a file back."""
        if not server.files:
            return
        name = self.dice.choice(sorted(server.files))
        async with self._using(server):
            url = f"{server.url}api/contents/{name}"
            answer = await ask(self.http, "GET", url, also={NOT_FOUND})
            if answer.status_code == NOT_FOUND and (
                "No such file" not in answer.text and "does not exist" not in answer.text
            ):
                raise Told(words(answer))  # not the server's answer, but the hub's for it
            found = answer.json()["content"] if answer.status_code == OK else None
            self.check(server, name, found)

    def check(self, server: Server, name: str, found: str | None) -> None:
        """Compare what was *found* with what is known."""
        if found in server.files[name]:
            server.files[name] = {found}
            return
        told = "nothing" if found is None else f"{found[:40]!r} ({len(found)})"
        known = ", ".join(f"{(one or '')[:40]!r}" for one in server.files[name])
        self.tally.blame(f"LOST FILE {name} of {self.name}/{server.name}: {told}, not {known}")
        server.files[name] = {found}

    async def cell(self, server: Server) -> None:
        """Start a kernel and run a cell, which writes a file."""
        self.numbers += 1
        text, name = f"cell {self.numbers}", "cell.txt"
        code = f"open({name!r}, 'w').write({text!r})"
        async with self._using(server):
            server.files[name] = server.files.get(name, {None}) | {text, ""}
            answer = str(len(text))
            await first_cell(server.url, self.token, cell=code, answer=answer, seconds=90)
            server.files[name] = {text}

    async def stop(self, server: Server) -> None:
        """Stop it on “My servers”, or through JupyterHub."""
        if self.dice.random() < 0.5:  # noqa: PLR2004
            place = f"{self.atoll.places.url}services/atoll/"
            fields = {"form_token": await self._form(place)}
            await ask(self.browser, "POST", f"{place}servers/{server.name}/stop", data=fields)
        else:
            url = f"{self.atoll.places.url}hub/api/users/{self.name}/servers/{server.name}"
            await ask(self.http, "DELETE", url, also={REFUSED, NOT_FOUND})
        server.url = ""

    async def own_kill(self, server: Server) -> None:
        """End the server's own processes by SIGKILL, as running out of memory does."""
        if self.kill(self.name, server.name):
            server.killed = time.monotonic()
        server.url = ""
        await asyncio.sleep(self.dice.uniform(0, 15))

    async def rest(self, server: Server) -> None:  # noqa: ARG002
        """Go for a coffee: meanwhile the idle culler may come."""
        await asyncio.sleep(self.dice.uniform(20, 60))

    async def leave(self) -> None:
        """Close the browser."""
        await self.browser.aclose()
        await self.http.aclose()

    @contextlib.asynccontextmanager
    async def _using(self, server: Server) -> AsyncIterator[None]:
        """Forgive a server that is not there any more because it was culled or killed."""
        try:
            yield
        except (Told, Broken, Failed) as error:
            if server.killed > time.monotonic() - DISTURBED or await self._gone(server):
                server.url = ""
                return
            raise Told(str(error)) from error

    async def _gone(self, server: Server) -> bool:
        url = f"{self.atoll.places.url}hub/api/users/{self.name}?include_stopped_servers=1"
        answer = await ask(self.http, "GET", url)
        return not answer.json()["servers"].get(server.name, {}).get("ready")

    async def _see(self, server: Server) -> None:
        answer = await ask(self.http, "GET", f"{server.url}lab")
        if LAB not in answer.content:
            raise Told(f"this is not a Lab: {answer.url.path}")

    async def _form(self, place: str) -> str:
        """Return the mark that forms carry; sign in first if need be."""
        answer = await ask(self.browser, "GET", f"{place}sign-in")
        if answer.url.path == "/hub/login":
            marks = [one.value for one in self.browser.cookies.jar if one.name == XSRF]
            fields = {"username": self.name, "password": PASSWORD, XSRF: marks[-1]}
            answer = await ask(self.browser, "POST", str(answer.url), data=fields)
        found = FORM_TOKEN.search(answer.text)
        if not found:
            raise Told(f"no form at {answer.url.path}: {words(answer)}")
        return found[1]

    async def _follow(self, launch: str) -> str:
        """Follow the stream of a launch as its page does, again and again until it is over."""
        seen = ""
        while True:
            headers = {"Last-Event-ID": seen} if seen else {}
            with contextlib.suppress(Broken):
                async for event in stream(self.browser, f"{launch}/events", headers=headers):
                    seen = event.get("id", seen)
                    if "state" in event:
                        return str(event["state"])
            await asyncio.sleep(2)  # as a browser waits before it asks again


def _named(
    act: Callable[[Server], Awaitable[None]], server: Server
) -> Callable[[], Awaitable[None]]:
    async def do() -> None:
        await act(server)

    do.__name__ = act.__name__
    return do


def _link(repository: Path) -> str:
    return f"file://{repository}"


def _file(text: str) -> dict[str, str]:
    return {"type": "file", "format": "text", "content": text}


async def binder(
    http: httpx2.AsyncClient, home: str, repository: Path, token: str = ""
) -> dict[str, Any]:
    """Launch through Binder's interface and return the event “ready”."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{home}build/git/{quote(_link(repository), safe='')}/HEAD"
    async for event in stream(http, url, headers=headers):
        if event["phase"] == "failed":
            raise told(event["message"])
        if event["phase"] == "ready":
            return event
    raise Broken("the stream ended early")


async def ask(
    http: httpx2.AsyncClient, method: str, url: str, *, also: set[int] = frozenset(), **how: Any
) -> httpx2.Response:
    """Return the answer, or raise what its failure is for whoever asks."""
    try:
        answer = await http.request(method, url, **how)
    except httpx2.TimeoutException as error:
        raise Silent(f"{method} {_kind(url)}: {error!r}") from error
    except (httpx2.TransportError, httpx2.TooManyRedirects) as error:
        raise Broken(f"{method} {_kind(url)}: {error!r}") from error
    if answer.is_success or answer.status_code in also:
        return answer
    raise failure(method, url, answer.status_code, words(answer))


async def stream(
    http: httpx2.AsyncClient, url: str, headers: dict[str, str] | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a stream."""
    headers = {"Accept": "text/event-stream", **(headers or {})}
    try:
        async with http.stream("GET", url, headers=headers) as answer:
            if not answer.is_success:
                await answer.aread()
                raise failure("GET", url, answer.status_code, words(answer))
            number = {}
            async for line in answer.aiter_lines():
                if line.startswith("id:"):
                    number = {"id": line[3:].strip()}
                if line.startswith("data:"):
                    yield json.loads(line[5:]) | number
    except httpx2.TimeoutException as error:
        raise Silent(f"GET {_kind(url)}: {error!r}") from error
    except (httpx2.TransportError, httpx2.TooManyRedirects) as error:
        raise Broken(f"GET {_kind(url)}: {error!r}") from error


def failure(method: str, url: str, status: int, text: str) -> Exception:
    """Return what an answer with *status* and *text* is for whoever asked."""
    said = f"{method} {_kind(url)}: {status} {text}"
    return told(said) if text else Silent(said)


def told(text: str) -> Exception:
    """Return a failure as whoever reads *text* takes it."""
    bad = not text.strip() or any(one in text for one in INTERNAL)
    return Silent(text) if bad else Told(text.strip())


def words(answer: httpx2.Response) -> str:
    """Return what *answer* says to a person."""
    with contextlib.suppress(ValueError, AttributeError):
        told = answer.json()
        known = [str(told[key]) for key in ("message", "error", "hint") if told.get(key)]
        return " ".join(one for one in known if one is known[0] or one not in known[0])
    text = re.sub(r"(?s)<(script|style|head|nav|header)\b.*?</\1>", " ", answer.text)
    if alert := re.search(r'(?s)role="alert">(.*?)</div>', text):
        text = alert[1]
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:300]


def _kind(url: str) -> str:
    """Return which address this is, without whose and which."""
    path = urlsplit(url).path
    path = re.sub(r"/(user|users)/[^/]+(/servers)?/[^/]+", r"/\1/…\2/…", path)
    return re.sub(r"/build/.*|/launches/[^/]+", lambda m: m[0].split("/")[1] + "/…", path)
