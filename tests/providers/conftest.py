"""Real sources over a real git server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atoll.events import Event
from atoll.providers.git import open_source
from atoll.settings import settings_from
from atoll.sources import Checkout, Source
from atoll.sources.parsing import parse
from support.depositservers import deposits_at, serve_web
from support.gitservers import serve

MakeSource = Callable[..., Source]


@pytest.fixture
def make_source(tmp_path: Path) -> MakeSource:
    """Make a source; from the web unless ``trusted``, with loopback allowed unless ``allow``."""

    def make(*, trusted: bool = False, allow: Any = ("127.0.0.1",), **limits: Any) -> Source:
        sources = {"allow": list(allow), **limits}
        settings = settings_from({"data": str(tmp_path / "data"), "sources": sources})
        return open_source(settings, trusted=trusted)

    return make


@pytest.fixture
def seen() -> list[str]:
    """The requests that the git server has had."""
    return []


@pytest.fixture
def base(tmp_path: Path, seen: list[str]):
    """The URL of a real git server that serves every repository below ``tmp_path / "remote"``."""
    (tmp_path / "remote").mkdir()
    with serve(tmp_path / "remote", seen) as url:
        yield url


@pytest.fixture
def remote(tmp_path: Path, base: str) -> Path:
    """The folder of the repositories that ``base`` serves."""
    return tmp_path / "remote"


@pytest.fixture
def open_text(make_source: MakeSource):
    """Parse, resolve and fetch a text; events are added to ``told``."""

    async def fetch(
        text: str, source: Source | None = None, told: list[Event] | None = None
    ) -> Checkout:
        source = source or make_source()
        tell = (told if told is not None else []).append
        return await source.fetch(await source.resolve(parse(text).repo, tell), tell)

    return fetch


@pytest.fixture
def web():
    """A web server that answers what is put into it."""
    with serve_web() as web:
        yield web


@pytest.fixture
def make_deposits(tmp_path, web):
    """Make a source of deposits that asks ``web`` for everything."""

    def make(*, trusted=False, **limits):
        return deposits_at(web, tmp_path / "data", trusted=trusted, **limits)

    return make


@pytest.fixture
def open_deposit(make_deposits):
    """Resolve and fetch a text; events are added to ``told``."""

    async def fetch(text, source=None, told=None):
        source = source or make_deposits()
        tell = (told if told is not None else []).append
        return await source.fetch(await source.resolve(parse(text).repo, tell), tell)

    return fetch
