"""Messages: what an operator tells people on the pages that they have open anyway.

A message is plain text for everybody, a group or a person, until a moment or until it is taken
back; each person may put it away for themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from atoll.access import HUB, Party, party
from atoll.acts import ATOLL
from atoll.errors import BadRequest
from atoll.names import is_slug
from atoll.people import Person
from atoll.quantities import moment_or_span

LONGEST = 500  # characters of a text
FARTHEST = timedelta(days=3660)
REMEMBERED = timedelta(days=30)  # for which one that has ended is kept


class Level(StrEnum):
    """How loud it is: something to know, or something that one should not miss."""

    NOTICE = "notice"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Message:
    """What an operator, *by*, tells *whom*; about ``server``, PERSON/NAME, if it is about one.

    ``number`` is the store's. It is shown before ``until``, or until it is taken back.
    """

    whom: Party
    text: str
    level: Level
    by: str
    until: datetime | None = None
    server: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    number: int = 0

    def goes_to(self, person: Person | None) -> bool:
        """Say whether *person* is to see it; who has not signed in sees what is for everybody."""
        if person is None or person.visitor:
            return self.whom == HUB
        return self.whom.has(person)


class Messages(Protocol):
    """Where messages are kept."""

    async def add(self, message: Message) -> Message:
        """Keep *message* and return it with its number; forget those that ended long ago."""
        ...

    async def live(self, now: datetime) -> Sequence[Message]:
        """Return those that have not ended, the newest first."""
        ...

    async def end(self, number: int, now: datetime) -> Message | None:
        """Take that one back; return it, or ``None`` if there is no such one, or not any more.

        What Atoll itself tells stays until its end.
        """
        ...

    async def dismiss(self, number: int, person: str) -> None:
        """Show it to *person* no more; it may be gone."""
        ...

    async def dismissed(self, person: str) -> Collection[int]:
        """Return the numbers of those that *person* has put away."""
        ...

    async def forget(self, whom: Party) -> None:
        """Forget what was told to *whom*, who is no more, and what they put away."""
        ...


def message_from(
    whom: str, text: str, by: str, *, level: str = "", until: str = "", now: datetime | None = None
) -> Message:
    """Return the message that these words mean; *whom* is ``@``, ``@maths``, ``ada`` or ``ada/x``.

    *until* is a day, a moment (2026-11-22T18:00, in UTC if it does not say), or so long from now
    (2h). Raises `BadRequest`.
    """
    said = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not said or len(said) > LONGEST:
        raise BadRequest(f"A message has between 1 and {LONGEST} characters.")
    try:
        loud = Level(level or Level.NOTICE)
    except ValueError:
        levels = ", ".join(Level)
        raise BadRequest("There is no such level.", hint=f"There are {levels}.") from None
    owner, slash, name = whom.partition("/")
    if slash and (not is_slug(name) or owner.startswith("@")):
        raise BadRequest("That is no server.", hint="Write PERSON/SERVER.")
    to = HUB if whom == "@" else party(owner)
    now = now or datetime.now(UTC)
    return Message(to, said, loud, by, _moment(until, now), whom if slash else "", now)


def message_of_operator(operator: str, did: str, whom: str, rest: str) -> Message:
    """Return what Atoll tells *whom* when *operator* *did* something with what is theirs.

    It is nobody's to take back, least of all theirs who did it.
    """
    now = datetime.now(UTC)
    when = f"{now.day} {now:%B %Y}, {now:%H:%M} UTC"
    text = f"{operator}, an operator of this hub, {did} on {when}. {rest}"
    return message_from(whom, text, ATOLL, until=str(REMEMBERED.total_seconds()), now=now)


def _moment(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        found = moment_or_span(text)
        found = found if isinstance(found, datetime) else now + found
    except (ValueError, OverflowError):
        message = "That is neither a moment nor a duration."
        hint = "Write 2026-11-22T18:00, in UTC, or 2h for two hours from now."
        raise BadRequest(message, hint=hint) from None
    if not now < found < now + FARTHEST:
        raise BadRequest("A message ends in the future, within ten years.")
    return found
