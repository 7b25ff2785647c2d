"""uv: where its program is, and how the operator's package index reaches it inside a box.

The operator says which index to use as for uv or pip anywhere: in the environment, in uv.toml or
in pip.conf. A box has an environment of its own, so what concerns the index is carried over.
"""

from __future__ import annotations

import configparser
import functools
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uv as uv_package

from atoll.engines.local.sandbox import Bind
from atoll.engines.local.searches import BEST_MATCH
from atoll.errors import Lacking

PROGRAM = "/srv/bin/uv"  # in a box
CONFIG_HOME = "/srv/etc"
CONFIG = f"{CONFIG_HOME}/uv/uv.toml"
CERTIFICATES = "/srv/etc/certificates.pem"
_CARRIED = (
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY"),
    *("UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
_NAMED_SECRET = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")


# What a package index answers may be used for ten minutes without asking again, and files, whose
# names say their content, for ever. The public index says the same, but gateways before it often
# do not pass that on, and then every resolution asks anew about every package.
_CACHED = """[[index]]
url = "{url}"
default = true
cache-control = {{ api = "max-age=600", files = "max-age=31536000, immutable" }}
"""


@dataclass(frozen=True, slots=True)
class Index:
    """The operator's package index: variables and files for a box.

    ``config`` is the text of a uv.toml, or "" when the operator's own is among ``binds``.
    ``secret`` is true when they hold a password; `open` leaves such things out. ``mixed`` is true
    when a version's files may come from several indexes.
    """

    environ: Mapping[str, str]
    binds: tuple[Bind, ...] = ()
    config: str = ""
    secret: bool = False
    mixed: bool = False

    def open(self) -> Index:
        """Return what code that is not ours may see: no user names, no passwords, no uv.toml."""
        if not self.secret:
            return self
        environ = {
            name: _SECRET.sub("", value)
            for name, value in self.environ.items()
            if not _NAMED_SECRET.fullmatch(name)
        }
        binds = tuple(bind for bind in self.binds if bind.target != CONFIG)
        return Index(environ, binds, _SECRET.sub("", self.config), mixed=self.mixed)


def uv() -> str:
    """Return the path of uv's program. Raises `Lacking`."""
    try:
        return uv_package.find_uv_bin()
    except FileNotFoundError as error:
        raise Lacking("uv is not installed.", hint="Run “pip install uv”.") from error


def operators_index(environ: Mapping[str, str] | None = None) -> Index:
    """Return the index that the operator has set up for uv, else for pip, else uv's default."""
    environ = os.environ if environ is None else environ
    kept = {name: environ[name] for name in _CARRIED if environ.get(name)}
    kept |= {name: value for name, value in environ.items() if _NAMED_SECRET.fullmatch(name)}
    binds = []
    text = ""
    if config := _uv_toml(environ):
        binds.append(Bind(config, CONFIG))
    elif not any("INDEX" in name for name in kept):
        kept |= _pip_index(environ)
    main = kept.get("UV_DEFAULT_INDEX") or kept.get("UV_INDEX_URL") or _default_index()
    if main and not config and '"' not in main:
        kept.pop("UV_DEFAULT_INDEX", None)
        kept.pop("UV_INDEX_URL", None)
        text = _CACHED.format(url=main)
    if main:
        kept["PIP_INDEX_URL"] = main  # postBuild scripts use pip
    certificates = Path(environ.get("SSL_CERT_FILE") or environ.get("PIP_CERT") or "")
    if certificates.is_file():
        binds.append(Bind(certificates.resolve(), CERTIFICATES))
        names = (
            *("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"),
            "NODE_EXTRA_CA_CERTS",  # npm, in a postBuild
        )
        kept |= dict.fromkeys(names, CERTIFICATES)
    spoken = [text, *kept.values(), config.read_text("utf-8", "replace") if config else ""]
    secret = any(map(_SECRET.search, spoken)) or any(map(_NAMED_SECRET.fullmatch, kept))
    mixed = any(BEST_MATCH in one for one in spoken)
    return Index(kept, tuple(binds), text, secret, mixed)


@functools.cache
def _default_index() -> str:
    """Ask uv which index it uses when nobody says anything; "" if it does not tell."""
    environ = {"PATH": os.environ.get("PATH", ""), "UV_NO_CONFIG": "1", "UV_NO_CACHE": "1"}
    words = ["pip", "compile", "--quiet", "--offline", "--emit-index-url", "--no-header"]
    ran = subprocess.run(
        [uv(), *words, "--python", sys.executable, "-"],
        input="",
        text=True,
        capture_output=True,
        check=False,
        env=environ,
        timeout=30,
    )
    found = re.search(r"^--index-url (\S+)$", ran.stdout, re.MULTILINE)
    return found[1] if found else ""


def _uv_toml(environ: Mapping[str, str]) -> Path | None:
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    places = [environ.get("UV_CONFIG_FILE"), f"{home}/uv/uv.toml", "/etc/uv/uv.toml"]
    return next((Path(p).resolve() for p in places if p and Path(p).is_file()), None)


def _pip_index(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's index settings as uv's; only web addresses, since a box sees no other."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    parser = configparser.RawConfigParser()
    files = ["/etc/pip.conf", f"{home}/pip/pip.conf", environ.get("PIP_CONFIG_FILE", "")]
    try:
        parser.read([file for file in files if file], encoding="utf-8")
    except configparser.Error:
        return {}
    found = {}
    for ours, theirs in (("UV_DEFAULT_INDEX", "index-url"), ("UV_INDEX", "extra-index-url")):
        name = f"PIP_{theirs.upper().replace('-', '_')}"
        value = environ.get(name) or str(parser.get("global", theirs, fallback=""))
        urls = [url for url in value.split() if url.startswith(("https://", "http://"))]
        if urls:
            found[ours] = " ".join(urls)
    return found
