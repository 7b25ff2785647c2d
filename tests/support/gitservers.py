"""Gitservers: real repositories and real git servers on loopback, kind ones and nasty ones.

commit = make_repo(root / "course", {"requirements.txt": "six\n", "a.ipynb": notebook})
with serve(root) as base:
    ...  # f"{base}/course" is a repository over smart HTTP
"""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PERSON = {"NAME": "Ada", "EMAIL": "ada@example.org"}
DATE = "2024-05-06T12:00:00Z"


@dataclass(frozen=True)
class Link:
    """A symbolic link to *target*, among the files of `make_repo`."""

    target: str


def run_git(folder: Path, *arguments: str, date: str = DATE, stdin: bytes = b"") -> str:
    """Run git in *folder* as a person of its own, without this machine's configuration."""
    people = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in PERSON.items()}
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
        **people,
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env=env,
        input=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"git {arguments}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


def make_repo(
    folder: Path,
    files: Mapping[str, str | bytes | Link | None],
    date: str = DATE,
    message: str = "A commit",
    branch: str = "main",
) -> str:
    """Add a commit with *files* to the repository in *folder*, made if need be; return its id.

    ``None`` removes a file. What begins with ``#!`` becomes executable.
    """
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run_git(folder, "init", "--quiet", f"--initial-branch={branch}")
    elif run_git(folder, "symbolic-ref", "--short", "HEAD") != branch:
        known = run_git(folder, "branch", "--list", branch)
        run_git(folder, "checkout", "--quiet", *([] if known else ["-b"]), branch)
    for name, body in files.items():
        write(folder / name, body)
    run_git(folder, "add", "--all", "--force")
    run_git(folder, "commit", "--quiet", "--allow-empty", "--message", message, date=date)
    return run_git(folder, "rev-parse", "HEAD")


def write(place: Path, body: str | bytes | Link | None) -> None:
    """Put *body* at *place*, whatever was there."""
    if body is None or place.is_symlink():
        place.unlink()
    if body is None:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(body, Link):
        place.symlink_to(body.target)
        return
    data = body.encode() if isinstance(body, str) else body
    place.write_bytes(data)
    if data.startswith(b"#!"):
        place.chmod(0o755)


@contextlib.contextmanager
def serve(
    root: Path, seen: list[str] | None = None, certificate: Path | None = None
) -> Iterator[str]:
    """Serve every repository below *root* over smart HTTP; yield the base URL.

    With a *certificate* (a PEM file that holds its key too) it is https.

    Each request's line is added to *seen*. ``root/name`` is served as ``/name``, with or without
    a work tree.
    """
    requests = seen if seen is not None else []

    class Backend(_Quiet):
        def answer(self) -> None:
            requests.append(self.requestline)
            _backend(self, root)

    with _serving(Backend, certificate) as base:
        yield base


@contextlib.contextmanager
def serve_nasty(target: str = "http://127.0.0.1:1/x") -> Iterator[str]:
    """Serve trouble; yield the base URL.

    ``/hang`` never answers, ``/drip`` sends a byte now and then, ``/forever`` redirects to
    itself, ``/away`` to *target*, ``/fickle`` too but not when it is asked first, ``/file`` to a
    file, ``/page`` is a page, and ``/NNN`` answers
    with that status.
    """
    stop, asked = threading.Event(), threading.Event()

    class Nasty(_Quiet):
        def answer(self) -> None:
            kind = self.path.strip("/").split("/")[0].removesuffix(".git")
            if kind == "hang":
                stop.wait(60)
            elif kind == "drip":
                self.start("200", "application/x-git-upload-pack-advertisement")
                for byte in b"001e# service=git-upload-pack\n0000" * 50:
                    if stop.wait(0.2):
                        return
                    self.wfile.write(bytes([byte]))
            elif kind == "fickle" and not asked.is_set():
                asked.set()
                self.start("200", "application/x-git-upload-pack-advertisement")
            elif kind in {"forever", "away", "fickle", "file"}:
                tail = self.path.partition("/info/refs")[2]
                aims = {"forever": self.path, "file": "file:///etc/info/refs"}
                aim = aims.get(kind, f"{target}/info/refs{tail}")
                self.start("302", "text/plain", {"Location": aim})
            elif kind.isdigit():
                self.start(kind, "text/plain")
            else:
                self.start("200", "text/html")
                self.wfile.write(b"<h1>A page</h1>")

    with _serving(Nasty) as base:
        try:
            yield base
        finally:
            stop.set()


class _Quiet(BaseHTTPRequestHandler):
    def answer(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.answer()

    do_POST = do_GET  # noqa: N815

    def start(self, status: str, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(int(status[:3]))
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def shutdown_request(self, request: Any) -> None:
        if isinstance(request, ssl.SSLSocket):  # say goodbye as TLS wants it
            request.settimeout(1)
            with contextlib.suppress(OSError):
                request.unwrap()
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


@contextlib.contextmanager
def _serving(handler: type[_Quiet], certificate: Path | None = None) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' * bool(certificate)}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _backend(request: _Quiet, root: Path) -> None:
    path, _, query = request.path.partition("?")
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
        "GIT_CONFIG_VALUE_1": "true",
        "GIT_CONFIG_KEY_2": "gc.auto",
        "GIT_CONFIG_VALUE_2": "0",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.command,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"], env=env, input=_body(request), capture_output=True, check=False
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    headers["Content-Length"] = str(len(body))
    request.start(headers.pop("Status", "200"), headers.pop("Content-Type", ""), headers)
    request.wfile.write(body)


def _body(request: _Quiet) -> bytes:
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)


def wait_until(true: object, seconds: float = 10) -> None:
    """Wait until the callable *true* returns something true, or fail."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.02)
