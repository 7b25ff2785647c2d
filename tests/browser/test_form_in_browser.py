"""The launch form in a real browser: a title, times, volumes as rows; and what is called otherwise."""

from __future__ import annotations

import pytest

from atoll.launching.desk import State
from support.browsing import PREFIX
from support.chromium import check_everywhere
from support.one_host import joined, serving
from support.web_service import REPO, make_service

BOUNDS = {"idle": "1h", "max_idle": "4h", "max_age": "2d", "lifetime": "8h"}
DATASETS = {"folders": {"sky": {"folder": "/srv/sky", "description": "All the stars"}}}


@pytest.fixture
def service(tmp_path):
    return make_service(tmp_path, servers=BOUNDS, volumes=DATASETS)


@pytest.fixture
def url(service):
    with serving(joined(service)) as address:
        service.engine.files.kept.append("hub:sky")
        yield address + PREFIX


def make_volume(page, url, name):
    page.goto(f"{url}volumes")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    page.get_by_text(f"Volume {name} was made.").wait_for()


def wishes(page):
    """Return what the link asks for, once it has the last word that was typed."""
    return page.get_by_label("Link", exact=True).input_value().partition("?")[2]


def until_link_has(page, text):
    page.wait_for_function(
        "text => document.querySelector('#copy-url').value.includes(text)", arg=text
    )


def test_volumes_are_chosen_in_rows_by_keyboard_and_the_link_follows(page, url, service):
    make_volume(page, url, "thesis")
    page.get_by_role("link", name="Launch with this volume thesis").press("Enter")
    page.get_by_label("Volume 1", exact=True).wait_for()
    page.get_by_label("Repository", exact=True).fill(REPO)
    until_link_has(page, "volumes=thesis")
    page.get_by_label("Folder for volume 1").fill("data")
    until_link_has(page, "volumes=thesis%3Adata")
    page.get_by_role("button", name="Add a volume").press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel") == "Volume 2"
    page.keyboard.press("s")  # as in sky, which is @/sky
    page.get_by_label("Volume 2", exact=True).select_option("@/sky")
    assert page.get_by_label("Access to volume 2").is_disabled()
    until_link_has(page, "volumes=thesis%3Adata%2C+%40%2Fsky%3Asky%3Aro")
    page.get_by_label("Access to volume 1").select_option("read only")
    until_link_has(page, "thesis%3Adata%3Aro")
    check_everywhere(page, "launch-volumes")
    page.get_by_role("button", name="Remove volume 2").press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove volume 1"
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/user/ada/engine/lab")
    [(plan, _)] = service.store.plans.made.values()
    assert [(one.name, one.point, one.writable) for one in plan.mounts] == [
        ("thesis", "data", False)
    ]


def test_without_scripts_volumes_are_written(browser, url, service):
    page = browser.new_context(java_script_enabled=False).new_page()
    make_volume(page, url, "thesis")
    page.goto(f"{url}?repository={REPO}&volumes=thesis:data:ro")
    assert page.get_by_label("Volumes, as text").input_value() == "thesis:data:ro"
    assert not page.get_by_role("button", name="Add a volume").is_visible()
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/launches/*")
    while not page.get_by_text("Your server is ready.").is_visible():
        page.reload()
    [(plan, _)] = service.store.plans.made.values()
    assert [(one.name, one.point) for one in plan.mounts] == [("thesis", "data")]
    page.context.close()


def test_what_cannot_be_rows_stays_a_text_and_a_volume_of_nobodys_is_not_lost(page, url):
    page.goto(f"{url}?repository={REPO}&volumes=a:b:c:d")
    page.get_by_label("Volumes, as text").wait_for()
    page.goto(f"{url}?repository={REPO}&volumes=eve/x:y")
    row = page.get_by_label("Volume 1", exact=True)
    row.wait_for()
    assert row.locator("option:checked").inner_text() == "eve/x, not one of yours"
    assert "volumes=eve%2Fx%3Ay" in wishes(page)


def test_a_title_and_times_are_typed_shown_and_changed(page, url, service):
    page.goto(f"{url}?repository={REPO}")
    page.get_by_text("Advanced").click()
    page.get_by_label("Title").fill("Thèse, 2ᵉ <partie>")
    page.get_by_label("Lifetime").fill("1d")
    page.get_by_label("Idle time").fill("4h")
    until_link_has(page, "idle=4h")
    assert page.get_by_label("GPUs").is_disabled()
    assert page.get_by_label("Pass mine to the server").is_disabled()
    assert page.get_by_text(
        "used or not. Such as 8h; at most 2d, as the operator has set"
    ).is_visible()
    check_everywhere(page, "launch-advanced")
    link = page.get_by_label("Link", exact=True).input_value()
    page.goto(f"{link}&gpus=1&credentials=yes")
    page.get_by_text("“Thèse, 2ᵉ <partie>”, as the link has it").wait_for()
    check_everywhere(page, "link-asks-in-vain")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/user/ada/these-2e-partie/lab")
    page.goto(f"{url}servers")
    page.get_by_role("heading", name="Thèse, 2ᵉ <partie>").wait_for()
    check_everywhere(page, "servers-titled")
    page.locator("summary", has_text="Rename Thèse").press("Enter")
    field = page.get_by_label("Title of Thèse, 2ᵉ <partie>")
    field.fill("Fertig")
    check_everywhere(page, "servers-rename")
    field.press("Enter")
    page.get_by_role("heading", name="Fertig").wait_for()
    page.goto(f"{url}?repository={REPO}&name=these-2e-partie&title=Neu&lifetime=2h")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_role("heading", name="Your server “Fertig” is not quite the same").wait_for()
    check_everywhere(page, "asking-titled")
    page.get_by_role("button", name="Update it").click()
    page.wait_for_url("**/user/ada/these-2e-partie/lab")
    assert {one.state for one in service.store.launches.kept.values()} == {
        State.READY,
        State.ASKING,
    }
