"""Queue: who waits for a turn, in which order, and what they are told of it.

First come, first served, in rounds: in each of them everybody has one turn, so that who asks for
ten things at once holds nobody up (start-time fair queueing, in which every turn counts the same).
There are no time-outs but the one that an operator sets.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from atoll.errors import Busy

LOOK = 1.0  # seconds between two looks at whether there is room, while somebody waits
QUIET = 3.0  # seconds between two words to the same person: three hundred may be waiting
MEASURED = 20  # turns, the newest, whose median says how long the next ones will take


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody's place in line: ``number`` is 1 for who comes next.

    ``seconds`` is about how long it takes until what is waited for is there, ``None`` if nobody
    can know; ``why`` says what is short, if it is more than that others come first.
    """

    number: int
    seconds: float | None = None
    why: str = ""

    def __str__(self) -> str:
        """Say it to whoever waits."""
        where = f"You are {'next' if self.number == 1 else ordinal(self.number)} in line"
        if self.why:
            return f"{where}. {self.why}"
        return f"{where}; {about(self.seconds)}." if self.seconds is not None else f"{where}."


@dataclass(frozen=True, slots=True)
class Bound:
    """That now only ``room`` more may have their turn; ``why`` is for those who may not."""

    room: int
    why: str = ""


Tell = Callable[[Place], None]
Bounds = Callable[[int], Sequence[Bound]]


@dataclass(slots=True, eq=False)
class _Ticket:
    whose: str
    number: int
    tell: Tell
    turn: asyncio.Future[None]
    told: Place | None = None
    told_at: float = 0.0

    def hear(self, place: Place) -> None:
        """Tell *place*, if that is news and the last word is not too fresh."""
        now = time.monotonic()
        if place != self.told and (self.told is None or now - self.told_at >= QUIET):
            self.told, self.told_at = place, now
            self.tell(place)


@dataclass(slots=True)
class Queue:
    """Lets so many in at once: ``width``, and no more than any of ``bounds`` has room for.

    ``bounds`` is called with how many have their turn now. ``patience`` is how many seconds
    anybody waits at most. A turn that is cancelled, waiting or not, leaves nothing behind.
    """

    width: int
    bounds: Bounds = lambda _: ()
    patience: float | None = None
    _waiting: list[_Ticket] = field(default_factory=list)  # in the order in which they came
    _inside: list[_Ticket] = field(default_factory=list)
    _took: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _round: int = 0  # of the newest turn
    _next: dict[str, int] = field(default_factory=dict)  # whose next turn is in which later round
    _usher: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, whose: str, tell: Tell) -> AsyncIterator[None]:
        """Wait until it is *whose* turn, telling *tell* where in line that is; hold it inside.

        Raises `Busy` when patience is at its end.
        """
        ticket = _Ticket(whose, next(self._numbers), tell, _future())
        self._waiting.append(ticket)
        try:
            self.look()
            if not ticket.turn.done():
                await self._wait(ticket)
            begun = time.monotonic()
            yield
            self._took.append(time.monotonic() - begun)  # of a turn that came to its end only
        finally:
            for those in (self._waiting, self._inside):
                if ticket in those:
                    those.remove(ticket)
            self.look()

    def look(self) -> None:
        """Let in whoever there is room for; to be called when there may be more room."""
        while self._waiting and min(one.room for one in self._bounds()) > 0:
            rounds = self._rounds()
            if not rounds:  # all are just leaving
                return
            first, self._round = next(iter(rounds.items()))
            self._next[first.whose] = self._round + 1
            self._next = {who: at for who, at in self._next.items() if at > self._round}
            self._waiting.remove(first)
            self._inside.append(first)
            first.turn.set_result(None)

    async def _wait(self, ticket: _Ticket) -> None:
        self._tell()
        if self._usher is None or self._usher.done():
            self._usher = asyncio.create_task(self._attend(), name="queue")
        try:
            await asyncio.wait_for(ticket.turn, self.patience)
        except TimeoutError:
            raise Busy(
                f"You have waited for {words(self.patience or 0)}, and there was no room.",
                hint="Try again later, or ask the operator of this service for more room.",
            ) from None

    async def _attend(self) -> None:
        while self._waiting:
            await asyncio.sleep(LOOK)
            self.look()
            self._tell()

    def _tell(self) -> None:
        bounds = self._bounds()[1:]
        for index, ticket in enumerate(self._rounds()):
            short = next((one.why for one in bounds if index >= one.room), "")
            ticket.hear(Place(index + 1, None if short else self._estimate(index), short))

    def _bounds(self) -> list[Bound]:
        inside = len(self._inside)
        return [Bound(self.width - inside), *self.bounds(inside)]

    def _rounds(self) -> dict[_Ticket, int]:
        """Return in which round it is whose turn, for all who wait, the next one first."""
        later = dict(self._next)
        rounds: dict[_Ticket, int] = {}
        for ticket in self._waiting:
            if not ticket.turn.done():  # else it is leaving
                rounds[ticket] = later.get(ticket.whose, self._round)
                later[ticket.whose] = rounds[ticket] + 1
        return dict(sorted(rounds.items(), key=lambda item: (item[1], item[0].number)))

    def _estimate(self, index: int) -> float | None:
        """Return the seconds until the turn of who has *index* before them is over, rounded."""
        if not self._took:
            return None
        return rounded(statistics.median(self._took) * (1 + (index + 1) / self.width))


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def ordinal(number: int) -> str:
    """Return *number* as one says it: 1st, 2nd, 3rd, 4th."""
    teen = number % 100 in {11, 12, 13}
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def rounded(seconds: float) -> float:
    """Return *seconds* no more exactly than anybody can know them."""
    step = next((step for most, step in ((30, 5), (90, 10), (3600, 60)) if seconds <= most), 600)
    return max(5.0, float(round(seconds / step) * step))


def about(seconds: float) -> str:
    """Say how long *seconds* are, for a person who waits that long."""
    return f"about {words(rounded(seconds))}"


def words(seconds: float) -> str:
    """Write *seconds* in the unit that fits."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length or seconds == length:
            number = f"{seconds / length:.1f}".removesuffix(".0")
            return f"{number} {unit}{'s' * (number != '1')}"
    return f"{seconds:.0f} second{'s' * (seconds != 1)}"
