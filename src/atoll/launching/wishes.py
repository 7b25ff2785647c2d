"""Wishes: what a launch may ask for besides a repository, in one schema for every way in.

The launch page's form, a link's parameters, the API's and the options of the command line have
the same names and the same meanings. All are text until `Wishes.request` holds them to the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from atoll.allowances import longest_idle
from atoll.environments.reading import index_day
from atoll.errors import BadRequest
from atoll.launching import LaunchRequest
from atoll.launching.company import Invited, guests
from atoll.names import is_slug, title_of
from atoll.people import Person
from atoll.quantities import parse_duration, parse_size, written_duration
from atoll.servers import Ends, Limits, Network
from atoll.settings.sections import SOONEST, ServerSettings
from atoll.sources import Target
from atoll.sources.binder import query_of
from atoll.volumes import Wish
from atoll.volumes.points import wish

GIB = 1024**3
YES = ("yes", "true", "1")
NO = ("", "no", "false", "0")
NEVER = "never"
LONGEST = 1000  # characters of one wish that we look at
MOST_DIGITS = 2  # of a number of GPUs
LEAST_MEMORY, LEAST_CPUS = 128 * 1024**2, 0.05  # with less, no JupyterLab comes up


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for, as text; "" is what the operator has set.

    ``name`` is the server's; ``temporary`` is yes or no; ``memory`` a size such as "4G"; ``cpus``
    a number; ``network`` one of the policies; ``at`` is "today" or an ISO date, of the package
    index; ``volumes`` are some, with commas between them, each as `atoll.volumes.points` reads it.
    ``title`` is what people call the server by; ``lifetime`` and ``idle``, after which it is
    stopped, are durations such as "8h", or "never"; ``gpus`` is a number; ``credentials`` is yes
    or no.
    ``people`` are those to let in, as `atoll.launching.company.guests` reads them; ``visitors``,
    yes or no, says whether these may have copies.
    """

    name: str = ""
    temporary: str = ""
    memory: str = ""
    cpus: str = ""
    network: str = ""
    at: str = ""
    volumes: str = ""
    title: str = ""
    lifetime: str = ""
    idle: str = ""
    gpus: str = ""
    credentials: str = ""
    people: str = ""
    visitors: str = ""

    @classmethod
    def read(cls, sent: Mapping[str, object]) -> Wishes:
        """Take what we know out of *sent*, a form's or an address's fields."""
        known = {one.name: sent.get(one.name) for one in fields(cls)}
        found = {name: text[:LONGEST] for name, text in known.items() if isinstance(text, str)}
        for name in ("temporary", "credentials", "visitors"):
            if found.get(name, "").lower() in NO:
                found.pop(name, None)
        return cls(**found)

    @classmethod
    def of_program(cls, sent: Mapping[str, object]) -> Wishes:
        """Take what we know out of *sent*, an object of JSON's, as programs may write it.

        Besides text, that is a number, true or false, and a list: of text, and of volumes as pairs
        of a mount point and a volume. Raises `BadRequest` for anything else, and what is too long.
        """
        known = {one.name: sent[one.name] for one in fields(cls) if one.name in sent}
        return cls.read({name: _told(name, value) for name, value in known.items()})

    @classmethod
    def of_link(cls, text: str) -> Wishes:
        """Return what *text* asks for, if it is a link for launching, whatever its host."""
        return cls.read(query_of(text.strip()))

    @classmethod
    def of(cls, request: LaunchRequest, rules: ServerSettings) -> Wishes:
        """Return what leads to *request* where *rules* hold."""
        limits, usual = request.limits, usual_limits(rules)
        return cls(
            name=request.name,
            temporary="yes" if request.temporary else "",
            memory="" if limits.memory == usual.memory else f"{limits.memory / GIB:g}G",
            cpus="" if limits.cpus == usual.cpus else f"{limits.cpus:g}",
            network="" if request.network == rules.network else request.network.value,
            at=request.at,
            volumes=", ".join(map(str, request.mounts or ())),
            title=request.title,
            lifetime=_duration(request.ends.lifetime),
            idle=_duration(request.ends.idle),
            gpus=str(limits.gpus or ""),
            credentials="yes" if request.credentials else "",
            people=", ".join(map(str, request.invited.people)),
            visitors="yes" if request.invited.visitors else "",
        )

    def asked(self) -> dict[str, str]:
        """Return those that are not empty, by name."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: text for name, text in found.items() if text}

    def request(
        self, target: Target, person: Person, rules: ServerSettings, *, typed: str
    ) -> LaunchRequest:
        """Return the launch of *target* that *person* asks for, held to the operator's *rules*.

        *typed* is what stands for it in records. Raises `BadRequest` with a sentence about the
        first wish that cannot be.
        """
        if self.name and not is_slug(self.name):
            raise BadRequest(
                f"“{self.name}” cannot be a server's name.",
                hint="Use up to 30 of a-z, 0-9 and single hyphens; begin with a letter.",
            )
        if self.temporary.lower() not in (*YES, *NO):
            raise BadRequest("A server is either kept or temporary.", hint="Say yes or no.")
        if self.credentials.lower() not in (*YES, *NO):
            raise BadRequest("Your credentials are passed or not.", hint="Say yes or no.")
        if self.visitors.lower() not in (*YES, *NO):
            raise BadRequest("Visitors may have copies, or may not.", hint="Say yes or no.")
        index_day(self.at)
        return LaunchRequest(
            person=person,
            repo=target.repo,
            opening=target.opening,
            name=self.name,
            temporary=self.temporary.lower() in YES,
            at=self.at,
            limits=self._limits(rules),
            network=self._network(rules),
            typed=typed,
            environment=target.environment,
            wished=frozenset(self.asked()),
            mounts=self._mounts(),
            title=title_of(self.title),
            ends=self._ends(rules),
            credentials=self.credentials.lower() in YES,
            invited=Invited(guests(self.people), self.visitors.lower() in YES),
        )

    def _mounts(self) -> tuple[Wish, ...] | None:
        texts = filter(None, (one.strip() for one in self.volumes.split(",")))
        return tuple(map(wish, texts)) or None

    def _limits(self, rules: ServerSettings) -> Limits:
        try:
            memory = parse_size(self.memory or rules.memory)
        except ValueError as error:
            raise BadRequest(f"{error}.") from None
        try:
            cpus = float(self.cpus.replace(",", ".")) if self.cpus else rules.cpus
        except ValueError:
            cpus = 0.0
        if self.memory and memory < LEAST_MEMORY:
            message = f"“{self.memory}” is too little memory for a server."
            raise BadRequest(message, hint="Ask for 512M or more, or leave it out.")
        most = parse_size(rules.max_memory)
        if memory > most:
            message = f"A server may have at most {most / GIB:g}G of memory here."
            raise BadRequest(message, hint="Ask for less, or ask the operator for more.")
        if not 0 < cpus < float("inf"):
            raise BadRequest(f"“{self.cpus}” is not a number of processors.", hint="Try 1 or 0.5.")
        if self.cpus and cpus < LEAST_CPUS:
            message = f"“{self.cpus}” is too little of a processor for a server."
            raise BadRequest(message, hint="Ask for 0.5 or more, or leave it out.")
        if cpus > rules.max_cpus:
            message = f"A server may have at most {rules.max_cpus:g} processors here."
            raise BadRequest(message, hint="Ask for less, or ask the operator for more.")
        return Limits(cpus, memory, rules.processes, self._gpus())

    def _gpus(self) -> int:
        text = self.gpus.strip() or "0"
        if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
            message = f"“{self.gpus[:20]}” is not a number of GPUs."
            raise BadRequest(message, hint="Ask for 1, or for none.")
        return int(text)

    def _ends(self, rules: ServerSettings) -> Ends:
        return Ends(
            _end(self.lifetime, rules.max_age, "may run for"),
            _end(self.idle, longest_idle(rules), "may be unused for"),
        )

    def _network(self, rules: ServerSettings) -> Network:
        if not self.network:
            return Network(rules.network)
        if self.network not in rules.networks and self.network != rules.network:
            raise BadRequest(
                "That network policy is not offered here.",
                hint=f"Choose from: {', '.join(rules.networks)}.",
            )
        return Network(self.network)


def _told(name: str, value: object) -> str:
    """Return what a program's *value* is as text."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case str() | int() | float():
            text = str(value)
        case list():
            text = ", ".join(_part(name, one) for one in value)
        case _:
            raise BadRequest(f"“{name}” cannot be that.", hint="Send text, a number or a list.")
    if len(text) > LONGEST:
        raise BadRequest(f"“{name}” is too long.", hint=f"It may have {LONGEST} characters.")
    return text


