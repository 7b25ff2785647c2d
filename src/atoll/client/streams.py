"""Streams: a hub's server-sent events, one after the other (https://html.spec.whatwg.org/#sse)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from atoll.client.asking import cleaned
from atoll.errors import Unreachable

LONGEST = 4 * 1024**2  # bytes of one line, and characters of one message
ENDLESS = "What the hub tells has no end."


@dataclass(frozen=True, slots=True)
class Message:
    """One event: its kind, its id, and what it holds, made plain."""

    event: str
    id: str
    data: Any


def messages(answer: httpx2.Response) -> Iterator[Message]:
    """Yield what the stream *answer* says for as long as it goes on; raise `Unreachable`."""
    said: dict[str, str] = {}
    data: list[str] = []
    size = 0
    for line in _lines(answer):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
            size += len(value) + 1
            if size > LONGEST:
                raise Unreachable(ENDLESS, hint="Tell its operator.")
        elif name in {"event", "id"}:
            said[name] = value
        elif not line:
            if data:
                yield Message(said.get("event", ""), said.get("id", ""), _read("\n".join(data)))
            said, data, size = {}, [], 0


def _read(data: str) -> Any:
    try:
        return cleaned(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise Unreachable("What the hub tells is not understood.") from error


def _lines(answer: httpx2.Response) -> Iterator[str]:
    kept = b""
    for part in answer.iter_bytes():
        kept += part
        *whole, kept = kept.split(b"\n")
        if len(kept) > LONGEST:
            raise Unreachable(ENDLESS, hint="Tell its operator.")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
