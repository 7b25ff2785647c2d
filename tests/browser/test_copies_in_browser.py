"""A visitor without an account opens a copy of a server, and the server notices nothing of it."""

from __future__ import annotations

import json
import os

import pytest

from atoll.engines.local.mounting import owner as volumes_owner
from support.chromium import check_everywhere
from support.hub import eventually
from support.stories import hub_beside, new_page, notebook, signed_in, tell

LOBBY = "services/atoll/sign-in"  # without it, one is a visitor here
ATTACK = "open('data/numbers.csv', 'w')"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, which lets visitors in, and the address of a repository."""
    lab = {"runtime.txt": "python-3.11\n", "intro.ipynb": json.dumps(notebook(""))}
    with hub_beside(tmp_path_factory, {"lab": lab}, "grace", access={"anonymous": True}) as (
        one,
        _,
        base,
    ):
        yield one, f"{base}/lab"


def launch(admin, one, repository):
    """Launch it with a volume, for grace as well; and leave something in both."""
    admin.goto(f"{one.home}/services/atoll/volumes")
    admin.get_by_label("Name").fill("course")
    admin.keyboard.press("Enter")
    admin.get_by_text("Volume course was made.").wait_for()
    [volume] = (one.places.data / "named-volumes").iterdir()
    numbers = volume / "numbers.csv"
    numbers.write_text("1,2,3\n")
    if volumes_owner() is not None:
        os.chown(numbers, volumes_owner(), volumes_owner())
    admin.goto(f"{one.home}/services/atoll/")
    admin.get_by_label("Repository", exact=True).fill(repository)
    admin.get_by_label("Open", exact=True).fill("intro.ipynb")
    admin.get_by_text("Advanced", exact=True).click()
    admin.get_by_role("button", name="Add a volume").click()
    admin.get_by_label("Volume 1", exact=True).select_option("course")
    admin.get_by_label("Folder for volume 1").fill("data")
    admin.get_by_label("People").fill("grace:view")
    admin.locator("#share").wait_for()
    check_everywhere(admin, "launch-form-people")
    admin.get_by_role("button", name="Launch", exact=True).click()
    admin.wait_for_url("**/user/admin/lab/lab/tree/intro.ipynb")
    home = one.places.data / "volumes" / "admin" / "lab" / "home"
    (home / ".netrc").write_text("password")
    return home, numbers


def watch_together(admin, grace, one, notebook):
    """Type in the notebook, which grace sees at once, as the server was shared from its start."""
    grace.goto(f"{one.home}/services/atoll/servers")
    grace.get_by_role("link", name="Open lab of admin").click()
    grace.get_by_role("button", name="Authorize").click()
    cell = ".jp-Notebook .jp-CodeCell .cm-content"
    grace.locator(cell).first.wait_for()
    admin.locator(cell).first.click()
    admin.keyboard.type("# of admin")
    grace.locator(cell).get_by_text("# of admin").wait_for()
    eventually(lambda: "# of admin" in notebook.read_text(), 20)


def show(admin, one):
    """Let visitors have copies; return their link."""
    admin.goto(f"{one.home}/services/atoll/servers/lab/people")
    admin.get_by_text("grace may look at it").wait_for()
    assert admin.get_by_text("from the next start of this server on").count() == 0
    admin.get_by_text("They will read all of these volumes").wait_for()
    check_everywhere(admin, "people-visitors-off")
    admin.get_by_role("button", name="Let visitors have copies").click()
    admin.get_by_text("Whoever has the visitors’ link gets a copy.").wait_for()
    check_everywhere(admin, "people-visitors")
    tell(admin, "visitor-badge")
    link = admin.get_by_label("Visitors’ link", exact=True).input_value()
    assert f"]({link})" in admin.get_by_label("Badge in Markdown", exact=True).input_value()
    return link


def test_a_visitor_changes_a_copy_and_the_original_stays_as_it_is(browser, hub):
    one, repository = hub
    grace = signed_in(browser, one, "grace", at=LOBBY)  # whom the hub knows from now on
    admin = signed_in(browser, one, "admin", at=LOBBY)
    home, numbers = launch(admin, one, repository)
    watch_together(admin, grace, one, home / "intro.ipynb")
    link = show(admin, one)
    one.api("DELETE", "users/admin/servers/lab")  # a copy can be had of what does not run
    eventually(lambda: one.server("admin", "lab").get("stopped"))
    before = (home / "intro.ipynb").read_bytes()

    visitor = new_page(browser)
    visitor.goto(link)
    visitor.get_by_role("heading", name="A copy of lab").wait_for()
    check_everywhere(visitor, "copy")
    tell(visitor, "visitor-link")
    visitor.get_by_role("button", name="Open a copy").press("Enter")
    visitor.wait_for_url("**/user/visitor-*/*/lab/tree/intro.ipynb")
    cell = visitor.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    cell.click()
    visitor.get_by_text("| Idle").wait_for()
    assert "# of admin" in cell.inner_text()
    visitor.keyboard.press("Control+a")
    visitor.keyboard.type(ATTACK)
    visitor.keyboard.press("Control+Enter")
    visitor.locator(".jp-OutputArea-output").get_by_text("Read-only file system").first.wait_for()
    visitor.keyboard.press("Control+s")
    tell(visitor, "visitor-works")
    server = visitor.url.partition("/lab/")[0]
    saved = f"{server}/api/contents/intro.ipynb"
    eventually(lambda: "numbers.csv" in visitor.request.get(saved).text(), 20)
    assert visitor.request.get(f"{server}/api/contents/.netrc").status == 404
    assert (home / "intro.ipynb").read_bytes() == before
    assert numbers.read_text() == "1,2,3\n"
    visitor.goto(f"{one.home}/services/atoll/servers")
    visitor.get_by_text("A copy of admin’s server lab").wait_for()
    check_everywhere(visitor, "servers-copy")
    tell(visitor, "visitor-servers")

    admin.reload()
    admin.get_by_label("End the copy that runs, too").check()
    check_everywhere(admin, "people-copies-run")
    admin.get_by_role("button", name="No copies any more").press("Enter")
    admin.get_by_text("Nobody gets a copy any more.").wait_for()
    eventually(lambda: not one.servers(), 30)
    visitor.goto(link)
    visitor.get_by_text("There is no copy to be had here.").wait_for()
    check_everywhere(visitor, "copy-taken-back")
    for page in (admin, grace, visitor):
        page.context.close()


def test_a_link_that_lets_people_in_says_so(browser, hub):
    one, _ = hub
    admin = signed_in(browser, one, "admin", at=LOBBY)
    path = "v2/git/https%3A%2F%2Fgithub.com%2Fada%2Fengine/HEAD?people=grace,@maths:view"
    admin.goto(f"{one.home}/{path}&visitors=yes")
    admin.get_by_text("this would let grace run code in your server, as you").wait_for()
    check_everywhere(admin, "link-people")
    admin.context.close()
