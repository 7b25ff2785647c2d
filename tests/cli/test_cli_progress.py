from __future__ import annotations

from atoll.cli.progress import Progress
from atoll.events import Event


def test_where_nobody_watches_lines_are_plain_and_details_stand_apart(capsys):
    with Progress() as progress:
        progress.tell(Event("build", "Building"))
        progress.tell(Event("build", "- Validating: \x1b[32mOK\x1b[0m", detail=True))
    assert capsys.readouterr().err == "Building\n  - Validating: OK\n"
