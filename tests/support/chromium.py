"""Chromium, without a screen, driven by Playwright; and what axe says of a page."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

# The first is the same without what draws windows, which takes two thirds of the processor's time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Nothing that would ask hosts outside; as root, Chromium's own sandbox cannot be had.
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
LOOKS = [("light", 1200), ("dark", 1200), ("light", 320), ("dark", 320)]
ARTEFACTS = Path(__file__).parent.parent / "artefacts"


def program() -> str:
    """Return where Chromium is."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise AssertionError("The browser tests need it: apt-get install chromium-headless-shell")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser."""
    options = [*QUIET, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=options)
        try:
            yield browser
        finally:
            browser.close()


def check_accessible(page: Page, exclude: str = "") -> None:
    """Assert that axe finds nothing wrong with *page*, but for what *exclude* selects."""
    options = {"runOnly": {"type": "tag", "values": WCAG}}
    context = {"exclude": [[exclude]]} if exclude else None
    found = Axe().run(page, context=context, options=options).response["violations"]
    lines = [
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in found
        for node in one["nodes"]
    ]
    assert not lines, "\n".join([page.url, *lines])


def check_everywhere(page: Page, name: str) -> None:
    """Look at *page* in light and dark, wide and narrow, with axe and for people."""
    before = page.viewport_size
    page.wait_for_load_state()  # whoever has just followed a link may have half a page
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        check_accessible(page)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0, f"{name} is too wide for {width} pixels"
        keep_picture(page, f"{name}-{scheme}-{width}")
    page.set_viewport_size(before)


def keep_picture(page: Page, name: str) -> None:
    """Keep a picture of *page* among the test run's artefacts, for people to look at."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)