def _part(name: str, one: object) -> str:
    match one:
        case str():
            return one
        case [str(point), str(volume)] if name == "volumes":
            volume, mode = (volume[:-3], ":ro") if volume.endswith(":ro") else (volume, "")
            return f"{volume}:{point}{mode}"
    message = f"Something in the list “{name}” makes no sense."
    raise BadRequest(message, hint="Send text, or pairs of a mount point and a volume.")


def within(limits: Limits, rules: ServerSettings) -> Limits | None:
    """Return *limits* with no more than *rules* allow, or ``None`` if they allow all of it."""
    memory, cpus = min(limits.memory, int(rules.max_memory)), min(limits.cpus, rules.max_cpus)
    less = replace(limits, memory=memory, cpus=cpus)
    return None if less == limits else less


def usual_limits(rules: ServerSettings) -> Limits:
    """Return what a server gets when nobody asks for anything else."""
    return Limits(rules.cpus, parse_size(rules.memory), rules.processes)


def _end(text: str, most: float, may: str) -> float | None:
    """Return the seconds that *text* asks for, ``None`` if for none; of *most*, 0 is for ever."""
    if not text.strip():
        return None
    try:
        seconds = 0.0 if text.strip().lower() == NEVER else parse_duration(text)
    except ValueError as error:
        raise BadRequest(f"{error}, or never.", hint="Try 8h.") from None
    if most and not 0 < seconds <= most:
        message = f"A server {may} at most {written_duration(most)} here."
        raise BadRequest(message, hint="Ask for less, or ask the operator for more.")
    if seconds and seconds < min(SOONEST, most or SOONEST):
        message = f"A server {may} {written_duration(SOONEST)} at least."
        raise BadRequest(message, hint="Ask for more; you can stop it yourself at any time.")
    return seconds


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return written_duration(seconds) if seconds else NEVER
