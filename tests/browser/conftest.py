from __future__ import annotations

import pytest

from support.chromium import chromium


@pytest.fixture(scope="module")
def browser():
    """Chromium. Per module: while Playwright runs, no other event loop can."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser):
    """A page of a fresh profile, in which every script error fails the test."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors
