"""What several verbs share."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from rich.table import Table

from atoll.cli.common import print_table

KEY = "29e2f0270648be3e81a9"
ROW = (KEY, *["some words of a row"] * 9)


def table() -> Table:
    made = Table(box=None)
    made.add_column("Key", no_wrap=True)
    for name in "abcdefghi":
        made.add_column(name)
    made.add_row(*ROW)
    return made


def test_a_script_reads_whole_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(table())
    assert capsys.readouterr().out.splitlines()[1].split() == " ".join(ROW).split()


def test_a_narrow_terminal_folds_words_and_keeps_keys_whole() -> None:
    ours, theirs = pty.openpty()
    code = "import test_common as t; t.print_table(t.table())"
    where = {**os.environ, "COLUMNS": "80", "PYTHONPATH": os.path.dirname(__file__)}
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=where, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert KEY in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80  # the headings are bold
