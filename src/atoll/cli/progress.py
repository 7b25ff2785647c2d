"""Progress: what a person at a terminal sees of a launch while it goes on."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

from atoll.events import Event
from atoll.plain import plain

WORDS = {
    "resolve": "Look up",
    "fetch": "Fetch",
    "build": "Build",
    "wait": "Wait",
    "start": "Start",
    "check": "Check",
}
TAIL = 6  # lines of the log that are shown while a phase goes on
INDENT = 10  # columns before a note: it stands below its phase's title


class Progress:
    """Draws phases, times, notes and the end of the log; plain lines where nobody watches.

    Use as a context manager; ``tell`` is what a `Launcher` wants. What is drawn is replaced as a
    whole and never changed, as another thread draws it again and again, so that clocks tick.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._spinner = Spinner("dots")
        self._phase = ""
        self._said = ""
        self._begun = time.monotonic()
        self._notes: tuple[str, ...] = ()
        self._tail: tuple[str, ...] = ()
        self._live = Live(
            console=self._console,
            refresh_per_second=8,
            transient=True,
            get_renderable=self._drawing,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
            self._finish(failed=error is not None)

    def tell(self, event: Event) -> None:
        """Show *event*."""
        if event.phase != self._phase:
            self._finish()
            self._phase, self._begun = event.phase, time.monotonic()
        message = plain(event.message)
        if event.detail:
            self._tail = (*self._tail, message)[-TAIL:]
        elif event.note:
            self._notes = (*self._notes, message)
        else:
            self._said = message
        if not self._console.is_terminal:
            self._console.print(Text(("  " if event.detail else "") + message), soft_wrap=True)

    def _finish(self, *, failed: bool = False) -> None:
        if self._phase in WORDS and self._console.is_terminal:
            mark = ("✗ ", "red") if failed else ("✓ ", "green")
            took = f"  {time.monotonic() - self._begun:.1f} s"
            line = Text.assemble(mark, f"{WORDS[self._phase]:8}", self._said, (took, "dim"))
            self._live.console.print(line)
            self._live.console.print(*_below(self._notes), end="")
        self._phase = self._said = ""
        self._notes = self._tail = ()

    def _drawing(self) -> RenderableType:
        elapsed = f"{time.monotonic() - self._begun:.0f} s"
        word = WORDS.get(self._phase, "")
        self._spinner.update(text=Text.assemble(f"{word:8}", self._said, (f"  {elapsed}", "dim")))
        lines = [
            Text("  " + line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._tail
        ]
        return Group(self._spinner, *_below(self._notes), *lines)


def _below(notes: tuple[str, ...]) -> list[RenderableType]:
    return [Padding(Text(note), (0, 0, 0, INDENT)) for note in notes]
