"""Identity: servers that say who somebody is, and somebody who signs in by them."""

from __future__ import annotations

import contextlib
import html
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

import httpx2

from support import npm

OIDC = Path(__file__).parent / "oidc"
CLIENT = {"client_id": "atoll", "client_secret": "not-a-guess-" + "0" * 20}


@contextlib.contextmanager
def oidc_provider(callbacks: list[str], people: dict[str, dict]) -> Iterator[str]:
    """Run npm's oidc-provider; yield its issuer's address. *people* are claims by ``sub``."""
    client = {**CLIENT, "redirect_uris": callbacks}
    told = json.dumps({"clients": [client], "people": people})
    command = [npm.node(), "provider.mjs", told]
    process = subprocess.Popen(
        command,
        cwd=npm.installed(OIDC),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def secret_file(folder: Path, secret: str = CLIENT["client_secret"]) -> str:
    """Return a file in *folder* with *secret*, which only we can read."""
    file = folder / "client_secret"
    file.touch(mode=0o600)
    file.write_text(f"{secret}\n")
    return str(file)


class Somebody:
    """A browser without a screen, with cookies of its own."""

    def __init__(self) -> None:
        self.http = httpx2.Client(follow_redirects=True, timeout=60, trust_env=False)
        self.page: httpx2.Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, url: str) -> httpx2.Response:
        self.page = self.http.get(url, headers={"Accept": "text/html"})
        return self.page

    def follow(self, words: str) -> httpx2.Response:
        """Follow the link on the page that *words* are in."""
        links = re.findall(r'<a [^>]*?href=[\'"]([^\'"]*)[\'"][^>]*>\s*([^<]*)', self.page.text)
        [href] = {href for href, text in links if words in text}
        return self.get(urljoin(str(self.page.url), html.unescape(href)))

    def send(self, **fields: str) -> httpx2.Response:
        """Send the page's form, with its hidden fields."""
        [form] = re.findall(r"<form.*?</form>", self.page.text, re.DOTALL)[-1:]
        action = re.search(r'action="([^"]*)"', form)
        hidden = re.findall(r'type="hidden"\s+name="([^"]*)"\s+value="([^"]*)"', form)
        target = urljoin(str(self.page.url), html.unescape(action[1]) if action else "")
        data = {**dict(hidden), **fields}
        headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
        self.page = self.http.post(target, data=data, headers=headers)
        return self.page
