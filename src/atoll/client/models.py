"""Models: what a hub answers, of which nothing is believed that has not the right form."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, Field

from atoll.events import Event, Phase

PHASES: tuple[Phase, ...] = get_args(Phase)


class Me(BaseModel):
    """Whose token it is, and what the hub runs."""

    name: str
    admin: bool
    atoll: str
    interface: int


class Change(BaseModel):
    """One thing in which a server that is there differs."""

    what: str
    was: str
    now: str

    def __str__(self) -> str:
        """Say it as our own commands do."""
        return f"{self.what} {self.was} → {self.now}"


class FileChange(BaseModel):
    """What would become of a file."""

    path: str
    fate: str
    beside: str = ""
    theirs: str = ""


class Renewal(BaseModel):
    """What would become of the files of a server that is there."""

    count: int = 0
    said: list[str] = []
    changes: list[FileChange] = []


class Launched(BaseModel):
    """A launch, as it stands."""

    id: str = Field(min_length=1, max_length=100)
    state: str
    name: str
    version: str = ""
    url: str = ""
    error: str = ""
    hint: str = ""
    kind: str = ""
    changes: list[Change] = []
    renewal: Renewal = Renewal()


class Told(BaseModel):
    """Something that happened in a launch."""

    phase: str
    message: str
    detail: bool = False
    note: bool = False

    @property
    def event(self) -> Event:
        """The same, as our own commands tell it."""
        phase: Phase = self.phase if self.phase in PHASES else "start"
        return Event(phase, self.message, detail=self.detail, note=self.note)


class Server(BaseModel):
    """A server of one's own. ``bytes`` is ``None`` if it keeps no files."""

    name: str
    title: str = ""
    state: str
    repository: str = ""
    environment: str = ""
    version: str = ""
    launched: str = ""
    bytes: int | None = None
    since: str = ""
    temporary: bool = False
    url: str = ""


class Shared(BaseModel):
    """A server that somebody lets one into."""

    owner: str
    server: str
    level: str
    running: bool
    title: str = ""


class Titled(BaseModel):
    """What a server of one's own is called now."""

    name: str
    title: str


class Started(BaseModel):
    """A server that was started; by a launch, if its environment had to be made again."""

    name: str
    launch: Launched | None = None


class LetIn(BaseModel):
    """Somebody who is let into a server."""

    whom: str
    level: str


class Link(BaseModel):
    """A link that lets in whoever follows it."""

    id: str
    level: str
    until: str
    used: int


class People(BaseModel):
    """Who is let into a server. ``link`` is one that was made just now.

    ``copies`` is the link by which visitors get copies, or "", and ``copies_running`` how many do.
    """

    owner: str
    server: str
    people: list[LetIn]
    links: list[Link]
    link: str = ""
    copies: str = ""
    copies_running: int = 0


class Share(BaseModel):
    """Who else may read, or change, a volume."""

    whom: str
    write: bool


class Volume(BaseModel):
    """A volume, as the asking person writes it."""

    volume: str
    owner: str
    description: str
    quota: int | None
    bytes: int | None = None
    shares: list[Share]
    servers: list[str] = []
    snapshot: bool
    made: str
    deleted: str | None
    may: list[str]


class PersonKnown(BaseModel):
    """Somebody whom the hub knows, with what they cost this month, as operators see them."""

    person: str
    operator: bool
    groups: list[str]
    running: list[str]
    servers: int
    last_seen: str
    cpu_hours: float
    memory_gib_hours: float


class Used(BaseModel):
    """A server that runs, and what it used when it was last measured; memory in bytes."""

    server: str
    owner: str
    name: str
    title: str = ""
    cpus: float
    memory: int
    started: str
    measured: str


class Spent(BaseModel):
    """What somebody, or a group, has cost in a month."""

    who: str
    cpu_hours: float
    memory_gib_hours: float
    server_gib_days: float
    volume_gib_days: float
    environment_gib_days: float


class Done(BaseModel):
    """Who did what to what, when and from where."""

    number: int
    at: str
    who: str
    deed: str
    kind: str
    what: str
    server: str
    way: str
    address: str
    detail: dict[str, str]


class Limit(BaseModel):
    """What an operator has set for somebody, or a group."""

    whom: str
    name: str
    value: str
    by: str
    at: str


class Allowed(BaseModel):
    """What somebody may have, and where that is from."""

    name: str
    value: str
    source: str


class Message(BaseModel):
    """What an operator tells people at the top of their pages."""

    number: int
    whom: str
    server: str
    text: str
    level: str
    by: str
    at: str
    until: str | None


class Stopped(BaseModel):
    """The names of servers of one person that were stopped."""

    stopped: list[str]


class Seen(BaseModel):
    """What somebody sees of the hub."""

    person: str
    servers: list[Server]
    shared: list[Shared]
    volumes: list[Volume]
    limits: list[Allowed]
