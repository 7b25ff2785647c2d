"""JupyterHub's own pages, and how servers start there, in a real browser."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from support import social_hub_config
from support.chromium import check_everywhere
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.real_atoll import RealAtoll
from support.social_hub_config import ADDRESS, PASSWORD, SHARER

PATIENCE = 120_000  # milliseconds
FOCUSED = """() => {
    const one = document.activeElement;
    return [one.textContent.trim(), getComputedStyle(one).outlineStyle];
}"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, and the address of a repository."""
    repositories = tmp_path_factory.mktemp("repositories")
    make_repo(repositories / "course", {"requirements.txt": "six==1.16.0\n"})
    with serve(repositories) as base:
        one = RealAtoll(
            tmp_path_factory.mktemp("hub"),
            config=social_hub_config.__file__,
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "memory": "1G"},
        )
        try:
            one.start()
            yield one, f"{base}/course"
        finally:
            one.end()


def sign_in(page, one, name="admin", password=""):
    page.goto(one.home)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=False).first.fill(password or one.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Open a repository").wait_for()


def authorize(service: str) -> str:
    asked = {"client_id": f"service-{service}", "response_type": "code", "redirect_uri": ADDRESS}
    return f"hub/api/oauth2/authorize?{urlencode(asked)}"


@pytest.mark.parametrize(
    ("name", "path", "heading"),
    [
        ("home", "hub/home", "Welcome"),
        ("token", "hub/token", "Manage JupyterHub Tokens"),
        ("admin", "hub/admin", "People and servers"),
        ("error", "hub/nothing-is-here", "Nothing here"),
        ("nameless", "user/admin/lab", "Your server is not running"),
        ("nothing-to-start", "hub/spawn/admin/nothing", "That does not work"),
        ("authorize", authorize("other"), "Authorize access"),
    ],
)
def test_the_hubs_own_pages_look_like_ours(page, hub, name, path, heading):
    one, _ = hub
    sign_in(page, one)
    page.goto(f"{one.home}/{path}")
    page.get_by_role("heading", name=heading, level=1).wait_for()
    assert page.title().endswith("Atoll")
    assert "JupyterHub" not in page.title()
    page.wait_for_load_state("networkidle")  # the admin page is made by a script
    check_everywhere(page, f"hub-{name}")
    links = page.get_by_role("navigation").first
    for word in ("Launch", "My servers", "Tokens", "Admin"):
        assert links.get_by_role("link", name=word).is_visible()  # on a phone, too


def test_with_the_keyboard_alone_one_sees_where_one_is(page, hub):
    one, _ = hub
    sign_in(page, one)
    page.goto(f"{one.home}/hub/home")
    seen = {}
    for _ in range(9):
        page.keyboard.press("Tab")
        word, outline = page.evaluate(FOCUSED)
        seen[word] = outline
    assert list(seen)[:3] == ["Skip to the content", "Atoll", "Launch"]
    assert {"Sign out", "Open a repository", "My servers"} < seen.keys()
    assert set(seen.values()) == {"solid"}


def test_how_a_server_starts_and_why_it_did_not(page, hub):
    one, repository = hub
    sign_in(page, one)
    for name in ("slow", "broken"):
        title = quote(f"<b>{name}</b> {{{{7*7}}}}")
        page.goto(f"{one.home}/services/atoll/?repository={repository}&name={name}&title={title}")
        page.get_by_role("button", name="Launch", exact=True).click()
        if name == "slow":
            eventually(lambda: one.server("admin", "slow").get("pending"))
        else:
            page.get_by_role("heading", name="Could not open").wait_for(timeout=PATIENCE)
        page.goto(f"{one.home}/hub/spawn-pending/admin/{name}")
        heading = {
            "slow": "Starting <b>slow</b> {{7*7}}",
            "broken": "<b>broken</b> {{7*7}} could not be started",
        }[name]
        page.get_by_role("heading", name=heading).wait_for()
        page.wait_for_load_state("load")
        check_everywhere(page, f"hub-{name}")
    page.goto(f"{one.home}/services/atoll/servers")
    page.get_by_role("button", name="Stop <b>slow</b> {{7*7}}").click()
    page.get_by_text("Starting", exact=True).wait_for(state="detached", timeout=PATIENCE)


def test_an_invitation_to_somebodys_server(page, hub):
    one, _ = hub
    one.api("POST", "users/admin/servers/shared")  # it has no plan; there is its name to share
    shared = one.api("POST", "share-codes/admin/shared", SHARER)
    sign_in(page, one, "bob", PASSWORD)
    page.goto(one.home + shared.json()["accept_url"])
    page.get_by_role("heading", name="Accept sharing invitation").wait_for()
    check_everywhere(page, "hub-invitation")


def test_signing_out_leads_to_the_page_to_sign_in(page, hub):
    one, _ = hub
    sign_in(page, one)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Username").wait_for()
    page.goto(f"{one.home}/services/atoll/servers")
    page.get_by_label("Username").wait_for()
    check_everywhere(page, "hub-sign-in")
