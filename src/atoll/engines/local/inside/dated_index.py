"""Runs a command of pip's for which the package index is as it was at one moment.

    dated_index.py 2016-07-02T00:00:00Z COMMAND...

pip has no `--exclude-newer`. So it gets an index on loopback: the pages of the one that
``PIP_INDEX_URL`` names, without the files that came later. The files themselves it fetches from
there. Sources of the formats: PEP 503, 691 and 700.
"""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, text/html;q=0.1"
PATIENCE = 60.0  # seconds for a page


def page(body: bytes, base: str, moment: str) -> str:
    """Return the page of a package in HTML, from one in JSON at *base*: files before *moment*.

    A file without a time is left out, as uv does.
    """
    links = []
    for file in json.loads(body)["files"]:
        if str(file.get("upload-time") or "9") >= moment:  # both begin with the year
            continue
        hashes = file.get("hashes", {})
        mark = f"#sha256={hashes['sha256']}" if "sha256" in hashes else ""
        words = [f'href="{html.escape(urljoin(base, file["url"]) + mark)}"']
        if needs := file.get("requires-python"):
            words.append(f'data-requires-python="{html.escape(needs)}"')
        if yanked := file.get("yanked"):
            words.append(f'data-yanked="{html.escape(str(yanked))}"')
        links.append(f"<a {' '.join(words)}>{html.escape(file['filename'])}</a>\n")
    return f"<!DOCTYPE html><html><body>\n{''.join(links)}</body></html>\n"


def answer(url: str, moment: str) -> tuple[int, str]:
    """Return the status and the page for the package whose page is at *url*."""
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})  # noqa: S310 - the operator's
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as told:  # noqa: S310
            if JSON in told.headers.get("Content-Type", ""):
                return 200, page(told.read(), told.url, moment)
    except urllib.error.HTTPError as error:
        return error.code, ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"The package index did not answer: {error}", flush=True)  # noqa: T201 - to the log
        return 502, ""
    print("The package index does not say when its files came.", flush=True)  # noqa: T201
    return 404, ""


def main() -> int:
    """Serve the index, run the command, and return its exit code."""
    moment, command = sys.argv[1], sys.argv[2:]
    index = os.environ.get("PIP_INDEX_URL", "").rstrip("/")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").rpartition("/")[2]
            status, text = answer(f"{index}/{name}/", moment)
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours = f"http://127.0.0.1:{server.server_port}/simple"
    environ = {**os.environ, "PIP_INDEX_URL": ours, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
