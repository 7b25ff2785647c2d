"""Real sources over a real git server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atoll.events import Event
from atoll.providers import mercurial
from atoll.providers.addresses import authorities
from atoll.providers.git import open_source
from atoll.settings import settings_from
from atoll.sources import Checkout, Source
from atoll.sources.parsing import parse
from support.depositservers import deposits_at, serve_web
from support.gitservers import serve
from support.hgservers import serve_hg

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
def certificate(tmp_path, monkeypatch):
    """A certificate for git.example.org, with its key, from an authority that is believed."""
    file = tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=git.example.org",
         "-addext", "subjectAltName=DNS:git.example.org", "-keyout", file, "-out", f"{file}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    authority = tmp_path / "authority.pem"
    authority.write_text(file.with_name("certificate.pem.crt").read_text())
    file.write_text(file.read_text() + authority.read_text())
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    authorities.cache_clear()
    yield file
    authorities.cache_clear()


@pytest.fixture
def make_hg_source(tmp_path: Path) -> MakeSource:
    """Make a source of Mercurial's, as `make_source` makes one of git's."""

    def make(*, trusted: bool = False, allow: Any = ("127.0.0.1",), **limits: Any) -> Source:
        sources = {"allow": list(allow), **limits}
        settings = settings_from({"data": str(tmp_path / "data"), "sources": sources})
        return mercurial.open_source(settings, trusted=trusted)

    return make


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real Mercurial server of every repository in ``served.root``, for a whole module."""
    with serve_hg(tmp_path_factory.mktemp("hg")) as served:
        yield served


@pytest.fixture
def open_hg(make_hg_source: MakeSource):
    """Parse, resolve and fetch a text; events are added to ``told``."""

    async def fetch(
        text: str, source: Source | None = None, told: list[Event] | None = None
    ) -> Checkout:
        source = source or make_hg_source()
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
