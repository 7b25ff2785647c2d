"""Acts: who did what to what, when and from where, since an operator must be able to find out.

Nothing secret is in an act: it names things, and what a person typed is cut and masked before it is
kept. Nobody changes one; the store only forgets those that are older than the operator wants.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

ATOLL = "atoll"  # who it was where nobody asked for it; no person can be called so
LONGEST = 500  # characters of each text of an act
DETAILS = 10  # of one act
WORDS = 200  # characters of one detail
# Who may have a password in an address: user:password@host, and ?token=… as JupyterHub has it.
SECRETS = re.compile(r"(?<=//)[^/\s@]+(?=@)|(?i:(?<=token=)|(?<=password=)|(?<=key=))[^&\s]+")
HIDDEN = "•••"

log = logging.getLogger(__name__)


class Way(StrEnum):
    """How somebody asked: in a browser, with a token, at a terminal; or nobody did."""

    PAGE = "page"
    PROGRAM = "program"
    COMMAND = "command"
    ITSELF = "itself"


@dataclass(frozen=True, slots=True)
class Act:
    """That *who* did *deed* to *what*.

    ``kind`` says what *what* names: a server (``PERSON/NAME``), volume, launch, person, link,
    environment. ``server`` is the one that it is about, if it is about one. ``who`` is "" where it
    is not known, as at a sign-in that failed. ``address`` is where the request came from, "" if
    from this machine.
    """

    who: str
    deed: str
    kind: str
    what: str
    server: str = ""
    way: Way = Way.PAGE
    address: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def clean(self) -> Act:
        """Return it with nothing secret, unprintable or endless in it."""
        some = list(self.detail.items())[:DETAILS]
        return Act(
            short(self.who),
            short(self.deed),
            short(self.kind),
            short(self.what),
            short(self.server),
            way=self.way,
            address=short(self.address, 64),
            detail={short(name, 40): short(str(value), WORDS) for name, value in some},
            at=self.at,
        )

    def told(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "who": self.who,
            "deed": self.deed,
            "kind": self.kind,
            "what": self.what,
            "server": self.server,
            "way": self.way.value,
            "address": self.address,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: each that is given must be true of an act.

    ``who`` did it, or has what it was done to; ``what`` is the deed, or a part of what it was done
    to; ``since`` is the earliest moment. ``before`` and ``after`` are numbers of acts, for the next
    page and for what has come meanwhile.
    """

    who: str = ""
    what: str = ""
    since: datetime | None = None
    before: int = 0
    after: int = 0
    limit: int = 100


class Book(Protocol):
    """What acts are written into."""

    async def add(self, act: Act) -> None:
        """Keep *act*, cleaned."""
        ...


class Acts(Book, Protocol):
    """Where acts are kept."""

    async def find(self, search: Search) -> Sequence[tuple[int, Act]]:
        """Return what *search* is true of, with the numbers, the newest first."""
        ...

    async def prune(self, before: datetime) -> None:
        """Forget what happened before that moment."""
        ...


async def note(book: Book, act: Act, *, must: bool = False) -> None:
    """Write *act* down. Where that fails, the log says so and life goes on, unless it *must* be.

    What an operator does with other people's things must be: it is written down before it is done.
    """
    try:
        await book.add(act)
    except Exception:
        known = act.clean()
        log.exception("NOT WRITTEN DOWN: %s: %s %s", known.who, known.deed, known.what)
        if must:
            raise


def short(text: str, most: int = LONGEST) -> str:
    """Return *text* in one printable line of at most *most* characters, without a password."""
    line = "".join(c if c.isprintable() else " " for c in SECRETS.sub(HIDDEN, text))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def sender(forwarded: Iterable[str], seen: str, proxies: int = 0) -> str:
    """Return the address of whoever asks, as the outermost of the operator's *proxies* saw it.

    Each proxy appends what it saw to X-Forwarded-For, which is *forwarded*: the last entry is our
    own proxy's word, the *proxies* before it are the operator's, and all before those are the
    visitor's. Who came past some of the proxies is who the first of the fewer entries says; *seen*
    is who is at the other end of the connection, where there is no header.
    """
    entries = [one.strip() for one in ",".join(forwarded).split(",")]
    return seen if entries == [""] else entries[-min(proxies + 1, len(entries))]
