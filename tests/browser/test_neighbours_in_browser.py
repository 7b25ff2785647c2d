"""Two people, a server each, one notebook of a volume: both are warned, and nothing is lost."""

from __future__ import annotations

import json
import os

import pytest

from atoll.engines.local.mounting import owner as volumes_owner
from support.hub import eventually
from support.stories import hub_beside, notebook, signed_in, tell

SAID = "has lesson.ipynb open in their own server, too."


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, and the address of a repository."""
    lab = {"runtime.txt": "python-3.11\n"}
    with hub_beside(tmp_path_factory, {"lab": lab}, "grace") as (one, _, base):
        yield one, f"{base}/lab"


def make_volume(page, one):
    """Make a volume to which grace may write, with a notebook; return where that is."""
    page.goto(f"{one.home}/services/atoll/volumes")
    page.get_by_label("Name").fill("course")
    page.keyboard.press("Enter")
    page.get_by_text("Volume course was made.").wait_for()
    page.get_by_text("Share, copy, delete").click()
    page.get_by_label("Share with course").fill("grace")
    page.get_by_label("They may change it").check()
    page.get_by_label("Share with course").press("Enter")
    page.get_by_text("may change it").first.wait_for()
    [volume] = (one.places.data / "named-volumes").iterdir()
    lesson = volume / "lesson.ipynb"
    lesson.write_text(json.dumps(notebook("# shared")))
    if volumes_owner() is not None:
        os.chown(lesson, volumes_owner(), volumes_owner())
    return lesson


def launch(page, one, repository, volume):
    """Launch the repository with *volume*, and open the notebook in it."""
    page.goto(f"{one.home}/services/atoll/")
    page.get_by_label("Repository", exact=True).fill(repository)
    page.get_by_label("Open", exact=True).fill("data/lesson.ipynb")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_role("button", name="Add a volume").click()
    page.get_by_label("Volume 1", exact=True).select_option(volume)
    page.get_by_label("Folder for volume 1").fill("data")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/lab/tree/data/lesson.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.wait_for()


def write(page, text):
    """Add *text* to the first cell, and save."""
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)
    page.keyboard.press("Control+s")


def test_two_people_who_open_one_notebook_are_warned_and_asked(browser, hub):
    one, repository = hub
    grace = signed_in(browser, one, "grace")
    admin = signed_in(browser, one, "admin")
    lesson = make_volume(admin, one)
    launch(admin, one, repository, "course")
    launch(grace, one, repository, "admin/course")
    toast = ".Toastify__toast"
    for page, other in ((grace, "admin"), (admin, "grace")):
        notice = page.locator(toast).filter(has_text=f"{other} {SAID}")
        notice.get_by_text("Who saves last is asked before overwriting.").wait_for()
        assert notice.count() == 1
    tell(admin, "neighbours-warned")
    files = {one.name for one in lesson.parent.iterdir() if not one.name.startswith(".ipynb_")}
    assert files == {"lesson.ipynb"}

    write(grace, " by grace")
    eventually(lambda: "by grace" in lesson.read_text(), 20)
    write(admin, " by admin")
    asked = admin.get_by_role("dialog")
    asked.get_by_text("has changed on disk").first.wait_for()
    tell(admin, "neighbours-asked")
    assert "by admin" not in lesson.read_text()
    asked.get_by_role("button", name="Revert").click()
    admin.locator(".jp-Notebook .cm-content").get_by_text("by grace").wait_for()

    share = admin.locator(toast).get_by_role("button", name="Share one server")
    with admin.context.expect_page() as opened:
        share.press("Enter")
    opened.value.wait_for_url("**/services/atoll/servers/lab/people")

    grace.goto(f"{one.home}/services/atoll/servers")  # and has it open no more
    admin.bring_to_front()
    write(admin, "")
    admin.locator(toast).filter(has_text=SAID).wait_for(state="hidden")
    for page in (admin, grace):
        page.context.close()
