"""Directories: Debian's slapd as an ordinary process on loopback, with people and groups in it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.hub import eventually, free_port

BASE = "dc=example,dc=org"
SEARCHER, WORD = f"cn=searcher,{BASE}", "the searcher's word"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/key.pem
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
database mdb
maxsize 10485760
suffix "{base}"
directory {folder}/entries
"""


@dataclass(frozen=True)
class Directory:
    """Where it listens, without TLS and with; ``certificate`` is what the latter is verified by."""

    plain: str
    tls: str
    certificate: str


def entry(dn: str, *lines: str) -> str:
    return "\n".join([f"dn: {dn}", *lines, ""])


def person(uid: str, *more: str, where: str = "ou=people") -> str:
    lines = ("objectClass: inetOrgPerson", f"uid: {uid}", "cn: x", "sn: x", *more)
    return entry(f"uid={uid},{where},{BASE}", *lines, f"userPassword: {uid}'s word")


def entries() -> str:
    return "\n".join(
        [
            entry(
                BASE, "objectClass: dcObject", "objectClass: organization", "o: x", "dc: example"
            ),
            *(
                entry(f"ou={ou},{BASE}", "objectClass: organizationalUnit")
                for ou in ("people", "groups")
            ),
            entry(SEARCHER, "objectClass: person", "sn: x", f"userPassword: {WORD}"),
            *map(person, ("ada", "bob", "eve", "visitor-7", "gh-ada")),
            person("carl", "uid: charles"),
            entry(
                f"cn=staff,ou=groups,{BASE}",
                "objectClass: groupOfNames",
                f"member: uid=ada,ou=people,{BASE}",
            ),
            entry(
                f"cn=physics,ou=groups,{BASE}",
                *("objectClass: posixGroup", "gidNumber: 7", "memberUid: ada", "memberUid: bob"),
                "memberUid: visitor-7",
                "memberUid: gh-ada",
            ),
        ]
    )


@contextlib.contextmanager
def slapd(folder: Path) -> Iterator[Directory]:
    """Run one, all of whose files are in *folder*."""
    program = shutil.which("slapd") or "/usr/sbin/slapd"
    (folder / "entries").mkdir()
    config = folder / "slapd.conf"
    config.write_text(CONFIG.format(folder=folder, base=BASE))
    make = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {folder}/key.pem -out {folder}/certificate.pem"
    subprocess.run(["openssl", *make.split()], check=True, capture_output=True)
    subprocess.run([program, "-T", "add", "-f", config], input=entries(), text=True, check=True)
    plain, tls = free_port(), free_port()
    urls = f"ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{tls}"
    process = subprocess.Popen(
        [program, "-f", config, "-h", urls, "-d", "0"], stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: socket.create_connection(("127.0.0.1", tls), 1).close() is None)
        yield Directory(
            f"ldap://127.0.0.1:{plain}", f"ldaps://localhost:{tls}", f"{folder}/certificate.pem"
        )
    finally:
        process.kill()
        process.wait()
