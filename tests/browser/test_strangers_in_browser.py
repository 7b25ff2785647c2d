"""What strangers write, and whose a launch is, in a real browser."""

from __future__ import annotations

import pytest

from atoll.errors import BuildFailed
from support.chromium import check_everywhere
from support.one_host import joined, serving
from support.web_service import REPO, make_service

PREFIX = "/services/atoll/"
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "\"'><svg/onload=alert(3)>",
    "</pre><iframe src=javascript:alert(4)>",
]


@pytest.fixture
def service(tmp_path):
    return make_service(tmp_path)


@pytest.fixture
def url(service):
    with serving(joined(service)) as address:
        yield address


def test_no_script_of_a_log_an_error_or_a_field_runs(page, url, service):
    dialogs, wanted = [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: wanted.append(request.url))
    service.engine.builder.lines = HOSTILE
    service.engine.builder.pause = 0.2
    service.engine.builder.error = BuildFailed(HOSTILE[0], hint=HOSTILE[1])
    page.goto(url + PREFIX)
    for word in HOSTILE:
        page.get_by_label("Repository", exact=True).fill(f"https://example.org/{word}")
        page.locator("#recognised .note").wait_for()
        page.get_by_label("Repository", exact=True).fill("")
    page.get_by_label("Repository", exact=True).fill(REPO)
    page.get_by_role("button", name="Launch", exact=True).click()
    page.locator("#log").get_by_text(HOSTILE[2]).wait_for()  # written by the page's script
    page.get_by_role("alert").get_by_text(HOSTILE[0]).wait_for()  # and in the page that says it
    assert page.locator("main img, main iframe, main script, main svg[onload]").count() == 0
    assert dialogs == []
    assert [one for one in wanted if one.endswith("/x")] == []


def test_an_operator_sees_how_somebodys_launch_goes_and_can_only_cancel_it(browser, url, service):
    service.hub.signed_in = "bob"
    service.engine.builder.pause = 30
    theirs = browser.new_context().new_page()
    theirs.goto(url + PREFIX)
    theirs.get_by_label("Repository", exact=True).fill(REPO)
    theirs.get_by_role("button", name="Launch", exact=True).click()
    theirs.get_by_role("button", name="Cancel").wait_for()
    service.hub.signed_in = "ada"
    page = browser.new_context().new_page()
    page.goto(theirs.url)
    page.get_by_text("This is a launch of bob’s.").wait_for()
    check_everywhere(page, "launch-of-somebody")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alert").get_by_text("Cancelled.").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0
    theirs.get_by_role("button", name="Try again").wait_for()
    for one in (page, theirs):
        one.context.close()
