"""Launch form: from a form's fields to a checked request, and back to fill it in again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from atoll.errors import BadRequest, Refused
from atoll.launching import LaunchRequest
from atoll.launching.wishes import Wishes
from atoll.people import Person
from atoll.settings.sections import AccessSettings, ServerSettings
from atoll.sources import Target, written
from atoll.web.links import field_from
from atoll.web.recognition import target_of

DATE = "date"
THINGS, OTHERS = ("volumes", "network"), ("people", "visitors")  # that a launch may reach


@dataclass(frozen=True, slots=True)
class LaunchForm:
    """The form's fields, as text, exactly as a person filled them in.

    Those that `Wishes` knows are as there, but for ``at``, which is "", "today" or "date": then
    ``date`` says which. ``rebuild`` is "" or "yes".
    """

    repository: str = ""
    version: str = ""
    opening: str = ""
    name: str = ""
    temporary: str = ""
    memory: str = ""
    cpus: str = ""
    network: str = ""
    volumes: str = ""
    people: str = ""
    visitors: str = ""
    at: str = ""
    date: str = ""
    rebuild: str = ""
    title: str = ""
    lifetime: str = ""
    idle: str = ""
    gpus: str = ""
    credentials: str = ""

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
        form = cls(
            repository=typed,
            version="" if request.repo == said.repo else request.repo.version,
            opening="" if request.opening == said.opening else field_from(request.opening),
            rebuild="yes" if request.rebuild else "",
        )
        return form.wishing(Wishes.of(request, rules))

    @classmethod
    def of_link(cls, target: Target, wishes: Wishes) -> LaunchForm:
        """Return the form that launches *target* with *wishes*, which a link names."""
        form = cls(
            repository=written(replace(target.repo, version="HEAD"), target.environment),
            version="" if target.repo.version == "HEAD" else target.repo.version,
            opening=field_from(target.opening),
        )
        return form.wishing(wishes)

    def wishing(self, wishes: Wishes) -> LaunchForm:
        """Return this form with *wishes* filled in."""
        asked = wishes.asked()
        if wishes.at not in {"", "today"}:
            asked |= {"at": DATE, "date": wishes.at}
        return replace(self, **asked)

    @property
    def wishes(self) -> Wishes:
        """What is asked for besides the repository; what a pasted link asks for, where it is not.

        Raises `BadRequest` if a day is to be said and is not.
        """
        if self.at == DATE and not self.date:
            raise BadRequest("Say of which date the package index is to be.")
        mine = Wishes.read(
            {one.name: getattr(self, one.name) for one in fields(Wishes)}
            | ({"at": self.date} if self.at == DATE else {})
        )
        return Wishes(**{**Wishes.of_link(self.repository).asked(), **mine.asked()})

    @property
    def unseen(self) -> set[str]:
        """The names of what a link that was pasted asks for, and the form's own fields do not say.

        Of what reaches files, a network or people: whoever made the link has chosen these.
        """
        asked = self.wishes
        reached = THINGS + OTHERS
        mine = Wishes.read({name: getattr(self, name) for name in reached})
        return {name for name in reached if getattr(asked, name) != getattr(mine, name)}

    @property
    def advanced(self) -> bool:
        """Whether anything under "Advanced" is not as it comes."""
        known = (getattr(self, one.name) for one in fields(Wishes))
        return any((*known, self.rebuild))


def request_from(form: LaunchForm, person: Person, rules: ServerSettings) -> LaunchRequest:
    """Return the launch that *person* asks for with *form*, held to the operator's *rules*.

    Raises `AtollError` with a sentence about the first field that cannot be.
    """
    target = target_of(form.repository, form.version, form.opening)
    asked = form.wishes.request(target, person, rules, typed=form.repository.strip())
    return replace(asked, rebuild=form.rebuild == "yes")


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


def most_cpus(rules: ServerSettings) -> float:
    """Return how many processors are of use to ask for: no more than this machine has."""
    return min(rules.max_cpus, len(os.sched_getaffinity(0)))
