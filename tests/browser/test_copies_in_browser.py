"""A visitor without an account opens a copy of a server, and the server notices nothing of it."""

from __future__ import annotations

import json
import os

import pytest

from atoll.engines.local.mounting import owner as volumes_owner
from support.chromium import check_everywhere, keep_picture
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.real_atoll import RealAtoll

PATIENCE = 60_000  # milliseconds
CONFIG = """
c = get_config()
c.SharedPasswordAuthenticator.user_password = "a password that is long enough for JupyterHub"
c.SharedPasswordAuthenticator.allowed_users = {"admin", "grace"}
"""
PASSWORD = "a password that is long enough for JupyterHub"
CELL = {
    "cell_type": "code",
    "id": "first",
    "execution_count": None,
    "metadata": {},
    "outputs": [],
    "source": "",
}
NOTEBOOK = {
    "cells": [CELL],
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}
ATTACK = "open('data/numbers.csv', 'w')"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, which lets visitors in, and the address of a repository."""
    repositories = tmp_path_factory.mktemp("repositories")
    files = {"runtime.txt": "python-3.11\n", "intro.ipynb": json.dumps(NOTEBOOK)}
    make_repo(repositories / "lab", files)
    config = repositories / "people.py"
    config.write_text(CONFIG)
    with serve(repositories) as base:
        one = RealAtoll(
            tmp_path_factory.mktemp("hub"),
            config=str(config),
            access={"anonymous": True},
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "memory": "1G"},
        )
        try:
            one.start()
            yield one, f"{base}/lab"
        finally:
            one.end()


def sign_in(browser, one, name, password=PASSWORD):
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    # What the Lab asks after some seconds on a machine that has much else to do.
    waiting = page.get_by_role("button", name="Continue waiting")
    page.add_locator_handler(waiting, lambda button: button.click())
    page.goto(f"{one.home}/services/atoll/sign-in")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=False).first.fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Open a repository").wait_for()
    return page


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
    admin.get_by_label("Volumes").fill("course:data")
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
    link = admin.get_by_label("Visitors’ link", exact=True).input_value()
    assert f"]({link})" in admin.get_by_label("Badge in Markdown", exact=True).input_value()
    return link


def test_a_visitor_changes_a_copy_and_the_original_stays_as_it_is(browser, hub):
    one, repository = hub
    grace = sign_in(browser, one, "grace")  # whom the hub knows from now on
    admin = sign_in(browser, one, "admin", one.password)
    home, numbers = launch(admin, one, repository)
    watch_together(admin, grace, one, home / "intro.ipynb")
    link = show(admin, one)
    one.api("DELETE", "users/admin/servers/lab")  # a copy can be had of what does not run
    eventually(lambda: one.server("admin", "lab").get("stopped"))
    before = (home / "intro.ipynb").read_bytes()

    visitor = browser.new_context().new_page()
    visitor.set_default_timeout(PATIENCE)
    visitor.goto(link)
    visitor.get_by_role("heading", name="A copy of lab").wait_for()
    check_everywhere(visitor, "copy")
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
    keep_picture(visitor, "copy-in-lab")
    server = visitor.url.partition("/lab/")[0]
    saved = f"{server}/api/contents/intro.ipynb"
    eventually(lambda: "numbers.csv" in visitor.request.get(saved).text(), 20)
    assert visitor.request.get(f"{server}/api/contents/.netrc").status == 404
    assert (home / "intro.ipynb").read_bytes() == before
    assert numbers.read_text() == "1,2,3\n"
    visitor.goto(f"{one.home}/services/atoll/servers")
    visitor.get_by_text("A copy of admin’s server lab").wait_for()
    check_everywhere(visitor, "servers-copy")

    admin.reload()
    admin.get_by_role("button", name="No copies any more").click()
    admin.get_by_text("Nobody gets a copy any more.").wait_for()
    visitor.goto(link)
    visitor.get_by_text("There is no copy to be had here.").wait_for()
    check_everywhere(visitor, "copy-taken-back")
    for page in (admin, grace, visitor):
        page.context.close()


def test_a_link_that_lets_people_in_says_so(browser, hub):
    one, _ = hub
    admin = sign_in(browser, one, "admin", one.password)
    path = "v2/git/https%3A%2F%2Fgithub.com%2Fada%2Fengine/HEAD?people=grace,@maths:view"
    admin.goto(f"{one.home}/{path}&visitors=yes")
    admin.get_by_text("this would let grace run code in your server, as you").wait_for()
    check_everywhere(admin, "link-people")
    admin.context.close()
