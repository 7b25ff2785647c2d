"""A small package index on this machine, for packages that are hostile, broken or dated.

Sources of the format: PEP 503, PEP 691 and PEP 700 (upload times).
"""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import zipfile
from collections import defaultdict
from http.server import BaseHTTPRequestHandler

from support.serving import Served

LONG_AGO = "2015-01-01T00:00:00Z"
JSON = "application/vnd.pypi.simple.v1+json"


def own_address() -> str:
    """Return this machine's address as its neighbours see it; a box reaches it, not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # nothing is sent
        address = probe.getsockname()[0]
    assert not address.startswith("127."), "these tests need a machine with a network address"
    return address


class PackageIndex(Served):
    """Serves what was added to it, from ``url``, until the end of the with block."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.files: dict[str, bytes] = {}
        self.listing: dict[str, list[dict[str, object]]] = defaultdict(list)
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index._answer(self)

        super().__init__(Handler, host)
        self.url = f"{self.base}/simple"

    def wheel(self, name, version="1.0", *, requires=(), files=None, uploaded=LONG_AGO, python="",
              tag="py3-none-any"):  # fmt: skip
        """Add a wheel that has *files* besides a module of its own name."""
        module = name.replace("-", "_")
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
        metadata += f"Requires-Python: {python}\n" if python else ""
        info = f"{module}-{version}.dist-info"
        body = {f"{module}.py": f"VERSION = '{version}'\n", **(files or {})}
        body[f"{info}/METADATA"] = metadata
        body[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        record = "".join(f"{path},,\n" for path in [*body, f"{info}/RECORD"])
        body[f"{info}/RECORD"] = record
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, text in body.items():
                archive.writestr(path, text)
        filename = f"{module}-{version}-{tag}.whl"
        self.files[f"{filename}.metadata"] = metadata.encode()
        return self._add(name, filename, packed.getvalue(), uploaded, python)

    def source(self, name, version="1.0", *, requires=None, build="", uploaded=LONG_AGO):
        """Add a source package whose own build backend runs the Python code *build* first.

        With *requires*, it says what it needs without being built.
        """
        backend = f"{build}\n{BACKEND}".replace("@NAME@", name).replace("@VERSION@", version)
        files = {
            "pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='backend'\n"
            "backend-path=['.']\n",
            "PKG-INFO": f"Metadata-Version: {'2.1' if requires is None else '2.2'}\n"
            f"Name: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {one}\n" for one in requires or ()),
            "backend.py": backend,
        }
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}-{version}/{path}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        return self._add(name, f"{name}-{version}.tar.gz", packed.getvalue(), uploaded, "")

    def kernel(self) -> PackageIndex:
        """Add small stand-ins for what Atoll adds to every environment."""
        self.wheel("ipykernel", "6.0", files={"ipykernel_launcher.py": "print('a kernel')\n"})
        for name, version in (("pip", "20"), ("setuptools", "50"), ("ipywidgets", "8.0")):
            self.wheel(name, version)
        return self

    def _add(self, name, filename, body, uploaded, python):
        self.files[filename] = body
        digest = hashlib.sha256(body).hexdigest()
        entry = {"filename": filename, "url": f"../../files/{filename}", "size": len(body)}
        entry |= {"hashes": {"sha256": digest}, "requires-python": python or None}
        if filename.endswith(".whl"):
            entry["core-metadata"] = True
        if uploaded:
            entry["upload-time"] = uploaded
        self.listing[name].append(entry)
        return digest

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = request.path.strip("/").split("/")
        body, kind = None, JSON
        if parts[0] == "simple" and len(parts) == 2 and parts[1] in self.listing:
            files = self.listing[parts[1]]
            page = {"meta": {"api-version": "1.1"}, "name": parts[1], "files": files}
            body = json.dumps(page).encode()
        elif parts[0] == "files":
            body, kind = self.files.get(parts[-1]), "application/octet-stream"
        request.send_response(200 if body is not None else 404)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body or b"")))
        request.end_headers()
        request.wfile.write(body or b"")


BACKEND = """
import os, zipfile

def build_wheel(folder, settings=None, metadata=None):
    name, version = "@NAME@".replace("-", "_"), "@VERSION@"
    info = f"{name}-{version}.dist-info"
    filename = f"{name}-{version}-py3-none-any.whl"
    files = {
        f"{name}.py": "BUILT = True",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: @NAME@\\nVersion: {version}\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(os.path.join(folder, filename), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return filename
"""
