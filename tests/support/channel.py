"""A conda channel on this machine, with packages in conda's own two formats.

Sources of the formats: conda's documentation, "Package specification" and "What is a conda
channel?", and CEP 35 for how the two archives of a ``.conda`` file are named.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import sysconfig
import tarfile
import threading
import time
import zipfile
from base64 import b64encode
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Self

from backports import zstd
from packaging.requirements import Requirement

SUBDIR = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}[platform.machine()]
PLACEHOLDER = "/opt/a_prefix_that_is_replaced" + "_placehold" * 10
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/python{MINOR}/site-packages"
LONG_AGO = "2015-01-01"
PART = 2**16  # bytes that a slow line takes at once
LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip",
            "site-packages", "dist-packages", "__pycache__"}  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A symbolic link in a package."""

    target: str


class Channel:
    """Serves what was added to it, from ``url``, until the end of the with block.

    ``rate`` is how many bytes a second all who ask get together; 0: as many as this machine can.
    """

    def __init__(self, host="127.0.0.1", name="lagoon"):
        self.rate = 0.0
        self._line = threading.Lock()
        self.files = {}
        self.listing = defaultdict(dict)
        self.asked = []
        self.password = ""  # user:password, if it wants one
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                channel.asked.append(self.path)
                channel._answer(self)

            do_HEAD = do_GET  # noqa: N815 - its name

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.name = name
        self.alias = f"http://{host}:{self.server.server_port}/"
        self.url = f"{self.alias}{name}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, name, version="1.0", files=None, *, depends=(), noarch="", built=LONG_AGO,
            build="0", kind="conda", prefix=(), entry_points=(), claimed=None):  # fmt: skip
        """Add a package with *files*: bytes or text by path, or a `Link`.

        *prefix* are the paths of those with `PLACEHOLDER` in them. *claimed* is the SHA-256 that
        the channel says it has, if not its own.
        """
        subdir = "noarch" if noarch else SUBDIR
        body = {path: _bytes(one) for path, one in (files or {}).items()}
        index = {"name": name, "version": version, "build": build, "build_number": 0,
                 "depends": list(depends), "subdir": subdir,
                 "timestamp": int(datetime.fromisoformat(f"{built}T12:00:00+00:00").timestamp() * 1000)}  # fmt: skip
        if noarch:
            index["noarch"] = noarch
        info = {
            "info/index.json": json.dumps(index).encode(),
            "info/paths.json": json.dumps(_paths(body, prefix)).encode(),
            "info/files": "\n".join(body).encode(),
        }
        if entry_points:
            link = {"noarch": {"type": noarch, "entry_points": list(entry_points)},
                    "package_metadata_version": 1}  # fmt: skip
            info["info/link.json"] = json.dumps(link).encode()
        stem = f"{name}-{version}-{build}"
        packed = _conda(stem, info, body) if kind == "conda" else _tar_bz2({**info, **body})
        self.put(f"{stem}.{kind}", packed, index, claimed)

    def put(self, filename, packed, index, claimed=None):
        """Add a file that is a package already, and what is said of it."""
        subdir = index["subdir"]
        self.files[f"{subdir}/{filename}"] = packed
        self.listing[subdir][filename] = {
            **index, "size": len(packed), "md5": hashlib.md5(packed).hexdigest(),
            "sha256": claimed or hashlib.sha256(packed).hexdigest(),
        }  # fmt: skip

    def module(self, name, version="1.0", **more):
        """Add a package of one Python module, which pip would know too."""
        info = f"site-packages/{name}-{version}.dist-info"
        files = {
            f"site-packages/{name}.py": f"VERSION = '{version}'\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/INSTALLER": "conda",
            f"{info}/RECORD": "".join(
                f"{one},,\n"
                for one in (
                    f"{name}.py",
                    f"{name}-{version}.dist-info/METADATA",
                    f"{name}-{version}.dist-info/RECORD",
                )
            ),
            **more.pop("files", {}),
        }
        depends = ("python", *more.pop("depends", ()))
        self.add(name, version, files, noarch="python", depends=depends, **more)
        return self

    def python(self):
        """Add this very Python, and stand-ins for what Atoll adds to every environment."""
        self.put(*_python())
        for name, version in (("pip", "24.0"), ("setuptools", "50.0"), ("ipywidgets", "8.0")):
            self.module(name, version)
        return self

    def kernel(self):
        """Add a stand-in for ipykernel."""
        self.module(
            "ipykernel", "6.0", files={"site-packages/ipykernel_launcher.py": "print('a kernel')\n"}
        )
        return self

    def real_kernel(self):
        """Add ipykernel and all that it needs, as they are installed here."""
        return self.installed("ipykernel")

    def installed(self, *names):
        """Add these distributions and all that they need, as they are installed here."""
        for one in _distributions(names):
            self.put(*one)
        return self

    def _answer(self, request):
        parts = request.path.strip("/").split("/")
        body = None
        wanted = f"Basic {b64encode(self.password.encode()).decode()}"
        if self.password and request.headers.get("Authorization") != wanted:
            request.send_response(401)
            request.end_headers()
            return
        if len(parts) == 3 and parts[0] == self.name:
            if parts[2] == "repodata.json":
                body = self._repodata(parts[1])
            else:
                body = self.files.get("/".join(parts[1:]))
        request.send_response(200 if body is not None else 404)
        request.send_header("Content-Length", str(len(body or b"")))
        request.end_headers()
        if request.command == "GET":
            self._send(request.wfile, body or b"")

    def _send(self, out, body):
        size = PART if self.rate else max(1, len(body))
        for start in range(0, len(body), size):
            part = body[start:][:size]
            if self.rate:
                with self._line:
                    time.sleep(len(part) / self.rate)
            out.write(part)

    def _repodata(self, subdir):
        found = self.listing[subdir]
        tars = {name: one for name, one in found.items() if name.endswith(".tar.bz2")}
        condas = {name: one for name, one in found.items() if name.endswith(".conda")}
        told = {"info": {"subdir": subdir}, "packages": tars, "packages.conda": condas}
        return json.dumps({**told, "repodata_version": 1}).encode()


