from __future__ import annotations

import contextlib
import os
import pty
import re
import sys

from atoll.cli.progress import Progress
from atoll.events import Event


def test_where_nobody_watches_lines_are_plain_and_details_stand_apart(capsys):
    with Progress() as progress:
        progress.tell(Event("build", "Building"))
        progress.tell(Event("build", "- Validating: \x1b[32mOK\x1b[0m", detail=True))
    assert capsys.readouterr().err == "Building\n  - Validating: OK\n"


NOTES = """
import time
from atoll.cli.progress import Progress
from atoll.events import Event
with Progress() as progress:
    progress.tell(Event("build", "Building"))
    progress.tell(Event("build", "a line of the log", detail=True))
    time.sleep(1.4)
    progress.tell(Event("build", "Built"))
    progress.tell(Event("build", "The first note.", note=True))
    progress.tell(Event("build", "The second note.", note=True))
    progress.tell(Event("start", "Starting"))
"""


def at_a_terminal(program):
    """Run *program* at a terminal of 80 columns; return all that it wrote."""
    child, terminal = pty.fork()
    if not child:  # pragma: no cover - another process
        os.environ.update(TERM="xterm", COLUMNS="80", NO_COLOR="1")
        os.execv(sys.executable, [sys.executable, "-c", program])
    said = b""
    with contextlib.suppress(OSError):  # a terminal whose program has ended cannot be read
        while part := os.read(terminal, 4096):
            said += part
    os.close(terminal)
    assert os.waitpid(child, 0)[1] == 0, said
    return said.decode()


def test_at_a_terminal_clocks_tick_and_every_note_stays_below_its_phase():
    said = at_a_terminal(NOTES)
    assert {"0", "1"} <= set(re.findall(r"Building\S*  (\d) s", said))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    lines = [line.strip("\r ").rpartition("\r")[2] for line in plain.split("\n")]
    texts = [line.strip() for line in lines if re.search(r"✓|note", line)]
    # What is drawn again and again stands among these, too.
    assert [text for text in texts[:-3] if re.match(r"✓ Build   Built  [1-9]\.\d s$", text)]
    assert texts[-3:-1] == ["The first note.", "The second note."]
    assert re.match(r"✓ Start   Starting  \d\.\d s$", texts[-1])
