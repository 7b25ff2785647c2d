"""A browser without a screen: cookies, redirects, the headers that browsers send, and forms."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re

import httpx2

from support.one_host import joined
from support.web_service import Service

HOME = "http://atoll.example.org"
PREFIX = "/services/atoll/"
NAVIGATION = {
    "Accept": "text/html",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "same-origin",
}


class Browser:
    """Somebody's browser, on an ASGI application or whatever else a client's transport leads to."""

    def __init__(self, app, address: str = "203.0.113.5") -> None:
        if not isinstance(app, httpx2.AsyncBaseTransport):
            app = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(
            transport=app,
            base_url=HOME,
            headers={"X-Forwarded-For": address},
        )
        self.form_token = ""

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Go to *path*, below Atoll's prefix unless it begins with a slash; follow redirects."""
        url = path if path.startswith(("/", "http")) else PREFIX + path
        sent = {**NAVIGATION, **{k.replace("_", "-"): v for k, v in headers.items()}}
        answer = await self.http.get(url, headers=sent, follow_redirects=True)
        self._look(answer)
        return answer

    async def post(self, path: str, headers=None, **fields: str) -> httpx2.Response:
        """Send a form as the page seen last would, and follow the redirect."""
        data = {"form_token": self.form_token, **fields}
        sent = {**NAVIGATION, "Origin": HOME, **(headers or {})}
        answer = await self.http.post(
            PREFIX + path, data=data, headers=sent, follow_redirects=False
        )
        if answer.is_redirect:
            return await self.get(answer.headers["location"].partition("#")[0])
        self._look(answer)
        return answer

    async def launch(self, repository: str, **fields: str) -> str:
        """Launch and return the id."""
        await self.get("")
        answer = await self.post("launches", repository=repository, **fields)
        assert answer.status_code == 200, answer.text
        return answer.url.path.rsplit("/", 1)[-1]

    async def events(self, launch: str, **headers: str) -> list[tuple[str, str, dict]]:
        """Return a launch's whole stream as (id, event, data)."""
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        answer = await self.http.get(f"{PREFIX}launches/{launch}/events", headers=sent)
        assert answer.status_code == 200, answer.text
        return parse_stream(answer.text)

    def _look(self, answer: httpx2.Response) -> None:
        if found := re.search(r'name="form_token" value="([^"]*)"', answer.text):
            self.form_token = html.unescape(found[1])


def parse_stream(text: str) -> list[tuple[str, str, dict]]:
    """Return the events of an event stream."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.partition(": ") for line in block.split("\n") if line[:1] != ":"]
        fields = {name: value for name, _, value in lines if name}
        if "data" in fields:
            event = (fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]))
            found.append(event)
    return found


@contextlib.asynccontextmanager
async def running(service: Service):
    """Run the service and give a function that opens browsers."""
    web = service.app
    web.state.listeners.linger = 0.0
    async with web.router.lifespan_context(web):
        app = joined(service, web)
        yield lambda **how: Browser(app, **how)


async def until(ask, seconds: float = 10.0):
    """Return the first true answer of *ask*."""
    async with asyncio.timeout(seconds):
        while not (answer := ask()):
            await asyncio.sleep(0.01)
        return answer
