"""The pages in a real browser, on stand-ins: how they behave, and that axe finds nothing."""

from __future__ import annotations

import json
import re
import time
from urllib.parse import quote

import pytest

from atoll.errors import BuildFailed
from support.chromium import check_everywhere
from support.depositservers import deposits_at, serve_web
from support.one_host import joined, serving
from support.web_service import REPO, make_service

PREFIX = "/services/atoll/"


@pytest.fixture
def service(tmp_path):
    return make_service(tmp_path)


@pytest.fixture
def url(service):
    with serving(joined(service)) as address:
        yield address


@pytest.fixture
def uploading(tmp_path):
    """A service on stand-ins, but for a real source that takes uploads."""
    with serve_web() as web:
        service = make_service(tmp_path / "uploading", real=deposits_at(web, tmp_path))
        with serving(joined(service)) as address:
            yield address, service


def launch(page, url, repository=REPO):
    page.goto(url + PREFIX)
    page.get_by_label("Repository", exact=True).fill(repository)
    page.get_by_role("button", name="Launch", exact=True).click()


def test_the_launch_page_understands_while_one_types(page, url):
    page.goto(url + PREFIX)
    check_everywhere(page, "launch-empty")
    field = page.get_by_label("Repository", exact=True)
    field.fill("https://github.com/ada/engine/blob/main/notes/a.ipynb")
    page.get_by_text("opens notes/a.ipynb").wait_for()
    assert page.get_by_label("Link", exact=True).input_value() == (
        f"{url}/v2/gh/ada/engine/main?urlpath=lab/tree/notes/a.ipynb"
    )
    page.get_by_text("Advanced").click()
    check_everywhere(page, "launch-recognised")
    field.fill("githbu:ada/engine")
    page.get_by_text("Did you mean").wait_for()
    assert not page.locator("#share").is_visible()
    check_everywhere(page, "launch-mistake")


