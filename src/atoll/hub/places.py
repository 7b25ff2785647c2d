"""Places: where the parts of one installation meet, and the secrets they show each other."""

from __future__ import annotations

import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from atoll.errors import BadSettings

if TYPE_CHECKING:  # the supervisor, to which places are told, is to stay small
    from atoll.settings import Settings

SERVICE = "atoll"  # the name by which JupyterHub knows Atoll's own service
TOKENS = ("proxy_token", "service_token", "supervisor_token", "idle_token")
SUPERVISOR = "atoll-supervisor"  # and the one by which it knows `atoll up`
IDLE = "atoll-idle"  # and the idle culler
SHORTEST_MASKED = 4  # characters; masking a shorter password would spoil every line
LONGEST_SECRET = 4096  # characters
BOX_HUB = "/run/atoll/hub"  # where a server finds the folder of the hub's socket


def http_unix(socket: Path | str) -> str:
    """Return the URL of what listens at *socket*, as JupyterHub 6 and its proxy write it."""
    return "http+unix://" + quote(str(socket), safe="")


@dataclass(frozen=True, slots=True)
class Places:
    """Files, sockets and URL paths of one installation; see `find_places`.

    ``base`` is the URL path under which everything is served; it begins and ends with a slash.
    """

    data: Path
    run: Path
    host: str
    port: int
    base: str

    @property
    def hub_socket(self) -> Path:
        """Where JupyterHub listens; its folder is mounted into every server's box."""
        return self.run / "hub" / "hub.sock"

    @property
    def web_socket(self) -> Path:
        """Where Atoll's own service listens."""
        return self.run / "web.sock"

    @property
    def proxy_socket(self) -> Path:
        """Where the proxy takes orders."""
        return self.run / "proxy-api.sock"

    @property
    def settings(self) -> Path:
        """The settings as they were when `atoll up` began; all its processes read these."""
        return self.run / "atoll.toml"

    @property
    def password(self) -> Path:
        """The file with the password of the first administrator."""
        return self.data / "admin_password"

    @property
    def log(self) -> Path:
        """The file with everything that every process said."""
        return self.data / "logs" / "atoll.log"

    @property
    def prefix(self) -> str:
        """The URL path of Atoll's own pages."""
        return f"{self.base}services/{SERVICE}/"

    @property
    def hub_api(self) -> str:
        """The URL of JupyterHub's REST API, for processes outside boxes."""
        return f"{http_unix(self.hub_socket)}{self.base}hub/api"

    @property
    def url(self) -> str:
        """The URL at which a person on this machine finds it all."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}{self.base}"

    def secret(self, name: str) -> str:
        """Return the secret kept in the file *name* of the data folder; make it if need be."""
        file = self.data / name
        if not file.exists():
            write_private(file, secrets.token_urlsafe(32))
        return file.read_text("utf-8").strip()


def secrets_of(settings: Settings, places: Places) -> set[str]:
    """Return everything that must not be seen in a log, in each form that it may take there.

    Raises `BadSettings` when others can read what should be secret.
    """
    kept = {places.secret(name) for name in (*TOKENS, places.password.name)}
    password = urlsplit(settings.database.url).password or ""
    forms = {password, unquote(password), quote(unquote(password), safe=" +")}
    kept |= {read_private(file) for file in settings.sign_in.secret_files}
    return kept | {one for one in forms if len(one) >= SHORTEST_MASKED}


def find_places(settings: Settings) -> Places:
    """Return where everything of *settings*' installation is, and make the folders.

    Raises `BadSettings` when ``[hub] bind`` is not an ``http://`` address, `Refused` when the
    folder for sockets belongs to somebody else.
    """
    from atoll.folders import data_folder, run_folder

    bind = urlsplit(settings.hub.bind)
    try:
        host, port = bind.hostname or "", bind.port or 80
    except ValueError:
        host, port = "", 0
    if bind.scheme != "http" or not host or bind.query or bind.fragment or bind.username:
        raise BadSettings(
            f"[hub] bind is “{settings.hub.bind}”, which is not an address to listen at.",
            hint="Write one such as http://127.0.0.1:8000; for HTTPS put a web server in front.",
        )
    path = bind.path.strip("/")
    data = data_folder(settings)
    (data / "logs").mkdir(mode=0o700, exist_ok=True)
    run = run_folder(settings)
    (run / "hub").mkdir(exist_ok=True)
    (run / "hub").chmod(0o755)  # servers run as other users and must get to the socket in it
    return Places(data, run, host, port, f"/{path}/" if path else "/")


def read_private(name: str) -> str:
    """Return the secret in the file *name*, or raise `BadSettings`.

    It must be a short line, in a file that nobody can read but us (and root).
    """
    try:
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadSettings(f"{name} is no file with a secret.")
            if found.st_mode & 0o077 or found.st_uid not in {0, os.geteuid()}:
                raise BadSettings(
                    f"Others can read the secret in {name}.",
                    hint=f"chown {os.geteuid()} {name}; chmod 600 {name}; and have it changed.",
                )
            secret = file.read(LONGEST_SECRET + 1).decode().strip()
    except OSError as error:
        raise BadSettings(
            f"The secret in {name} cannot be read: {error.strerror}.",
            hint="Write it into that file, which only you can read (chmod 600).",
        ) from error
    except UnicodeDecodeError as error:
        raise BadSettings(f"{name} holds no text.") from error
    if not SHORTEST_MASKED <= len(secret) <= LONGEST_SECRET or not secret.isprintable():
        raise BadSettings(
            f"{name} holds no secret: it must be one line, of a few characters or more."
        )
    return secret


def write_private(file: Path, text: str) -> None:
    """Write *text* so that nobody else can read it, and all at once."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    aside.replace(file)


def write_settings(settings: Settings, file: Path) -> None:
    """Write *settings* to *file* as TOML, so that other processes have the very same ones."""
    tables = settings.model_dump(mode="json", exclude_none=True)
    lines = [f"data = {_toml(str(settings.data.absolute()))}"]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    write_private(file, "\n".join(lines) + "\n")


def _toml(value: object) -> str:
    # Strings, numbers and truth values read the same in JSON and in TOML, but for one character.
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
