"""Launch form: from a form's fields to a checked request, and back to fill it in again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime

from atoll.errors import BadRequest, Refused
from atoll.launching import LaunchRequest
from atoll.names import is_slug
from atoll.people import Person
from atoll.servers import Limits, Network
from atoll.settings import AccessSettings, ServerSettings, parse_size
from atoll.sources import Target, written
from atoll.web.links import field_from
from atoll.web.recognition import target_of

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class LaunchForm:
    """The form's fields, as text, exactly as a person filled them in.

    ``keep`` is "kept" or "temporary"; ``at`` is "", "today" or "date", then ``date`` says which.
    ``memory`` and ``cpus`` may be "" for what the operator set. ``rebuild`` is "" or "yes".
    """

    repository: str = ""
    version: str = ""
    opening: str = ""
    name: str = ""
    keep: str = "kept"
    memory: str = ""
    cpus: str = ""
    network: str = ""
    at: str = ""
    date: str = ""
    rebuild: str = ""

    @classmethod
    def read(cls, sent: Mapping[str, object]) -> LaunchForm:
        """Take the fields we know out of *sent*."""
        known = {one.name: sent[one.name] for one in fields(cls) if one.name in sent}
        return cls(**{name: value for name, value in known.items() if isinstance(value, str)})

    @classmethod
    def of(cls, request: LaunchRequest, rules: ServerSettings) -> LaunchForm:
        """Return the form that leads to *request*, for "edit and try again"."""
        typed = request.typed or written(request.repo, request.environment)
        said = target_of(typed)  # what the text says by itself need not stand in a field
        limits, usual = request.limits, default_limits(rules)
        dated = request.at not in {"", "today"}
        return cls(
            repository=typed,
            version="" if request.repo == said.repo else request.repo.version,
            opening="" if request.opening == said.opening else field_from(request.opening),
            name=request.name,
            keep="temporary" if request.temporary else "kept",
            memory="" if limits.memory == usual.memory else f"{limits.memory / GIB:g}G",
            cpus="" if limits.cpus == usual.cpus else f"{limits.cpus:g}",
            network="" if request.network == rules.network else request.network.value,
            at="date" if dated else request.at,
            date=request.at if dated else "",
            rebuild="yes" if request.rebuild else "",
        )

    @classmethod
    def of_link(cls, target: Target) -> LaunchForm:
        """Return the form that launches *target*, which a link names."""
        return cls(
            repository=written(replace(target.repo, version="HEAD"), target.environment),
            version="" if target.repo.version == "HEAD" else target.repo.version,
            opening=field_from(target.opening),
        )

    @property
    def advanced(self) -> bool:
        """Whether anything under "Advanced" is not as it comes."""
        more = (self.name, self.memory, self.cpus, self.network, self.at, self.rebuild)
        return any(more) or self.keep != "kept"


def request_from(
    form: LaunchForm, person: Person, rules: ServerSettings, *, retry: bool = False
) -> LaunchRequest:
    """Return the launch that *person* asks for with *form*, held to the operator's *rules*.

    Raises `AtollError` with a sentence about the first field that cannot be.
    """
    target = target_of(form.repository, form.version, form.opening)
    if form.name and not is_slug(form.name):
        raise BadRequest(
            f"“{form.name}” cannot be a server's name.",
            hint="Use up to 30 of a-z, 0-9 and single hyphens; begin with a letter.",
        )
    if form.keep not in {"kept", "temporary"}:
        raise BadRequest("A server is either kept or temporary.")
    return LaunchRequest(
        person=person,
        repo=target.repo,
        opening=target.opening,
        name=form.name,
        temporary=form.keep == "temporary",
        at=_index_date(form),
        retry=retry,
        limits=_limits(form, rules),
        network=_network(form.network, rules),
        typed=form.repository.strip(),
        environment=target.environment,
        rebuild=form.rebuild == "yes",
    )


def may_rebuild(person: Person | None, access: AccessSettings) -> bool:
    """Say whether *person* may have environments made anew, which others use as well."""
    if person is None or person.visitor:
        return False
    return person.admin or access.rebuild == "people"


def check_rebuild(wanted: LaunchRequest, person: Person | None, access: AccessSettings) -> None:
    """Raise `Refused` where *person* asks for an environment to be made anew, and may not."""
    if wanted.rebuild and not may_rebuild(person, access):
        raise Refused(
            "You may not have this environment made anew.",
            hint="Launch it as it is, or ask the operator.",
        )


def default_limits(rules: ServerSettings) -> Limits:
    """Return what a server gets when nobody asks for anything else."""
    return Limits(rules.cpus, parse_size(rules.memory), rules.processes)


def most_cpus(rules: ServerSettings) -> float:
    """Return how many processors are of use to ask for: no more than this machine has."""
    return min(rules.max_cpus, len(os.sched_getaffinity(0)))


def _limits(form: LaunchForm, rules: ServerSettings) -> Limits:
    try:
        memory = parse_size(form.memory or rules.memory)
    except ValueError as error:
        raise BadRequest(f"{error}.") from None
    try:
        cpus = float(form.cpus.replace(",", ".")) if form.cpus else rules.cpus
    except ValueError:
        cpus = 0.0
    most = parse_size(rules.max_memory)
    if memory > most:
        message = f"A server may have at most {most / GIB:g}G of memory here."
        raise BadRequest(message, hint="Ask for less, or ask the operator for more.")
    if not 0 < cpus < float("inf"):
        raise BadRequest(f"“{form.cpus}” is not a number of processors.", hint="Try 1 or 0.5.")
    if cpus > rules.max_cpus:
        message = f"A server may have at most {rules.max_cpus:g} processors here."
        raise BadRequest(message, hint="Ask for less, or ask the operator for more.")
    return Limits(cpus=cpus, memory=memory, processes=rules.processes)


def _network(asked: str, rules: ServerSettings) -> Network:
    if not asked:
        return Network(rules.network)
    if asked not in rules.networks and asked != rules.network:
        raise BadRequest(
            "That network policy is not offered here.",
            hint=f"Choose from: {', '.join(rules.networks)}.",
        )
    return Network(asked)


def _index_date(form: LaunchForm) -> str:
    if form.at != "date":
        if form.at not in {"", "today"}:
            raise BadRequest("The package index is either as then, as of today, or of a date.")
        return form.at
    try:
        asked = date.fromisoformat(form.date)
    except ValueError:
        raise BadRequest("Say of which date the package index is to be.") from None
    if asked > datetime.now(UTC).date():
        raise BadRequest("The package index of a day to come is not known yet.")
    return asked.isoformat()
