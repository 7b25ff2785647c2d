"""Locators: one spelling for each repository, however it was typed, so that mirrors are shared."""

from __future__ import annotations

import os
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from atoll.errors import BadReference
from atoll.sources.checking import check_text

SCHEMES = ("https", "http", "ssh", "git", "file")
DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
FORGES = {  # host: how many parts a repository's path has, at least and at most
    "github.com": (2, 2),
    "gist.github.com": (1, 2),
    "gitlab.com": (2, 20),
    "bitbucket.org": (2, 2),
}
SHORT = {
    "gh": "https://github.com",
    "gl": "https://gitlab.com",
    "bb": "https://bitbucket.org",
    "gist": "https://gist.github.com",
}
NAME = re.compile(r"[A-Za-z0-9_.~][A-Za-z0-9_.~-]*")
HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
SCP = re.compile(r"(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9_][\w.-]*):(?P<path>[^:].*)")
LOCAL = re.compile(r"(?:/|\./|\.\./|~)|\.{1,2}$")
VERSION = re.compile(r"(?<=[^/])@")  # https://host/@user/repo has none


def locate(text: str) -> str:
    """Return the one locator of the repository *text*, which has no version in it.

    It is a URL, ``user@host:path`` or an absolute path. Raises `BadReference`.
    """
    text = check_text(text)
    if LOCAL.match(text):
        return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - resolves ".." too
    if "::" in text.split("/", 1)[0]:
        raise BadReference(
            f"“{text.split('::', 1)[0]}::” addresses run programs.",
            hint="Use an https:// address.",
        )
    if "://" not in text and (scp := SCP.fullmatch(text)):
        return _locate_scp(scp)
    return _locate_url(urlsplit(text), text)


def split_version(path: str) -> tuple[str, str]:
    """Split at the first ``@`` that does not begin a part: tags such as ``pkg@1.0`` have more."""
    found = VERSION.search(path)
    return (path[: found.start()], path[found.end() :]) if found else (path, "HEAD")


def clone_url(locator: str) -> str:
    """Return what git is asked for; the big forges redirect, or not, where “.git” is missing."""
    return f"{locator}.git" if host_of(locator) in FORGES and "://" in locator else locator


def host_of(locator: str) -> str:
    """Return the host of *locator*, or "" for a local one."""
    if "://" in locator:
        return urlsplit(locator).hostname or ""
    scp = SCP.fullmatch(locator)
    return scp["host"] if scp and not locator.startswith("/") else ""


def path_parts(locator: str) -> list[str]:
    """Return the parts of a URL's path."""
    return [part for part in urlsplit(locator).path.split("/") if part]


def _locate_scp(scp: re.Match[str]) -> str:
    path = scp["path"].rstrip("/")
    host = scp["host"].lower()
    if host in FORGES:
        path = path.lstrip("/").removesuffix(".git")
    if path.startswith("-") or not path or climbs(path):
        raise BadReference(f"“{scp['path']}” cannot be a path of a repository.")
    return f"{scp['user']}@{host}:{path}"


def _locate_url(url: SplitResult, text: str) -> str:
    if url.scheme not in SCHEMES:
        raise BadReference(
            f"“{url.scheme}://” addresses are not fetched.", hint=f"Use {', '.join(SCHEMES)}."
        )
    if url.query or url.fragment:
        raise BadReference(
            f"“{text[:80]}” has a “?” or “#” part, which no repository's address has."
        )
    path = url.path.rstrip("/")
    if not path or climbs(path) or " " in path or "\\" in path:
        raise BadReference(f"“{text[:80]}” does not name a repository.")
    if url.scheme == "file":
        if url.netloc not in {"", "localhost"}:
            raise BadReference("A file:// address has three slashes: file:///folder.")
        return f"file://{path}"
    return _locate_remote(url, path)


def locate_site(url: SplitResult) -> str:
    """Return scheme, host and port of the web address *url*; raises `BadReference`."""
    if url.scheme.lower() not in {"https", "http"}:
        raise BadReference(f"“{url.scheme}://” addresses are not downloaded.", hint="Use https.")
    host, port = _host_and_port(url)
    return urlunsplit((url.scheme.lower(), _netloc(url, host, port), "", "", ""))


def _host_and_port(url: SplitResult) -> tuple[str, int | None]:
    try:
        host = (url.hostname or "").encode("idna").decode() if url.hostname else ""
        port = url.port
    except ValueError as error:
        raise BadReference(f"“{url.netloc}” is not the name of a host.") from error
    if not HOST.fullmatch(host) and not re.fullmatch(r"[0-9a-f:.]*:[0-9a-f:.]*", host):
        raise BadReference(f"“{url.netloc.rpartition('@')[2]}” is not the name of a host.")
    if url.password is not None or (url.username and url.scheme != "ssh"):
        raise BadReference(
            "The address contains a user name or a password.",
            hint="Secrets do not belong in an address: others see it in logs and links.",
        )
    if url.username and not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", url.username):
        raise BadReference("The user name in the address is not one.")
    return host, port


def _netloc(url: SplitResult, host: str, port: int | None) -> str:
    netloc = f"[{host}]" if ":" in host else host
    if url.username:
        netloc = f"{url.username}@{netloc}"
    return f"{netloc}:{port}" if port and port != DEFAULT_PORTS[url.scheme.lower()] else netloc


def _locate_remote(url: SplitResult, path: str) -> str:
    host, port = _host_and_port(url)
    scheme, host = url.scheme, host.removeprefix("www.") if host == "www.github.com" else host
    if host in FORGES:
        path = _forge_path(host, path)
        if scheme in {"http", "git"} and port in {None, DEFAULT_PORTS[scheme]}:
            scheme, port = "https", None  # they answer nothing else any more
    return urlunsplit((scheme, _netloc(url, host, port), path, "", ""))


def _forge_path(host: str, path: str) -> str:
    path = path.removesuffix(".git")
    parts = path.strip("/").split("/")
    least, most = FORGES[host]
    good = all(NAME.fullmatch(part) for part in parts)
    if not good or not least <= len(parts) <= most:
        wanted = "OWNER/REPOSITORY" if host != "gist.github.com" else "USER/ID"
        hint = f"It looks like https://{host}/{wanted}."
        if good and len(parts) > most:
            hint = f"Did you mean https://{host}/{'/'.join(parts[:most])}?"
        raise BadReference(f"“{path.strip('/')[:80]}” is not a repository on {host}.", hint=hint)
    return "/" + "/".join(parts)


def climbs(path: str) -> bool:
    """Say whether *path* has a part that leads upwards, or nowhere, quoted or not."""
    return any(
        part in {".", ".."}
        for part in re.split(r"/|%2[fF]", path.replace("%2e", ".").replace("%2E", "."))
    )
