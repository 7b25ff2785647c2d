"""Two people in one server: it is shared, they edit one notebook at once, and one may only look."""

from __future__ import annotations

import json

import pytest

from support.chromium import check_everywhere, keep_picture
from support.hub import eventually
from support.stories import hub_beside, notebook, signed_in, tell


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, and the address of a repository."""
    lab = {"runtime.txt": "python-3.11\n", "intro.ipynb": json.dumps(notebook(""))}
    with hub_beside(tmp_path_factory, {"lab": lab}, "grace", "vera") as (one, _, base):
        yield one, f"{base}/lab"


def enter(page, one):
    """Open the shared server, and let it know who one is."""
    page.goto(f"{one.home}/services/atoll/servers")
    page.get_by_role("link", name="Open lab of admin").click()
    page.get_by_role("button", name="Authorize").click()
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.wait_for()


def let_in(admin, one):
    """Share the server with grace by name, and by a link with whoever has it; return the link."""
    admin.goto(f"{one.home}/services/atoll/servers")
    admin.get_by_role("link", name="People in lab").click()
    admin.get_by_label("Person or group").fill("grace")
    admin.get_by_label("They may").select_option("run")
    admin.get_by_role("button", name="Let them in").click()
    admin.get_by_text("They are let in.").wait_for()
    admin.get_by_label("Who opens it may").select_option("view")
    admin.get_by_role("button", name="Make a link").click()
    link = admin.get_by_label("Send this link").input_value()
    check_everywhere(admin, "people")
    tell(admin, "together-people")
    admin.goto(f"{one.home}/services/atoll/servers/lab/people")
    admin.get_by_role("button", name="Restart it now").click()
    admin.wait_for_url("**/user/admin/lab/lab/tree/intro.ipynb")
    return link


def take_back(admin, grace, vera, one):
    """Let vera in no more, and grace look only; it counts at once for what they have open."""
    admin.goto(f"{one.home}/services/atoll/servers/lab/people")
    check_everywhere(admin, "people-several")
    admin.get_by_role("button", name="Take back what vera may do").click()
    admin.get_by_text("They are not let in any more.").wait_for()
    admin.get_by_label("Person or group").fill("grace")
    admin.get_by_label("They may").select_option("view")
    admin.get_by_role("button", name="Let them in").click()
    admin.get_by_text("grace may look at it").wait_for()
    lab = f"{one.home}/user/admin/lab"
    eventually(lambda: vera.request.get(f"{lab}/api/contents").status == 403, 20)
    eventually(lambda: grace.request.get(f"{lab}/nbconvert/html/intro.ipynb").status == 403, 20)
    assert grace.request.get(f"{lab}/api/contents").status == 200


def test_two_people_edit_and_run_one_notebook_and_a_third_looks(browser, hub):
    one, repository = hub
    admin = signed_in(browser, one, "admin")
    grace, vera = signed_in(browser, one, "grace"), signed_in(browser, one, "vera")

    admin.get_by_label("Repository", exact=True).fill(repository)
    admin.get_by_label("Open", exact=True).fill("intro.ipynb")
    admin.get_by_role("button", name="Launch", exact=True).click()
    admin.wait_for_url("**/user/admin/lab/lab/tree/intro.ipynb")
    link = let_in(admin, one)
    vera.goto(link)
    keep_picture(vera, "people-accept-link")
    vera.get_by_role("button", name="Accept").click()
    grace.goto(f"{one.home}/services/atoll/servers")
    check_everywhere(grace, "people-shared-with-me")
    enter(grace, one)
    enter(vera, one)

    admin.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    admin.keyboard.type("x = 6 * 7; x")
    grace.locator(".cm-content").get_by_text("x = 6 * 7; x").wait_for()
    grace.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    grace.get_by_text("| Idle").wait_for()
    grace.keyboard.press("Shift+Enter")
    for page, name in ((grace, "grace"), (admin, "admin"), (vera, "vera")):
        page.locator(".jp-OutputArea-output").get_by_text("42").first.wait_for()
        tell(page, f"together-{name}")

    vera.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    vera.keyboard.type("# from vera ")
    admin.keyboard.type("# from admin")
    grace.locator(".cm-content").get_by_text("from admin").wait_for()
    assert "from vera" not in grace.locator(".jp-Notebook").inner_text()
    vera.get_by_text("notebook is read-only").wait_for()
    file = one.places.data / "volumes" / "admin" / "lab" / "home" / "intro.ipynb"
    eventually(lambda: "from admin" in file.read_text(), 20)
    assert "from vera" not in file.read_text()
    take_back(admin, grace, vera, one)
    one.api("DELETE", "users/admin/servers/lab")
    eventually(lambda: one.server("admin", "lab").get("stopped"))
    grace.goto(f"{one.home}/user/admin/lab/")
    grace.get_by_text("admin let you into it.").wait_for()
    check_everywhere(grace, "people-not-running")
    assert grace.get_by_role("link", name="Start lab").count() == 0
    assert grace.get_by_text("admin", exact=True).count() == 0  # it is not she
    for page in (admin, grace, vera):
        page.context.close()