def _bytes(one):
    return one.encode() if isinstance(one, str) else one


def _paths(files, prefix):
    paths = []
    for path, one in files.items():
        if isinstance(one, Link):
            paths.append({"_path": path, "path_type": "softlink"})
            continue
        told = {"_path": path, "path_type": "hardlink", "size_in_bytes": len(one),
                "sha256": hashlib.sha256(one).hexdigest()}  # fmt: skip
        if path in prefix:
            mode = "binary" if b"\0" in one else "text"
            told |= {"prefix_placeholder": PLACEHOLDER, "file_mode": mode}
        paths.append(told)
    return {"paths": paths, "paths_version": 1}


def _tar(files, write):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=write) as archive:
        for path, one in files.items():
            member = tarfile.TarInfo(path)
            member.mode = 0o755 if path.startswith("bin/") else 0o644
            if isinstance(one, Link):
                member.type, member.linkname = tarfile.SYMTYPE, one.target
                archive.addfile(member)
            else:
                member.size = len(one)
                archive.addfile(member, io.BytesIO(one))
    return packed.getvalue()


def _tar_bz2(files):
    return _tar(files, "w:bz2")


def _conda(stem, info, body):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        archive.writestr(f"pkg-{stem}.tar.zst", zstd.compress(_tar(body, "w"), 1))
        archive.writestr(f"info-{stem}.tar.zst", zstd.compress(_tar(info, "w"), 1))
    return packed.getvalue()


def _packed(name, version, body, depends):
    """Return a package of this machine's kind as `Channel.put` takes it."""
    shelf = Channel.__new__(Channel)
    shelf.files, shelf.listing = {}, defaultdict(dict)
    shelf.add(name, version, body, depends=depends)
    ((filename, index),) = shelf.listing[SUBDIR].items()
    return filename, shelf.files[f"{SUBDIR}/{filename}"], index


@cache
def _python():
    """Pack this Python: its program and its library without what tests do not need."""
    program = Path(sys.base_prefix, "bin", f"python{MINOR}").resolve()
    body = {f"bin/python{MINOR}": program.read_bytes()}
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):  # then it looks for it where it was installed
        home = Path(sysconfig.get_config_var("LIBDIR"))
        name = sysconfig.get_config_var("INSTSONAME")
        rpath = str(home).encode()
        body[f"lib/{name}"] = (home / name).read_bytes()
        body[f"bin/python{MINOR}"] = body[f"bin/python{MINOR}"].replace(
            rpath + b"\0", b"$ORIGIN/../lib".ljust(len(rpath) + 1, b"\0")
        )
    body |= {f"bin/{name}": Link(f"python{MINOR}") for name in ("python", "python3")}
    library = Path(sysconfig.get_path("stdlib"))
    for folder, folders, names in os.walk(library):
        folders[:] = [
            one for one in folders if one not in LEFT_OUT and not one.startswith("config-")
        ]
        for name in names:
            path = Path(folder, name)
            body[f"lib/python{MINOR}/{path.relative_to(library)}"] = path.read_bytes()
    # Debian's looks for packages in folders of other names.
    debian = "import os, site, sys\nsite.addsitedir(os.path.join(sys.prefix, *%r))\n"
    body[f"lib/python{MINOR}/sitecustomize.py"] = (debian % (SITE.split("/"),)).encode()
    body[f"{SITE}/README.txt"] = b"Packages go here.\n"
    return _packed("python", ".".join(map(str, sys.version_info[:3])), body, ())


@cache
def _distributions(wanted):
    """Pack the distributions *wanted* and all that they need, one package each."""
    found, ahead = [], list(wanted)
    seen = set()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        one = distribution(name)
        requires = [Requirement(line) for line in one.requires or ()]
        needs = [r.name for r in requires if not r.marker or r.marker.evaluate({"extra": ""})]
        ahead += needs
        body = {
            f"{SITE}/{path}": Path(one.locate_file(path)).read_bytes()
            for path in one.files or ()
            if ".." not in path.parts and not path.name.endswith(".pyc")
        }
        depends = (f"python {MINOR}.*", *(need.lower().replace("_", "-") for need in needs))
        found.append(_packed(name.lower().replace("_", "-"), one.version, body, depends))
    return found
