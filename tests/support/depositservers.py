"""Depositservers: a real web server on loopback that answers as repositories of data do.

with serve_web() as web:
    zenodo_record(web, "7", {"a.ipynb": b"{}"})
    web.seen  # the requests that it has had

The answers have the fields that each service documents and sends, and of those only what matters.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from atoll.providers.deposits import DepositSource, open_source
from atoll.providers.deposits.hosts import Services
from atoll.settings import settings_from
from atoll.sources import Checkout

Answer = tuple[int, Mapping[str, str], bytes]
Files = Mapping[str, bytes]
PUBLISHED = "2019-06-09T12:00:00+00:00"


@dataclass
class Web:
    """What is answered at which path; a path with its query goes before one without."""

    base: str = ""
    answers: dict[str, Callable[[Any], Answer]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def put(self, path: str, body: Any, status: int = 200, **headers: str) -> str:
        """Answer *body* (bytes, or what becomes JSON) at *path*; return its URL."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda _: (status, told, raw)
        return self.base + path

    def redirect(self, path: str, aim: str, status: int = 302) -> str:
        """Lead from *path* to *aim*."""
        return self.put(path, b"", status, Location=aim)

    def count(self, path: str) -> int:
        """Return how often *path* was asked for."""
        return sum(line.split()[1].partition("?")[0] == path for line in self.seen)


