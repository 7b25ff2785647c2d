"""Settings: one ``atoll.toml``, read once, all its mistakes reported together."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import math
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from atoll.errors import BadSettings, Refused

UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
RARELY = 300  # seconds between two looks at who was active, JupyterHub's own
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_size(text: str | int) -> int:
    """Return how many bytes *text* means: a number with an optional K, M, G or T (powers of 1024).

    Raises `ValueError` for anything else.
    """
    words = str(text).strip().upper().removesuffix("B").removesuffix("I")
    number, unit = (words[:-1], words[-1:]) if words[-1:] in UNITS else (words, "")
    try:
        size = int(float(number) * UNITS[unit])
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        message = f"“{text}” is not a size; write a number and K, M, G or T, such as 2G"
        raise ValueError(message)
    return size


def parse_size_or_none(text: str | int) -> int:
    """Return how many bytes *text* means, which may be 0, or raise `ValueError`."""
    return 0 if text in {0, "0", ""} else parse_size(text)


def parse_duration(text: object) -> float:
    """Return how many seconds *text* means: a number, with s, m, h or d behind it if need be.

    Raises `ValueError` for anything else.
    """
    found = re.fullmatch(r"([0-9.]+)\s*(s|m|min|h|d)?", str(text).strip().lower())
    number, unit = (found[1], found[2] or "s") if found else (text, "s")
    try:
        seconds = float(number) * SECONDS[unit]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1
    if isinstance(text, bool) or not 0 <= seconds < math.inf:
        message = f"“{text}” is not a duration; write seconds, or a number and m, h or d: 30m, 8h"
        raise ValueError(message)
    return seconds


Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int | str, AfterValidator(parse_size)]
SizeOrNone = Annotated[int | str, AfterValidator(parse_size_or_none)]
NetworkName = Literal["none", "internet", "full"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class HubSettings(_Section):
    """``[hub]``: where people reach the hub."""

    bind: str = Field("http://127.0.0.1:8000", description="The address that the proxy listens at")
    config: str = Field("", description="A jupyterhub_config.py layered on top of Atoll's own")


class DatabaseSettings(_Section):
    """``[database]``: where users, plans and records are kept."""

    url: str = Field(
        "", description="An SQLAlchemy URL; empty means SQLite files in the data folder"
    )


class AccessSettings(_Section):
    """``[access]``: who may launch, and how much."""

    anonymous: bool = Field(
        default=False, description="Whether visitors get temporary servers without signing in"
    )
    per_address: int = Field(5, ge=1, description="Anonymous servers at once from one address")
    total: int = Field(100, ge=1, description="Anonymous servers at once in all")
    idle: Duration = Field(
        1200, gt=0, description="How long an anonymous server may be unused until it is removed"
    )
    launches: int = Field(
        5, ge=1, description="Launches in progress at once of one person who has signed in"
    )
    proxies: int = Field(
        0,
        ge=0,
        description=(
            "Web servers of your own before Atoll's proxy, each of which adds to X-Forwarded-For; "
            "visitors' addresses are what the outermost one saw"
        ),
    )
    origins: list[str] = Field(
        [], description="Sites whose pages may use the Binder interface from a browser"
    )
    rebuild: Literal["admins", "people"] = Field(
        "admins",
        description=(
            "Who may have an environment made anew that is there: JupyterHub's administrators, or "
            "everybody who has signed in"
        ),
    )


class SourceSettings(_Section):
    """``[sources]``: what may be fetched."""

    allow: list[str] = Field(
        [],
        description=(
            "Hosts (git.example.org, 10.1.2.3, localhost:3000) inside the operator's network, and "
            "folders (/srv/courses), that web launches may fetch from all the same"
        ),
    )
    max_size: Size = Field("5G", description="The largest repository, on disk")
    timeout: Duration = Field(600, gt=0, description="How long one fetch may take")
    at_once: int = Field(8, ge=1, description="Fetches that may run at once")


class BuildSettings(_Section):
    """``[builds]``: how environments are made."""

    at_once: int = Field(2, ge=1, description="Builds that may run at once")
    grace: Duration = Field(
        60, ge=0, description="How long a build goes on when nobody waits for it"
    )
    timeout: Duration = Field(3600, gt=0, description="How long one build may take")
    memory: Size = Field("4G", description="Memory of one build")
    conda_alias: str = Field(
        "", description="The address below which conda channels are by name; empty: conda's own"
    )
    conda_channels: list[str] = Field(
        ["conda-forge"],
        description="Conda channels that come after those a repository names, as in Binder",
    )
    conda_mirrors: dict[str, str] = Field(
        {},
        description=(
            "Addresses to take instead of a conda channel's own, by its name or address: "
            '{conda-forge = "https://conda.example.org/forge"}'
        ),
    )
    cran: str = Field(
        "https://packagemanager.posit.co/cran/__linux__/{release}/{day}",
        min_length=1,
        description=(
            "Where R packages come from that Debian does not have: a CRAN as it was on {day}, or "
            "of today if the address does not say {day}; {release} is this system's (bookworm)"
        ),
    )
    substitute: bool = Field(
        True,  # noqa: FBT003
        description=(
            "Whether, where no conda channel can be reached, the same names are taken from the "
            "Python package index; who launches is told"
        ),
    )


class ServerSettings(_Section):
    """``[servers]``: what a server gets when nobody asks for anything else, and at most."""

    memory: Size = Field("2G", description="Memory of a server")
    max_memory: Size = Field("16G", description="The most memory that may be asked for")
    cpus: float = Field(2, gt=0, description="Processors of a server")
    max_cpus: float = Field(64, gt=0, description="The most processors that may be asked for")
    processes: int = Field(512, ge=16, description="Processes of a server")
    network: NetworkName = Field("internet", description="What a server may reach")
    networks: list[NetworkName] = Field(
        ["none", "internet"], description="The network policies that people may choose from"
    )
    forks: bool = Field(
        True,  # noqa: FBT003
        description=(
            "Whether servers are forks of one process, which start ten times as fast and take half "
            "the memory, or start plainly, with an address space layout of their own"
        ),
    )
    kernel_forks: int = Field(
        4,
        ge=0,
        description=(
            "Fork servers of kernels, one for each kind of environment in use, with some 50 MB each"
        ),
    )
    per_person: int = Field(
        10, ge=1, description="Servers that one person, an administrator too, may have running"
    )
    at_once: int = Field(
        0, ge=0, description="Servers that may run at once, of everybody; 0: as memory allows"
    )
    starting: int = Field(
        0,
        ge=0,
        description=(
            "Servers that may be starting at once, as more only make each other slower; "
            "0: twice as many as there are processors"
        ),
    )
    memory_free: SizeOrNone = Field(
        "256M", description="Memory of this machine that no start may take; 0: look at none"
    )
    memory_expected: SizeOrNone = Field(
        0,
        description=(
            "Memory that a starting server will take; 0: what those that run take on average"
        ),
    )
    wait: Duration = Field(
        7200, gt=0, description="How long somebody may wait in line until a server is started"
    )
    idle: Duration = Field(
        0, ge=0, description="How long a server may be unused until it is stopped; 0: for ever"
    )
    max_age: Duration = Field(
        0, ge=0, description="How long a server may run, used or not; 0: for ever"
    )
    idle_kernels: Duration = Field(
        0,
        ge=0,
        description=(
            "How long a kernel may be unused until it is ended; 0: for ever. One that computes, or "
            "is open in somebody's browser, is in use"
        ),
    )

    @property
    def pause(self) -> int:
        """Seconds that may pass between two looks at what nobody uses, 0 if all may stay.

        They are a small part of the time that may pass without use, so that no stop comes much too
        late and nobody's last use is overlooked.
        """
        limits = [one for one in (self.idle, self.max_age) if one]
        return max(1, min(RARELY, int(min(limits) / 5))) if limits else 0


class Settings(_Section):
    """All of ``atoll.toml``. ``data`` is the one folder in which everything is kept."""

    data: Path = Field(default_factory=lambda: default_data(), description="The data folder")  # noqa: PLW0108
    hub: HubSettings = HubSettings()
    database: DatabaseSettings = DatabaseSettings()
    access: AccessSettings = AccessSettings()
    sources: SourceSettings = SourceSettings()
    builds: BuildSettings = BuildSettings()
    servers: ServerSettings = ServerSettings()


def default_data() -> Path:
    """Return ``$ATOLL_DATA``, or the folder that the XDG base directory specification names."""
    if named := os.environ.get("ATOLL_DATA"):
        return Path(named).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "atoll"


def load_settings(path: Path | None = None) -> Settings:
    """Read *path*, else ``$ATOLL_CONFIG``, else ``atoll.toml`` in the data folder if there is one.

    Raises `BadSettings` with every mistake in it, one a line.
    """
    named = path or (Path(os.environ["ATOLL_CONFIG"]) if "ATOLL_CONFIG" in os.environ else None)
    file = named or default_data() / "atoll.toml"
    if not named and not file.exists():
        return Settings()
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is not TOML: {error}.") from error
    return settings_from(table, where=str(file))


LEFT_OUT = "Correct these; what is left out has its default. `atoll doctor` reads the file, too."


def settings_from(table: dict[str, Any], *, where: str = "atoll.toml") -> Settings:
    """Check *table*, what a settings file holds, and return it as `Settings`.

    Raises `BadSettings`.
    """
    try:
        return TypeAdapter(Settings).validate_python(table)
    except ValidationError as error:
        lines = [
            _explain([str(part) for part in one["loc"]], one["type"], one["msg"])
            for one in error.errors()
        ]
        message = f"{where} has {len(lines)} mistake{'s' * (len(lines) > 1)}:\n" + "\n".join(lines)
        raise BadSettings(message, hint=LEFT_OUT) from error


def _explain(path: list[str], kind: str, said: str) -> str:
    if kind != "extra_forbidden":
        return f"  {'.'.join(path)}: {said.removeprefix('Value error, ')}"
    known: Any = Settings
    for part in path[:-1]:
        known = known.model_fields[part].annotation
    close = difflib.get_close_matches(path[-1], known.model_fields, n=1, cutoff=0.5)
    names = ", ".join(known.model_fields)  # whoever has installed a wheel has no documentation
    meant = f"; did you mean “{close[0]}”?" if close else f"; there are {names}"
    return f"  {'.'.join(path)}: there is no such setting{meant}"


def data_folder(settings: Settings) -> Path:
    """Make the data folder if need be, and see to it that nobody else gets into it; return it.

    It may have been made by hand, or by a command with everybody's permissions; and in it are
    databases, private files and locks that other people of this machine must not even open.
    """
    folder = settings.data.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):  # somebody else's, who has let us in
            folder.chmod(0o700)
    return folder


def run_folder(settings: Settings) -> Path:
    """Return the folder for sockets of the installation whose data is in ``settings.data``.

    It is ours alone and its path is short, since a unix socket's may have 107 bytes only:
    ``$XDG_RUNTIME_DIR/atoll-XXXXXXXX``, ``/run/atoll-…`` for root, else ``/tmp/atoll-UID-…``.
    Raises `Refused` when somebody else made it first.
    """
    mark = hashlib.sha256(str(settings.data).encode()).hexdigest()[:8]
    user = os.getuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if user == 0:
        folder = Path("/run") / f"atoll-{mark}"
    elif runtime and len(runtime) < 50 and os.access(runtime, os.W_OK):  # noqa: PLR2004
        folder = Path(runtime) / f"atoll-{mark}"
    else:
        folder = Path("/tmp") / f"atoll-{user}-{mark}"  # noqa: S108 - checked just below
    folder.mkdir(mode=0o711, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != user or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise Refused(f"{folder} is not ours alone.", hint="Remove it and start again.")
    return folder
