"""The page of `atoll check`, as a browser shows the file."""

from __future__ import annotations

from atoll.cli.reports import Report, Trial, render
from atoll.engines.local.trials import Difference, Found, Shown
from support.chromium import check_everywhere


def test_what_differs_is_shown_side_by_side(page, tmp_path):
    stored, found = (Shown(kind="text/plain", value=text) for text in ("1.0", "1.1"))
    why = "The result differs."
    difference = Difference(cell=3, source="mean()", why=why, stored=(stored,), found=(found,))
    same = Found(notebook="notes/a.ipynb", state="same")
    differs = Found(notebook="b.ipynb", state="differs", differing=1, compared=4,
                    differences=(difference,))  # fmt: skip
    fails = Found(notebook="c.ipynb", state="fails", error="KeyError: 'x'", source="y['x']", cell=1)
    trials = (
        Trial("then", "", "2019-01-01", "3.7.16", "k", (), (same, same, fails)),
        Trial("today", "", "2026-11-01", "3.13.0", "l", ("A note.",), (same, differs, fails)),
    )
    file = tmp_path / "check.html"
    file.write_text(render(Report("gh:ada/engine", "c0ffee", "2019-01-01T00:00:00", trials)))
    page.goto(file.as_uri())
    assert not page.get_by_text("1.1", exact=True).is_visible()
    page.get_by_text("differs b.ipynb").click()
    assert page.get_by_role("heading", name="Cell 4: The result differs.").is_visible()
    left, right = (page.get_by_text(text, exact=True).bounding_box() for text in ("1.0", "1.1"))
    assert left["y"] == right["y"]
    assert left["x"] < right["x"]
    check_everywhere(page, "check")
