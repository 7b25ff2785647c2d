"""Launches as programs make them that were written for Binder: by reading a stream."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from urllib.parse import quote

import httpx2


@contextmanager
def launching(hub, repository, person, ends="ready"):
    """Launch for *person* as a program does; yield what it has heard so far.

    *ends* is the last phase, or "broken" if the stream is to break off.
    """
    heard: list[dict] = []
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {hub.person(person)}"}
    url = f"{hub.home}/build/git/{quote(repository, safe='')}/main"

    def listen():
        with (
            suppress(httpx2.TransportError),
            httpx2.stream("GET", url, headers=headers, timeout=120) as stream,
        ):
            for line in stream.iter_lines():
                heard.extend([json.loads(line[6:])] if line.startswith("data: ") else [])
                if heard and heard[-1]["phase"] in {"ready", "failed"}:
                    return
        heard.append({"phase": "broken"})

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield heard
    thread.join(60)
    assert heard[-1]["phase"] == ends, heard[-1]
