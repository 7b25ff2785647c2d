"""Asking: what a browser does, pages and cells, and what goes wrong for a person."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import Any

import httpx2
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

OK = httpx2.codes.OK
WRONG = (TimeoutError, httpx2.HTTPError, HTTPClientError, WebSocketClosedError, OSError)
PATIENCE = 120.0  # seconds
CELL, ANSWER = "6 * 7", "42"


class Failed(Exception):
    """Somebody did not get what they asked for."""


def client(token: str = "", *, seconds: float = PATIENCE) -> httpx2.AsyncClient:
    """Return a browser of one person's own, with a *token* if it has one.

    It waits so many *seconds* for a word.
    """
    headers = {"Authorization": f"token {token}"} if token else {}
    return httpx2.AsyncClient(
        headers=headers, timeout=seconds, trust_env=False, verify=False, follow_redirects=True
    )


async def page(http: httpx2.AsyncClient, url: str, *, seconds: float = PATIENCE) -> None:
    """Ask until there is a page at *url*, and none elsewhere, to sign in say. Raises `Failed`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    answer = await http.get(url)
                    if answer.status_code == OK and answer.url.path == httpx2.URL(url).path:
                        return
                await asyncio.sleep(0.01)
    raise Failed(f"{url.partition('?')[0]} did not answer within {seconds:.0f} s.")


async def first_cell(
    base: str, token: str, *, cell: str = CELL, answer: str = ANSWER, seconds: float = PATIENCE
) -> None:
    """Start a kernel at *base*, which ends in a slash, and hear a cell's answer. Raises `Failed`.

    As a page does it: over the REST interface, and then over a web socket.
    """
    headers = {"Authorization": f"token {token}"}
    try:
        async with asyncio.timeout(seconds), client(token) as http:
            made = await http.post(f"{base}api/kernels", json={})
            made.raise_for_status()
            url = f"ws{base[4:]}api/kernels/{made.json()['id']}/channels"
            socket = await websocket_connect(HTTPRequest(url, headers=headers))
            try:
                await socket.write_message(json.dumps(message := _execute(cell)))
                asked = message["header"]["msg_id"]
                while True:
                    got = json.loads(await socket.read_message() or "{}")
                    if (got.get("parent_header") or {}).get("msg_id") != asked:
                        continue
                    if got["msg_type"] == "execute_result":
                        if got["content"]["data"]["text/plain"] != answer:
                            raise Failed("The cell's answer is wrong.")
                        return
            finally:
                socket.close()
    except (*WRONG, KeyError, ValueError) as error:
        raise Failed(f"No answer of a cell: {error!r}") from error


def _execute(cell: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": uuid.uuid4().hex,
        "version": "5.3",
    }
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": {"code": cell, "silent": False, "allow_stdin": False},
        "channel": "shell",
    }
