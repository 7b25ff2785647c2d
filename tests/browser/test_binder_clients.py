"""Programs that were written for Binder, against the real Atoll, whole: only the host is new."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import threading
from urllib.parse import quote

import httpx2
import pytest
import websocket

from support.clients import binderhub_client, thebe
from support.gitservers import make_repo, serve
from support.real_atoll import RealAtoll

CELL = 'import six; print("six", six.__version__, 6 * 7)'
SAID = "six 1.16.0 42"
PATIENCE = 120_000  # milliseconds; the first test builds an environment


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A static site on a port of its own; (its folder, its address)."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "thebe").symlink_to(thebe())
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def public(tmp_path_factory, book):
    """A public Atoll whose visitors may come from the book, and a repository's address."""
    repositories = tmp_path_factory.mktemp("repositories")
    make_repo(repositories / "course", {"requirements.txt": "six==1.16.0\n"})
    with serve(repositories) as base:
        one = RealAtoll(
            tmp_path_factory.mktemp("public"),
            access={"anonymous": True, "origins": [book[1]], "per_address": 10},
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "memory": "1G"},
        )
        try:
            one.start()
            yield one, f"{base}/course"
        finally:
            one.end()


def spec(repository: str) -> str:
    return f"git/{quote(repository, safe='')}/main"


def stream(public, *more: str) -> list[dict]:
    one, repository = public
    command = [*binderhub_client(), spec(repository), f"{one.home}/build/", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def launched(public):
    """What BinderHub's own client heard of a visitor's launch."""
    return stream(public)


def test_binderhubs_own_client_launches_and_its_token_opens_the_server(launched):
    phases = list(dict.fromkeys(line["phase"] for line in launched))
    assert phases == ["waiting", "fetching", "building", "built", "launching", "ready"]
    ready = launched[-1]
    kernels = httpx2.get(f"{ready['url']}api/kernels?token={ready['token']}", trust_env=False)
    assert kernels.json() == []
    locked = httpx2.get(f"{ready['url']}api/kernels", trust_env=False)
    assert locked.status_code == 403


def test_a_person_launches_with_a_token_of_the_hub(public):
    one, _ = public
    ready = stream(public, one.person("ada"))[-1]
    assert ready["url"] == f"{one.home}/user/ada/course/"
    again = stream(public, one.person("ada"))[-1]
    assert again["url"] == ready["url"]


def test_the_token_of_a_launch_opens_that_server_and_nothing_else(public, launched):
    one, _ = public
    token = launched[-1]["token"]
    scopes = one.api("GET", "user", token).json()["scopes"]
    # Whoever has a token may always ask whose it is.
    assert {scope.split("!")[0] for scope in scopes} == {
        "access:servers",
        "read:users:name",
        "read:users:groups",
    }
    assert one.api("GET", "users", token).status_code == 403
    refused = httpx2.get(
        f"{one.home}/build/git/x/HEAD",
        headers={"Accept": "text/event-stream", "Authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert refused.status_code == 403


def thebe_page(book, public) -> str:
    folder, address = book
    one, repository = public
    settings = {
        "bootstrap": True,
        "requestKernel": True,
        "binderOptions": {
            "repo": repository,
            "ref": "main",
            "binderUrl": one.home,
            "repoProvider": "git",
        },
        "kernelOptions": {"name": "python3"},
    }
    (folder / "page.html").write_text(
        '<!doctype html><meta charset="utf-8"><title>A book</title><link rel="icon" href="data:,">'
        f'<script type="text/x-thebe-config">{json.dumps(settings)}</script>'
        '<link rel="stylesheet" href="thebe/thebe.css"><script src="thebe/index.js"></script>'
        f'<pre data-executable="true" data-language="python">{CELL}</pre>'
    )
    return f"{address}/page.html"


def kernel_is_there(message) -> bool:
    return "created, kernel" in message.text


def test_thebe_makes_the_cell_of_a_static_page_run(page, book, public):
    one, _ = public
    before = len(one.servers())
    address = thebe_page(book, public)
    with page.expect_console_message(kernel_is_there, timeout=PATIENCE):
        page.goto(address)
    page.locator(".thebe-run-button").click()
    output = page.locator(".jp-OutputArea-output")
    output.wait_for(timeout=PATIENCE)
    assert output.inner_text().strip() == SAID
    assert len(one.servers()) == before + 1
    with page.expect_console_message(kernel_is_there, timeout=PATIENCE):
        page.reload()  # thebe remembers server and token
    assert len(one.servers()) == before + 1


def test_a_site_that_is_not_listed_launches_nothing(page, public):
    one, repository = public
    before = len(one.servers())
    page.goto("about:blank")  # its origin is "null"
    asked = """async ([url, headers]) => {
        try { return (await fetch(url, {headers})).status } catch { return "refused" }
    }"""
    accept = {"Accept": "text/event-stream"}
    assert page.evaluate(asked, [f"{one.home}/build/{spec(repository)}", accept]) == "refused"
    assert len(one.servers()) == before


def test_a_websocket_needs_the_key(launched, book):
    ready = launched[-1]
    made = httpx2.post(
        f"{ready['url']}api/kernels?token={ready['token']}", json={}, trust_env=False, timeout=60
    )
    assert made.status_code == 201
    where = f"ws{ready['url'][4:]}api/kernels/{made.json()['id']}/channels"
    opened = websocket.create_connection(f"{where}?token={ready['token']}", origin=book[1])
    assert opened.connected
    opened.close()
    for origin in (book[1], "https://evil.example"):
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(where, origin=origin)
