"""Requests: who wants what of a launch, and what its preparing comes to. Values only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from atoll.environments import Environment, EnvSpec
from atoll.errors import BadRequest
from atoll.events import Phase
from atoll.launching.company import NOBODY, Invited
from atoll.names import default_name, title_slug
from atoll.people import Person
from atoll.servers import DEFAULT_LIMITS, NO_ENDS, Ends, Limits, Network, ServerPlan
from atoll.sources import RepoRef
from atoll.volumes import Copied, Wish


class Existing(StrEnum):
    """What happens where the server is there already, and differs.

    ``LEAVE``: it is opened as it is, and how it differs is said. ``ASK``: its person is asked.
    ``UPDATE``: it becomes what is asked for. ``NEW``: another one is made beside it, even if it
    does not differ. ``LOOK``: it is only said how it differs, if it does.
    """

    LEAVE = "leave"
    ASK = "ask"
    UPDATE = "update"
    NEW = "new"
    LOOK = "look"


def existing_of(text: str, usual: Existing) -> Existing:
    """Return what *text* says of it, *usual* if nothing; raise `BadRequest` if it makes no sense.

    Like the names of wishes, it is the same in an address, in the API and on a command line.
    """
    if text and text not in set(Existing):
        message = f"“{text[:20]}” is nothing to do with a server that is there."
        raise BadRequest(message, hint=f"There are {', '.join(Existing)}.")
    return Existing(text) if text else usual


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """Who wants what, before anything is looked up.

    ``environment`` is the repository whose specification is built, where that is not ``repo``'s.
    ``opening`` is the URL path to land on, or "" for what the reference points at. ``name`` may
    be "": then it is made from ``title``, which people call it by, or the repository. ``at`` is ""
    (the date of the specification), "today" or an ISO date. ``retry`` asks to build again what
    failed before, ``rebuild`` also what did not. ``infer`` takes what the code imports where
    nothing says what to build. ``typed`` is what the person wrote, for records and pages.
    ``wished`` are the names of what is asked for by itself: all else stays as it was with a server
    that is there. ``existing`` says what happens to such a server if it differs. ``credentials``
    asks for its person's, which none gets yet. ``copied`` is another person's server of which it is
    a copy: then nothing is looked up, or built that is there. ``invited`` are to be let in.
    """

    person: Person
    repo: RepoRef
    opening: str = ""
    name: str = ""
    temporary: bool = False
    at: str = ""
    retry: bool = False
    limits: Limits = DEFAULT_LIMITS
    network: Network = Network.INTERNET
    typed: str = ""
    environment: RepoRef | None = None
    rebuild: bool = False
    infer: bool = False
    wished: frozenset[str] = frozenset({"memory", "cpus", "network"})
    existing: Existing = Existing.LEAVE
    mounts: tuple[Wish, ...] | None = None
    copied: Copied | None = None
    invited: Invited = NOBODY
    title: str = ""
    ends: Ends = NO_ENDS
    credentials: bool = False

    @property
    def wanted_name(self) -> str:
        """The server's name, if nothing is in its way."""
        made = title_slug(self.title) or default_name(self.repo.locator)
        return self.name or made


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan that can be started at once, and how it came about.

    ``proposal`` is a ``requirements.txt`` that could have been taken, where the repository has
    none, or "". ``only_files`` says that it differs in nothing but its files from the plan of
    before, whose server may go on running. Of a copy there is no ``spec``.
    """

    plan: ServerPlan
    spec: EnvSpec | None
    cached: bool
    seconds: dict[str, float]
    proposal: str = ""
    only_files: bool = False


@dataclass(frozen=True, slots=True)
class Building:
    """How to build: what `Environments.ensure` is told besides what."""

    retry: bool = False
    rebuild: bool = False
    whose: str = ""


USUAL = Building()


@dataclass(frozen=True, slots=True)
class Built:
    """An environment and the specification that it was really made from."""

    spec: EnvSpec
    environment: Environment
    cached: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should hear of, each sentence once."""
        return tuple(dict.fromkeys((*self.spec.notes, *self.environment.notes)))


@dataclass(slots=True)
class Clock:
    """How long each phase took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Time what happens inside as *name*, even when it fails."""
        begun = time.monotonic()
        try:
            yield
        finally:
            taken = self.seconds.get(name, 0.0) + time.monotonic() - begun
            self.seconds[name] = round(taken, 3)
