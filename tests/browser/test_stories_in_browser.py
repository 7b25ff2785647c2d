"""What people do with a hub: a link is taken home, an environment is shared by a badge."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from support.chromium import check_everywhere
from support.one_host import serving
from support.stories import hub_beside, new_page, notebook, run_first_cell, sign_in, signed_in, tell

NOTEBOOK = notebook("import six; print('six', six.__version__, 6 * 7)")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, and the address of a repository."""
    repositories = {
        "course": {"requirements.txt": "six==1.16.0\n", "intro.ipynb": json.dumps(NOTEBOOK)},
        "env": {"requirements.txt": "six==1.15.0\n", "runtime.txt": "python-3.11"},
    }
    people = ("rosa", "paul", "grace")
    with hub_beside(tmp_path_factory, repositories, *people) as (one, _, base):
        yield one, f"{base}/course"


def test_a_researcher_takes_a_binder_link_home_and_keeps_working_in_it(browser, hub):
    one, repository = hub
    rosa = new_page(browser)
    rosa.goto(f"{one.home}/v2/git/{quote(repository, safe='')}/HEAD?urlpath=lab/tree/intro.ipynb")
    sign_in(rosa, one, "rosa")
    launch = rosa.get_by_role("button", name="Launch", exact=True)
    launch.wait_for()
    tell(rosa, "researcher-link")
    launch.click()
    rosa.get_by_text("Looking up").first.wait_for()
    rosa.wait_for_url("**/user/rosa/course/lab/tree/intro.ipynb")
    run_first_cell(rosa, "six 1.16.0 42")
    rosa.keyboard.press("Control+s")
    rosa.get_by_text("Saving completed").wait_for()
    tell(rosa, "researcher-works")

    rosa.goto(f"{one.home}/services/atoll/servers")
    rosa.get_by_text("Running", exact=True).wait_for()
    rosa.get_by_role("button", name="Stop course").click()
    rosa.get_by_text("Stopped", exact=True).wait_for()
    rosa.goto(f"{one.home}/user/rosa/course/lab/tree/intro.ipynb")
    rosa.get_by_role("heading", name="course is not running").wait_for()
    check_everywhere(rosa, "hub-not-running")
    tell(rosa, "researcher-comes-back")
    rosa.get_by_role("link", name="Start course").click()
    rosa.wait_for_url(f"{one.home}/user/rosa/course/**")
    rosa.locator(".jp-OutputArea-output").get_by_text("six 1.16.0 42").wait_for()
    rosa.context.close()


def test_a_power_user_shares_an_environment_by_a_badge(browser, hub):
    one, course = hub
    environment = course.replace("/course", "/env")
    paul = signed_in(browser, one, "paul")
    paul.wait_for_load_state()  # by then the script listens to what is typed
    paul.get_by_label("Repository", exact=True).fill(f"{environment} + {course}")
    paul.get_by_text("in the environment of").wait_for()
    assert "env/HEAD?content=git/" in paul.get_by_label("Link", exact=True).input_value()
    paul.get_by_label("Open", exact=True).fill("intro.ipynb")
    paul.get_by_text("Advanced").click()
    paul.get_by_label("Server name").fill("pair")
    paul.get_by_label("Memory").fill("512M")
    check_everywhere(paul, "hub-pair")
    badge = paul.get_by_label("Badge in HTML", exact=True)
    paul.wait_for_function("box => box.value.includes('512M')", arg=badge.element_handle())
    badge.scroll_into_view_if_needed()
    tell(paul, "power-user-badge")
    text = f"<!doctype html><title>Pairs</title><h1>Pairs, by Paul</h1>{badge.input_value()}"
    paul.context.close()

    home = Starlette(routes=[Route("/", lambda _: HTMLResponse(text))])
    with serving(home) as address:
        grace = new_page(browser)
        grace.goto(address.replace("127.0.0.1", "localhost"))  # a site that is not the hub's
        grace.get_by_role("link").click()
        sign_in(grace, one, "grace")
        grace.get_by_text("on a page of localhost").wait_for()
        check_everywhere(grace, "hub-badge-question")
        tell(grace, "power-user-question")
        grace.get_by_role("button", name="Launch", exact=True).click()
        grace.wait_for_url("**/user/grace/pair/lab/tree/intro.ipynb")
    run_first_cell(grace, "six 1.15.0 42")
    grace.goto(f"{one.home}/services/atoll/servers")
    grace.locator("li", has_text="pair").get_by_text(f"Git repository {environment[7:]}").wait_for()
    check_everywhere(grace, "hub-pair-server")
    grace.context.close()