@contextlib.contextmanager
def serve_web(host: str = "127.0.0.1") -> Iterator[Web]:
    """Serve what is put into the yielded `Web`; all else is 404."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.seen.append(self.requestline)
            path = self.path
            answer = web.answers.get(path) or web.answers.get(urlsplit(path).path)
            status, headers, body = answer(self) if answer else (404, {}, b'{"message": "none"}')
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that hang up."""

    server = Server((host, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    web.base = f"http://{host}:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def make_zip(files: Files, top: str = "", date: tuple[int, ...] = (2018, 3, 4, 5, 6, 8)) -> bytes:
    """Return a zip of *files*, below the folder *top* if there is one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            info = zipfile.ZipInfo(top + name, date)
            info.external_attr, info.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, body)
    return stream.getvalue()


def make_tar(files: Files, top: str = "", kind: str = "gz", at: int = 1520139968) -> bytes:
    """Return a tar of *files*, all dated *at*, packed by *kind* ("" for not at all)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(top + name)
            info.size, info.mtime, info.mode = len(body), at, 0o644
            archive.addfile(info, io.BytesIO(body))
    return stream.getvalue()


def register_doi(web: Web, doi: str, url: str) -> None:
    """Let the registry say that *doi* is at *url*, as the Handle proxy does."""
    value = {"index": 1, "type": "URL", "ttl": 86400, "data": {"format": "string", "value": url}}
    admin = {"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": {}}}
    web.put(f"/api/handles/{doi}", {"responseCode": 1, "handle": doi, "values": [admin, value]})


def zenodo_record(
    web: Web, number: str, files: Files, concept: str = "", created: str = PUBLISHED
) -> None:
    """Publish a record as Zenodo does; whoever asks for *concept* is led to it."""
    record = {
        "id": int(number),
        "conceptrecid": concept,
        "created": created,
        "metadata": {"title": f"Record {number}", "publication_date": created[:10]},
    }
    entries = []
    for key, body in files.items():
        path = f"/api/records/{number}/files/{quote(key)}/content"
        url = web.put(path, body)
        told = {"key": key, "size": len(body), "checksum": f"md5:{md5(body)}"}
        entries.append(told | {"links": {"content": url}})
    web.put(f"/api/records/{number}", record)
    web.put(f"/api/records/{number}/files", {"enabled": True, "entries": entries})
    if concept:
        web.redirect(f"/api/records/{concept}", f"{web.base}/api/records/{number}", 301)


def rdm_record(web: Web, number: str, parent: str, files: Files) -> None:
    """Publish a record as a plain InvenioRDM does, which answers 404 for a parent's id."""
    zenodo_record(web, "1", files)
    record = {
        "id": number,
        "parent": {"id": parent},
        "created": PUBLISHED,
        "metadata": {"title": "A plain one", "publication_date": "2018"},
        "versions": {"index": 2, "is_latest": True},
    }
    web.answers[f"/api/records/{number}/files"] = web.answers.pop("/api/records/1/files")
    del web.answers["/api/records/1"]
    web.put(f"/api/records/{number}", record)
    web.put(f"/api/records/{parent}/versions/latest", record)


def figshare_article(web: Web, number: int, versions: Mapping[int, Files]) -> None:
    """Publish an article in several versions."""
    web.put(
        f"/articles/{number}/versions",
        [{"version": version, "url": f"{web.base}/x"} for version in versions],
    )
    for version, files in versions.items():
        listed: list[dict[str, Any]] = [{"id": 1, "name": "a link", "is_link_only": True}]
        for name, body in files.items():
            url = web.put(f"/files/{number}/{version}/{quote(name)}", body)
            told = {"id": 7, "name": name, "size": len(body), "is_link_only": False}
            sums = {"supplied_md5": md5(body), "computed_md5": md5(body)}
            listed.append(told | {"download_url": url} | sums)
        address = f"/articles/{number}/versions/{version}"
        about = {"title": "An article", "published_date": f"201{version}-01-02T03:04:05Z"}
        web.put(address, {"id": number, "version": version, "files": listed[:10], **about})
        web.put(f"{address}/files", listed)


def dataverse_dataset(web: Web, number: str, versions: Mapping[str, Files]) -> None:
    """Publish a dataset; a file's folder is told apart from its name, and one is restricted."""
    for version, files in versions.items():
        listed: list[dict[str, Any]] = [
            {"label": "secret.csv", "restricted": True, "dataFile": {"id": 1}}
        ]
        for at, (path, body) in enumerate(files.items(), 10 * len(web.answers)):
            folder, _, name = path.rpartition("/")
            web.put(f"/api/access/datafile/{at}", body)
            sum_of = {"type": "SHA-256", "value": hashlib.sha256(body).hexdigest()}
            data = {"id": at, "filename": name, "filesize": len(body), "checksum": sum_of}
            told = {"label": name, "restricted": False, "dataFile": data}
            listed.append(told | ({"directoryLabel": folder} if folder else {}))
        major, minor = version.split(".")
        fields = [{"typeName": "title", "value": "A dataset"}]
        data = {
            "datasetPersistentId": number,
            "versionNumber": int(major),
            "versionMinorNumber": int(minor),
            "versionState": "RELEASED",
            "releaseTime": f"202{major}-02-03T04:05:06Z",
            "metadataBlocks": {"citation": {"fields": fields}},
            "files": listed,
        }
        for name in (version, ":latest-published"):
            address = f"/api/datasets/:persistentId/versions/{name}?persistentId={number}"
            web.put(address, {"status": "OK", "data": data})
    web.put("/api/info/version", {"status": "OK", "data": {"version": "6.2"}})


def hydroshare_resource(web: Web, number: str, files: Files) -> None:
    """Keep a resource, its list of files on two pages."""
    about = {"resource_title": "A watershed", "date_last_updated": "09-25-2019", "published": False}
    web.put(f"/hsapi/resource/{number}/sysmeta/", about)
    listed = []
    for path, body in files.items():
        url = web.put(f"/resource/{number}/data/contents/{quote(path)}", body)
        name = path.rpartition("/")[2]
        listed.append({"file_name": name, "url": url, "size": len(body), "checksum": md5(body)})
    address = f"/hsapi/resource/{number}/files/"
    following = f"{web.base}{address}?page=2"
    web.put(address, {"count": len(listed), "next": following, "results": listed[:1]})
    web.put(f"{address}?page=2", {"count": len(listed), "next": None, "results": listed[1:]})


def ckan_dataset(web: Web, name: str, files: Files, prefix: str = "", activity: str = "") -> None:
    """Publish a dataset at a CKAN, or what it was at an *activity*."""
    resources: list[dict[str, Any]] = [{"id": "r0", "url": "", "name": "nothing"}]
    for at, (path, body) in enumerate(files.items(), 1):
        url = web.put(f"/download/{at}/{quote(path)}", body)
        told = {"id": f"r{at}", "url": url, "url_type": "upload", "size": None}
        resources.append(told | {"hash": "of years ago", "last_modified": "2020-01-02T03:04:05.6"})
    result = {
        "name": name,
        "title": "Rain",
        "metadata_modified": "2024-02-27T14:15:54.573058",
        "resources": resources,
    }
    action = f"{prefix}/api/3/action"
    query = f"activity_data_show?id={activity}&object_type=package"
    web.put(f"{action}/{query if activity else f'package_show?id={name}'}", {"result": result})


def osf_project(web: Web, number: str, files: Files, kind: str = "nodes") -> None:
    """Keep a project (or ``registrations``), the files of one folder in a list of its own."""
    node = f"/{kind}/{number}/"
    about = {"title": "A study", "date_modified": "2023-01-01T00:00:00", "registration": False}
    web.put(node, {"data": {"id": number, "attributes": about}})
    stores = [{"attributes": {"provider": name}} for name in ("osfstorage", "dropbox")]
    web.put(f"{node}files/", {"data": stores})
    lists: dict[str, list[dict[str, Any]]] = {"": []}
    for path, body in files.items():
        folder = path.rpartition("/")[0]
        if folder not in lists:
            lists[folder] = []
            href = f"{web.base}{node}files/osfstorage/{folder}/"
            related = {"files": {"links": {"related": {"href": href}}}}
            lists[""].append({"attributes": {"kind": "folder"}, "relationships": related})
        about_file = {
            "kind": "file",
            "name": path.rpartition("/")[2],
            "materialized_path": f"/{path}",
            "size": len(body),
            "date_modified": "2021-05-06T07:08:09.123456Z",
            "extra": {"hashes": {"md5": md5(body), "sha256": hashlib.sha256(body).hexdigest()}},
        }
        web.put(f"/real/{number}/{quote(path)}", body)
        url = web.redirect(f"/download/{number}/{quote(path)}", f"/real/{number}/{quote(path)}")
        lists[folder].append({"attributes": about_file, "links": {"download": url}})
    for folder, listed in lists.items():
        address = f"{node}files/osfstorage/{folder}/" if folder else f"{node}files/osfstorage/"
        web.put(address, {"data": listed[:2], "links": {"next": f"{web.base}{address}?page=2"}})
        web.put(f"{address}?page=2", {"data": listed[2:], "links": {"next": None}})


def heritage_revision(web: Web, revision: str, directory: str, packed: bytes) -> None:
    """Archive a revision; the vault packs its directory when it has been asked to, in two looks."""
    web.put(
        f"/revision/{revision}/",
        {"directory": directory, "committer_date": "2017-08-09T10:11:12+02:00", "message": "Fix"},
    )
    web.put(f"/release/{revision}/", {"target": revision, "target_type": "revision", "name": "v1"})
    vault, states = f"/vault/flat/swh:1:dir:{directory}/", iter(["new", "pending"])

    def cook(_request: Any) -> Answer:
        return 200, {}, json.dumps({"status": next(states, "done")}).encode()

    def raw(_request: Any) -> Answer:
        return (404, {}, b"") if next(states, None) else (200, {}, packed)

    web.answers[vault], web.answers[f"{vault}raw/"] = cook, raw


def heritage_snapshot(web: Web, snapshot: str, revision: str) -> None:
    """Archive a snapshot whose HEAD is another name of its branch main."""
    for name, branch in {
        "HEAD": {"target": "refs/heads/main", "target_type": "alias"},
        "refs/heads/main": {"target": revision, "target_type": "revision"},
    }.items():
        query = f"?branches_from={quote(name, safe='')}&branches_count=1"
        web.put(f"/snapshot/{snapshot}/{query}", {"id": snapshot, "branches": {name: branch}})


def unquoted(line: str) -> str:
    """Return the path of a request's *line* as a person reads it."""
    return unquote(line.split()[1])


def deposits_at(web: Web, folder: Path, *, trusted: bool = False, **limits: Any) -> DepositSource:
    """Return a real source with its data in *folder* which asks *web* in place of every service."""
    settings = settings_from({"data": str(folder), "sources": {"allow": ["127.0.0.1"], **limits}})
    source = open_source(settings, trusted=trusted)
    return replace(source, services=Services(*[web.base] * len(fields(Services))))


def files_in(checkout: Checkout) -> dict[str, bytes]:
    """Return the files of a work tree by their paths."""
    tree = checkout.path
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file()
    }
