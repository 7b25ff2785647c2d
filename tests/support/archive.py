"""A small archive of Debian packages on this machine, for packages that are small, odd or hostile.

Sources of the formats: deb(5), deb-control(5) and “Debian repository format”. Packages are written
here, and not by dpkg-deb, which would refuse some of what a hostile one has.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from email.utils import formatdate
from http.server import SimpleHTTPRequestHandler

from atoll.engines.local.apt import System
from support.serving import Served

INSTALLED = """Package: {0}
Status: install ok installed
Architecture: all
Version: 1.0
Maintainer: Nobody <nobody@example.org>
Description: A test

"""


class Archive(Served):
    """Serves the packages that were added to it, until the end of the with block.

    ``system`` is this machine, with this archive as its only source, and with only *installed*.
    """

    def __init__(self, folder, *, trusted=True, installed=("bash", "libc6", "old")):
        self.folder, self.sources, dpkg = folder / "archive", folder / "sources", folder / "dpkg"
        settings = (self.sources / "apt.conf.d", self.sources / "preferences.d")
        for path in (self.folder, dpkg / "alternatives", *settings):
            path.mkdir(parents=True)
        self.index = ""
        super().__init__(SimpleHTTPRequestHandler, directory=str(self.folder))
        option = "[trusted=yes] " if trusted else ""
        line = f"deb {option}{self.base}/ ./\n"
        (self.sources / "sources.list").write_text(line)
        self._publish()
        (dpkg / "status").write_text("".join(INSTALLED.format(one) for one in installed))
        self.system = System(sources=self.sources, dpkg=dpkg)

    def add(self, name, version="1.0", *, files=None, members=(), scripts=None, **fields):
        """Add a package with *files*: contents by path, or (content, mode).

        *members* are further members of its archive, as they are; *scripts* are the other files of
        its control archive; *fields* are written with “_” for “-”.
        """
        said = {"Package": name, "Version": version, "Architecture": "all"}
        said |= {"Maintainer": "Nobody <nobody@example.org>", "Description": "A test"}
        said |= {key.replace("_", "-"): value for key, value in fields.items()}
        control = "".join(f"{key}: {value}\n" for key, value in said.items())
        about = {"control": (control, 0o644)}
        about |= {one: (text, 0o755) for one, text in (scripts or {}).items()}
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": packed(about),
            "data.tar.gz": packed(files or {}, members),
        }
        body = b"!<arch>\n" + b"".join(_member(one, content) for one, content in parts.items())
        file = f"{name}_{version}_all.deb"
        (self.folder / file).write_bytes(body)
        digest = hashlib.sha256(body).hexdigest()
        self.index += f"{control}Filename: ./{file}\nSize: {len(body)}\nSHA256: {digest}\n\n"
        self._publish()
        return self

    def _publish(self):
        (self.folder / "Packages").write_text(self.index)
        digest = hashlib.sha256(self.index.encode()).hexdigest()
        head = f"Suite: test\nDate: {formatdate(usegmt=True)}\n"
        listed = f"SHA256:\n {digest} {len(self.index.encode())} Packages\n"
        (self.folder / "Release").write_text(head + listed)


def link(path, target):
    """Return a member that is a symbolic link."""
    member = tarfile.TarInfo(path)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def device(path):
    """Return a member that is the device /dev/null."""
    member = tarfile.TarInfo(path)
    member.type, member.devmajor, member.devminor = tarfile.CHRTYPE, 1, 3
    return member


def packed(files, members=()):
    """Return a tar archive of *files*, with the folders above them, and of *members* before."""
    body = io.BytesIO()
    folders = set()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member)
        for path, content in files.items():
            text, mode = content if isinstance(content, tuple) else (content, 0o644)
            for above in reversed([part for part in _above(path) if part not in folders]):
                folders.add(above)
                folder = tarfile.TarInfo(above)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(folder)
            member = tarfile.TarInfo(f"./{path}" if not path.startswith(".") else path)
            data = text if isinstance(text, bytes) else text.encode()
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return body.getvalue()


def _above(path):
    parts = [] if path.startswith(".") else path.split("/")[:-1]
    return ["./" + "/".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _member(name, body):
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n"
    return head.encode() + body + b"\n" * (len(body) % 2)
