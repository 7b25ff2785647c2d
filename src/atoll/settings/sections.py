"""Sections: what may be said in each table of ``atoll.toml``, with what counts where it is not."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from atoll.quantities import Duration, Size, SizeOrNone

SOONEST = 600  # seconds, the shortest lifetime and idle time that people may ask for


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        message = f"“{text}” is not an absolute path; write one, such as /srv/datasets"
        raise ValueError(message)
    return text


def _volume_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", text):
        message = f"“{text}” cannot be a volume's name; use a-z, 0-9, hyphen, dot and underscore"
        raise ValueError(message)
    return text


NetworkName = Literal["none", "internet", "full"]


class Section(BaseModel):
    """A table of which every name is known, and that does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class HubSettings(Section):
    """``[hub]``: where people reach the hub."""

    bind: str = Field("http://127.0.0.1:8000", description="The address that the proxy listens at")
    config: str = Field("", description="A jupyterhub_config.py layered on top of Atoll's own")


class DatabaseSettings(Section):
    """``[database]``: where users, plans and records are kept."""

    url: str = Field(
        "", description="An SQLAlchemy URL; empty means SQLite files in the data folder"
    )


class AccessSettings(Section):
    """``[access]``: who may launch, and how much."""

    anonymous: bool = Field(
        default=False, description="Whether visitors get temporary servers without signing in"
    )
    per_address: int = Field(5, ge=1, description="Anonymous servers at once from one address")
    total: int = Field(100, ge=1, description="Anonymous servers at once in all")
    idle: Duration = Field(
        1200, gt=0, description="How long an anonymous server may be unused until it is removed"
    )
    copy_size: Size = Field(
        "1G",
        description="The most that a server's files may take of which visitors get copies",
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


class SourceSettings(Section):
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


class BuildSettings(Section):
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


class ServerSettings(Section):
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
    max_idle: Duration | None = Field(
        None,
        ge=0,
        description="The longest idle time that may be asked for; 0: for ever; empty: as `idle`",
    )
    max_age: Duration = Field(
        0, ge=0, description="How long a server may run, used or not; 0: for ever"
    )
    lifetime: Duration | None = Field(
        None,
        ge=0,
        description=(
            "How long a server runs for which nobody asks for another lifetime, up to `max_age`; "
            "0: for ever; empty: as `max_age`"
        ),
    )
    idle_kernels: Duration = Field(
        0,
        ge=0,
        description=(
            "How long a kernel may be unused until it is ended; 0: for ever. One that computes, or "
            "is open in somebody's browser, is in use"
        ),
    )


def _is_address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]\S*|mailto:\S+", text):
        message = f"“{text}” is no address; begin it with https://"
        raise ValueError(message)
    return text


def _is_web_address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#\\]+(/[^\s?#\\]*)?", text):
        message = f"“{text}” is not the address of a hub; begin it with https://"
        raise ValueError(message)
    return text


def _as_hub(given: Any) -> Any:
    """Return the table that an address alone stands for."""
    if not isinstance(given, str):
        return given
    public = re.match(r"https?://([^/:]+\.)?mybinder\.org(?![^/:])", given)
    return {"address": given, "kind": "binder" if public else "atoll"}


class ElsewhereSettings(Section):
    """``[pages.hubs.NAME]``: another hub."""

    address: Annotated[str, AfterValidator(_is_web_address)]
    kind: Literal["atoll", "binder"] = "atoll"


class PreparedSettings(Section):
    """``[[pages.prepared]]``: something to launch that the operator has chosen."""

    title: str = Field(min_length=1, max_length=100)
    launch: str = Field(min_length=1)
    description: str = ""
    groups: list[str] = []


