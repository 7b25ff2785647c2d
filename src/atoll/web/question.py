"""Question: what a person is shown of somebody's link before it runs, and what they answered."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from atoll.allowances import ends
from atoll.launching import LaunchRequest
from atoll.launching.confirming import marks, may_be_trusted
from atoll.launching.lacks import lacks
from atoll.launching.wishes import Wishes
from atoll.people import Person
from atoll.sources import Target
from atoll.web.acts import note_act
from atoll.web.arriving import whence
from atoll.web.sign_in import Session, posted
from atoll.web.site import site_of

LONGEST = 2300  # characters of what is trusted


@dataclass(frozen=True, slots=True)
class Question:
    """What is said of a link: where it was, what it would launch, and whether that is trusted.

    ``may_trust`` is false where the question is to be asked each time. ``lacks`` are sentences
    about what it asks for and does not get; ``lifetime`` and ``idle`` are the seconds after which
    its server is stopped, 0 for never.
    """

    whence: str
    request: LaunchRequest
    may_trust: bool
    trusted: bool
    lacks: tuple[str, ...] = ()
    lifetime: float = 0
    idle: float = 0


async def question_of(
    request: Request, session: Session, target: Target, wishes: Wishes
) -> Question:
    """Return what to ask *session*'s person about a link to *target* with *wishes*.

    Raises `BadRequest` for a wish that cannot be.
    """
    site = site_of(request)
    rules, person = await site.atoll.allowances.of(session.person), session.person or Person("")
    wanted = wishes.request(target, person, rules, typed="")
    may_trust = may_be_trusted(target, wishes, rules)
    trusted = may_trust and {*marks(target)} <= {*await site.atoll.store.trusts.all(person.name)}
    lacking = tuple(lacks(wanted, site.atoll.runner.gpus()))
    stops = ends(rules, wanted.ends.lifetime, wanted.ends.idle)
    return Question(whence(request), wanted, may_trust, trusted, lacking, *stops)


async def trust(request: Request, wanted: LaunchRequest) -> None:
    """Ask no more about what is *wanted*, by whoever wants it."""
    site = site_of(request)
    target = Target(wanted.repo, wanted.opening, wanted.environment)
    for mark in marks(target):
        if len(mark) <= LONGEST:
            await site.atoll.store.trusts.put(wanted.person.name, mark)
            await note_act(request, wanted.person.name, "trust", "link", mark)


async def ask_again(request: Request) -> Response:
    """POST trusted/drop: ask about the links of ``what`` again."""
    session, sent = await posted(request)
    site = site_of(request)
    what = str(sent.get("what", ""))[:LONGEST]
    await site.atoll.store.trusts.drop(session.name, what)
    await note_act(request, session.name, "ask again", "link", what)
    return RedirectResponse(f"{site.place.prefix}servers#trusted", 303)
