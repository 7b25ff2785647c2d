"""Volumes in a real browser: made, shared and deleted, by keyboard, in light, dark and on a phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from atoll.access import Kind, Party, Share
from atoll.volumes import Volume
from support.chromium import check_everywhere
from support.one_host import joined, serving
from support.web_service import make_service

PREFIX = "/services/atoll/"
DATASETS = {"folders": {"sky": {"folder": "/srv/sky", "description": "All the stars"}}}


def test_volumes_are_made_shared_and_deleted(browser, tmp_path):
    service = make_service(tmp_path, volumes=DATASETS)
    service.hub.add("ada")  # who is no operator
    page = browser.new_context().new_page()
    grace = Party(Kind.PERSON, "grace")
    theirs = Volume("g1", grace, "atlas-of-a-rather-long-name", datetime.now(UTC), "Maps", 2**30)
    shares = (Share(Party(Kind.PERSON, "ada")),)
    with serving(joined(service)) as url:
        page.goto(f"{url}{PREFIX}volumes")
        page.get_by_label("Name").fill("thesis")
        page.get_by_label("Room").fill("5G")
        page.get_by_label("What it is for").fill("Chapters")
        page.keyboard.press("Enter")
        page.get_by_text("Volume thesis was made.").wait_for()
        [made] = service.store.volumes.kept
        service.engine.files.sizes[made] = 6 * 2**30
        service.engine.files.used.append((made, "ada/engine"))
        service.store.volumes.kept["g1"] = replace(theirs, shares=shares)
        service.engine.files.kept.append("g1")
        page.reload()
        page.get_by_text("Share, copy, delete").press("Enter")
        page.get_by_label("Share with thesis").fill("@a-group-with-a-name-as-long-as-this-one")
        page.get_by_label("They may change it").check()
        check_everywhere(page, "volumes-sharing")
        page.get_by_label("Share with thesis").press("Enter")
        page.get_by_text("may change it").first.wait_for()
        check_everywhere(page, "volumes")
        page.get_by_text("Share, copy, delete").click()
        page.get_by_role("button", name="Delete thesis", exact=True).click()
        page.get_by_text("Volume thesis was deleted.").wait_for()
        page.get_by_text("Delete for good").click()
        check_everywhere(page, "volumes-deleted")
        page.get_by_role("button", name="Restore thesis").click()
        page.get_by_text("Volume thesis was restored.").wait_for()
    page.context.close()