def test_what_is_to_be_copied_is_copied(page, url):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{url}{PREFIX}?repository={REPO}")
    page.get_by_role("button", name="Copy: Badge in Markdown").click()
    page.get_by_text("Copied: Badge in Markdown.").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()").startswith("[![Launch](")


def test_a_launch_leads_to_the_lab_by_itself(page, url, service):
    service.engine.builder.pause = 0.1
    launch(page, url)
    page.wait_for_url("**/user/ada/engine/lab")
    page.go_back()
    assert page.url == f"{url}{PREFIX}"


def test_a_launch_that_is_ready_at_once_leads_to_the_lab_too(page, url, service):
    launch(page, url)
    page.wait_for_url("**/user/ada/engine/lab")
    launch(page, url)
    page.wait_for_url("**/user/ada/engine/lab")
    assert len(service.hub.started) == 1


def test_a_proposal_keeps_the_page_until_somebody_chooses(page, url, service):
    cell = {"cell_type": "code", "source": "import numpy, sklearn"}
    notebook = json.dumps({"cells": [cell], "metadata": {}}).encode()
    service.source.repositories[REPO] = {"a.ipynb": notebook}
    launch(page, url)
    page.get_by_text("scikit-learn  # imported as sklearn").wait_for()
    check_everywhere(page, "proposal")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download requirements.txt").click()
    assert download.value.suggested_filename == "requirements.txt"
    page.get_by_role("button", name="Start it anew with these packages").click()
    page.wait_for_url("**/user/ada/engine/lab")
    assert len(service.hub.started) == 2


def test_progress_survives_a_reload_a_second_tab_and_a_lost_connection(page, url, service):
    seen = []

    def lines():  # until all has been seen, however slow the browser is
        yield from (f"line {number}" for number in range(30))
        while not seen:
            yield "and so on"

    service.engine.builder.lines = lines()
    service.engine.builder.pause = 0.15
    launch(page, url)
    page.get_by_text("line 3").wait_for()
    check_everywhere(page, "progress")
    page.reload()
    page.get_by_text("line 6").wait_for()
    second = page.context.new_page()
    second.goto(page.url)
    second.get_by_text("line 9").wait_for()
    page.context.set_offline(True)
    page.wait_for_timeout(500)
    page.context.set_offline(False)
    log = page.locator("#log")
    page.get_by_text("line 25").wait_for()
    said = re.findall(r"line \d+", log.inner_text())
    assert said == [f"line {number}" for number in range(len(said))]
    seen.append(said)
    page.wait_for_url("**/user/**")
    second.wait_for_url("**/user/**")
    assert len(service.hub.started) == 1


def test_a_failure_is_explained_and_can_be_edited(page, url, service):
    service.engine.builder.error = BuildFailed("six==99 is not there.", hint="Pin another six.")
    launch(page, url)
    page.get_by_role("alert").get_by_text("six==99 is not there.").wait_for()
    check_everywhere(page, "failed")
    page.get_by_role("link", name="Edit and try again").click()
    assert page.get_by_label("Repository", exact=True).input_value() == REPO
    service.engine.builder.error = None
    page.go_back()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/user/**")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("long", "Donaudampfschifffahrtsgesellschaft" * 8), ("arabic", "مستودع-البيانات")],
)
def test_every_name_fits_a_phone(page, url, service, kind, name):
    repository = f"https://git.example.org/{name}"
    service.source.repositories[repository] = {}
    service.engine.builder.error = BuildFailed(f"{name} has no wheel.")
    page.goto(f"{url}{PREFIX}?repository={quote(repository)}")
    check_everywhere(page, f"launch-{kind}")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_role("heading", name="Could not open").wait_for()
    check_everywhere(page, f"failed-{kind}")
    service.engine.builder.error = None
    page.get_by_role("button", name="Try again", exact=True).click()
    page.wait_for_url("**/user/**")
    page.goto(f"{url}{PREFIX}servers")
    page.get_by_text(name).wait_for()
    check_everywhere(page, f"servers-{kind}")


def test_a_launch_can_be_cancelled_with_the_keyboard_alone(page, url, service):
    service.engine.builder.pause = 60
    page.goto(url + PREFIX)
    page.keyboard.type(REPO)  # the field has the focus
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Cancel":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Cancelled").wait_for()


def test_servers_are_stopped_started_and_deleted(page, url, service):
    page.goto(f"{url}{PREFIX}servers")
    check_everywhere(page, "servers-empty")
    service.engine.runner.sizes = {("ada", "engine"): 1_234_567}
    launch(page, url)
    page.wait_for_url("**/user/**")
    page.goto(f"{url}{PREFIX}servers")
    check_everywhere(page, "servers")
    page.get_by_role("button", name="Stop engine").click()
    page.get_by_text("Stopped", exact=True).wait_for()
    page.get_by_role("link", name="Delete engine").click()
    check_everywhere(page, "delete")
    page.get_by_role("button", name="Delete engine").click()
    page.get_by_text("Server “engine” and its files were deleted.").wait_for()


def test_the_list_of_servers_follows_what_happens(page, url, service):
    service.hub.run("ada", "mine").update(pending="spawn", ready=False)
    page.goto(f"{url}{PREFIX}servers")
    page.get_by_text("Starting", exact=True).wait_for()
    service.hub.users["ada"]["servers"]["mine"].update(pending=None, ready=True)
    page.get_by_text("Running", exact=True).wait_for()


def test_who_starts_one_is_led_to_it_whatever_else_happens_meanwhile(page, url, service):
    launch(page, url)
    page.wait_for_url("**/user/**")
    page.goto(f"{url}{PREFIX}servers")
    page.get_by_role("button", name="Stop engine").click()
    page.get_by_text("Stopped", exact=True).wait_for()
    service.hub.run("ada", "mine").update(pending="spawn", ready=False)
    page.goto(f"{url}{PREFIX}servers")

    def slowly(route):
        service.hub.users["ada"]["servers"]["mine"].update(pending=None, ready=True)
        time.sleep(3)  # longer than the page waits until it looks again
        route.continue_()

    page.route("**/servers/engine/start", slowly)
    page.get_by_role("button", name="Start engine").click()
    page.wait_for_url("**/hub/spawn-pending/ada/engine")


def test_a_link_is_asked_about_until_a_person_says_otherwise(page, url, service):
    link = f"{url}/v2/gh/ada/engine/main?labpath=intro.ipynb&name=mine"
    body = f'<a href="{link.replace("&", "&amp;")}">Try it</a>'
    page.route(
        "http://blog.example.com/**",
        lambda route: route.fulfill(body=body, content_type="text/html"),
    )
    page.goto("http://blog.example.com/a")
    page.get_by_text("Try it").click()  # and sign in on the way
    page.get_by_role("heading", name="Launch ada/engine?").wait_for()
    page.get_by_text("on a page of blog.example.com").wait_for()
    check_everywhere(page, "binder-link")
    assert not service.store.launches.kept
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/user/ada/mine/doc/tree/intro.ipynb")
    page.goto(link)
    page.get_by_label("Don’t ask again").check()
    page.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/user/ada/mine/doc/tree/intro.ipynb")
    page.goto(link)
    page.wait_for_url("**/user/ada/mine/doc/tree/intro.ipynb")
    assert len(service.store.launches.kept) == 3
    page.goto(f"{url}{PREFIX}servers")
    check_everywhere(page, "servers-trusted")
    page.get_by_role("button", name="Ask again").click()
    page.goto(link)
    page.get_by_role("link", name="Cancel").click()
    assert page.url == f"{url}{PREFIX}"


def test_what_differs_from_ones_server_is_shown_and_chosen(page, url, service):
    launch(page, url)
    page.wait_for_url("**/user/ada/engine/lab")
    page.goto(f"{url}/v2/gh/ada/engine/v2?memory=1G")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_role("heading", name="Your server “engine” is not quite the same").wait_for()
    check_everywhere(page, "asking")
    page.get_by_role("button", name="Make a new server").click()
    page.wait_for_url("**/user/ada/engine-2/lab")


def test_the_operators_word_and_what_is_prepared_come_first(page, tmp_path):
    prepared = [
        {"title": f"Week {week}", "launch": "gh:ada/engine", "description": "Read and run." * week}
        for week in (1, 2, 3)
    ]
    pages = {
        "notice": "On Friday from 18:00 to 20:00 there is no service.",
        "links": {"Handbook": "https://docs.example.org/"},
        "credits": "Run by the keepers of the lagoon.",
        "hubs": {"mybinder.org": "https://mybinder.org", "Reef": "https://reef.example.org/hub/"},
        "prepared": prepared,
    }
    with serving(joined(make_service(tmp_path, pages=pages))) as url:
        page.goto(url + PREFIX)
        check_everywhere(page, "launch-prepared")
        page.get_by_label("Repository", exact=True).fill("gh:ada/engine")
        elsewhere = page.get_by_role("link", name="Reef")
        elsewhere.wait_for()
        page.get_by_text("Advanced").click()
        page.get_by_label("Memory", exact=True).fill("4G")
        there = "https://reef.example.org/hub/v2/gh/ada/engine/HEAD?memory=4G"
        page.wait_for_function("to => [...document.links].some(one => one.href === to)", arg=there)
        home = f"atoll run '{url}/v2/gh/ada/engine/HEAD?memory=4G'"
        assert page.get_by_role("textbox", name="At home").input_value() == home
        public = page.get_by_role("link", name="mybinder.org")
        assert public.get_attribute("href") == "https://mybinder.org/v2/gh/ada/engine/HEAD"
        page.get_by_text("without memory").wait_for()
        check_everywhere(page, "launch-elsewhere")
        page.get_by_label("Repository", exact=True).fill("hg+https://hg.example.org/course")
        page.get_by_text("a Binder cannot open this").wait_for()
        assert public.count() == 0  # it leads nowhere
        check_everywhere(page, "launch-elsewhere-not-at-a-binder")
        page.goto(url + PREFIX)
        page.get_by_role("button", name="Launch Week 2").click()
        page.wait_for_url("**/user/ada/engine/lab")
        page.goto(url + PREFIX + "servers")
        check_everywhere(page, "servers-elsewhere")
        page.get_by_role("link", name="Elsewhere with engine").click()
        page.get_by_role("heading", name="Open engine elsewhere").wait_for()
        assert "/v2/gh/ada/engine/" in page.get_by_role("link", name="Reef").get_attribute("href")
        check_everywhere(page, "elsewhere")


def test_the_link_says_all_that_the_form_does(page, url):
    page.goto(url + PREFIX)
    page.get_by_label("Repository", exact=True).fill("gh:ada/engine")
    page.get_by_text("Advanced").click()
    page.get_by_label("Memory", exact=True).fill("4G")
    page.get_by_label("Temporary").check()
    page.get_by_label("As they are today").check()
    link = f"{url}/v2/gh/ada/engine/HEAD?temporary=yes&memory=4G&at=today"
    page.wait_for_function("link => document.querySelector('#copy-url').value === link", arg=link)
    page.goto(link)
    page.get_by_text("at most 4G of memory").wait_for()
    page.get_by_text("Edit first").click()
    assert page.get_by_label("Memory", exact=True).input_value() == "4G"
    assert page.get_by_label("Temporary").is_checked()


def test_other_pages_look_the_same_and_are_accessible(page, url):
    page.goto(f"{url}/about")
    check_everywhere(page, "about")
    page.goto(f"{url}{PREFIX}nothing")
    check_everywhere(page, "error")


def test_everything_works_without_scripts(browser, url):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    launch(page, url)
    # A real browser without scripts reloads by itself; one that Playwright switched them off in
    # does not read what stands in “noscript”.
    for _ in range(100):
        if page.get_by_role("link", name="Open it").is_visible():
            break
        assert '<noscript><meta http-equiv="refresh"' in page.content()
        page.reload()
    page.get_by_role("link", name="Open it").click()
    assert page.url.endswith("/user/ada/engine/lab")
    page.goto(f"{url}{PREFIX}servers")
    page.get_by_role("button", name="Stop engine").click()
    page.get_by_text("Stopped", exact=True).wait_for()
    context.close()


def test_a_visitors_link_starts_at_once_and_back_does_not_start_another(page, tmp_path):
    service = make_service(tmp_path, access={"anonymous": True})
    with serving(joined(service)) as url:
        page.goto(f"{url}/v2/gh/ada/engine/main")
        page.wait_for_url("**/user/visitor-*/**")
        assert "token=" in page.url
        page.go_back()
        page.wait_for_timeout(500)
        assert len(service.store.launches.kept) == 1


def test_a_hostile_log_runs_nothing(page, url, service):
    service.engine.builder.lines = ["<img src=x onerror=\"document.title='owned'\">"] * 5
    service.engine.builder.pause = 0.2
    launch(page, url)
    page.get_by_text("onerror").first.wait_for()
    assert page.locator("#log img").count() == 0
    page.wait_for_url("**/user/**")
    assert page.title() != "owned"


def test_a_file_is_uploaded_and_launched(page, uploading):
    url, service = uploading
    page.goto(url + PREFIX)
    cell = {"cell_type": "code", "source": "import numpy", "metadata": {}, "outputs": []}
    notebook = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    choose = page.get_by_label("Upload an archive or a notebook")
    wrong = {"name": "thesis.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"}
    choose.set_input_files(wrong)
    page.get_by_text("neither an archive nor a notebook").wait_for()
    check_everywhere(page, "launch-upload-refused")
    file = {"name": "from a mail.ipynb", "mimeType": "", "buffer": notebook.encode()}
    choose.set_input_files(file)
    page.get_by_text("as it was sent here").wait_for()
    assert re.fullmatch(
        r"upload:[0-9a-f]{64}/from-a-mail\.ipynb",
        page.get_by_label("Repository", exact=True).input_value(),
    )
    check_everywhere(page, "launch-uploaded")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_text("No file says which packages it needs").wait_for()
    assert "numpy" in page.content()
    assert len(service.hub.started) == 1


def test_a_file_is_dropped_onto_the_page(page, uploading):
    url, _ = uploading
    page.goto(url + PREFIX)
    page.evaluate(
        """() => {
          const sent = new DataTransfer();
          sent.items.add(new File(['{"nbformat": 4, "cells": []}'], "dropped.ipynb"));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: sent, cancelable: true }));
        }"""
    )
    page.get_by_text("as it was sent here").wait_for()
    assert page.get_by_label("Repository", exact=True).input_value().endswith("/dropped.ipynb")