class PagesSettings(Section):
    """``[pages]``: what the operator puts on the pages."""

    notice: str = Field("", description="What everybody reads first, such as a day without service")
    links: dict[str, Annotated[str, AfterValidator(_is_address)]] = Field(
        {},
        description=(
            "Links at the foot of each page, by what they are called: "
            '{Documentation = "https://docs.example.org"}'
        ),
    )
    hubs: dict[str, Annotated[ElsewhereSettings, BeforeValidator(_as_hub)]] = Field(
        {},
        description=(
            "Other hubs, to which a launch can be taken, by what they are called, each a table "
            'with `address` and `kind`, "atoll" or "binder", or the address alone of an Atoll '
            'or of mybinder.org: {Reef = "https://reef.example.org"}'
        ),
    )
    credits: str = Field(
        "", description="Who runs this, and with whose help, at the foot of each page"
    )
    prepared: list[PreparedSettings] = Field(
        [],
        description=(
            "What the launch page offers first, each a table [[pages.prepared]] with `title`, "
            "`launch` (whatever one may paste there, or a link of a hub, with all that it asks "
            "for), and perhaps `description` and `groups`, who alone see it"
        ),
    )


class FolderSettings(Section):
    """``[volumes.folders.NAME]``: a folder of this machine that servers can read."""

    folder: Annotated[str, AfterValidator(_absolute)] = Field(description="Where it is")
    description: str = Field("", description="What is in it, for people")
    groups: list[str] = Field([], description="Who may read it; empty: everybody who has signed in")


class VolumeSettings(Section):
    """``[volumes]``: files that several servers may have."""

    quota: Size = Field("10G", description="What a volume may take, unless its owner says less")
    each: int = Field(20, ge=0, description="Volumes that one person, or one group, may have")
    grace: Duration = Field(7 * 86400, description="How long a deleted volume can be restored")
    folders: dict[Annotated[str, AfterValidator(_volume_name)], FolderSettings] = Field(
        {},
        description=(
            "Folders of this machine that servers can read, by name: "
            '[volumes.folders.datasets] folder = "/srv/datasets", with a `description`, and '
            "`groups` if they are not for everybody"
        ),
    )


class GroupSettings(Section):
    """``[groups.NAME]``: what ``[servers]`` says, and of volumes, otherwise for a group."""

    memory: Size | None = Field(None, description="Memory of a server")
    max_memory: Size | None = Field(None, description="The most memory that may be asked for")
    cpus: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Processors of a server"
    )
    max_cpus: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="The most processors that may be asked for"
    )
    network: NetworkName | None = Field(None, description="What a server may reach")
    networks: list[NetworkName] | None = Field(
        None, description="The network policies that they may choose from"
    )
    per_person: int | None = Field(
        None, ge=1, description="Servers that each of them may have running"
    )
    idle: Duration | None = Field(
        None, ge=0, description="How long a server may be unused until it is stopped; 0: for ever"
    )
    max_idle: Duration | None = Field(
        None, ge=0, description="The longest idle time that may be asked for; 0: for ever"
    )
    max_age: Duration | None = Field(
        None, ge=0, description="How long a server may run, used or not; 0: for ever"
    )
    lifetime: Duration | None = Field(
        None, ge=0, description="How long a server runs for which nobody asks for another lifetime"
    )
    volume_quota: Size | None = Field(
        None,
        description="What a volume of the group, or of one of them, may take, for "
        "`[volumes] quota`",
    )


class OperatorSettings(Section):
    """``[operator]``: what is written down for whoever runs it."""

    audit_days: int = Field(
        365,
        ge=0,
        description="Days for which it is kept who did what; 0: for ever",
    )
    cost_days: int = Field(
        1100, ge=0, description="Days for which it is kept what servers have cost; 0: for ever"
    )
    log_days: int = Field(
        90,
        ge=0,
        description="Days for which it is kept what stopped servers, and builds, had printed; "
        "0: for ever",
    )
    see_as: bool = Field(
        default=False,
        description=(
            "Whether an operator may look at Atoll's pages as somebody else sees them, which is "
            "written down and told to them"
        ),
    )
    see_as_for: Duration = Field(1800, gt=0, description="How long, until it ends by itself")
    sample: Duration = Field(
        60, ge=0, description="How often it is measured what servers use; 0: never"
    )
