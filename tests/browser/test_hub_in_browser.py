"""A person's first day with the real Atoll, whole, in a real browser."""

from __future__ import annotations

import json

import pytest

from support.chromium import check_accessible, keep_picture
from support.gitservers import make_repo, serve
from support.real_atoll import RealAtoll

PATIENCE = 120_000  # milliseconds
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "first",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": "import six; print('six', six.__version__, 6 * 7)",
        }
    ],
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The real Atoll, and the address of a repository."""
    repositories = tmp_path_factory.mktemp("repositories")
    files = {"requirements.txt": "six==1.16.0\n", "intro.ipynb": json.dumps(NOTEBOOK)}
    make_repo(repositories / "course", files)
    with serve(repositories) as base:
        one = RealAtoll(
            tmp_path_factory.mktemp("hub"),
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "memory": "1G"},
        )
        try:
            one.start()
            yield one, f"{base}/course"
        finally:
            one.end()


def sign_in(page, one):
    page.goto(one.home)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password", exact=False).first.fill(one.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Open a repository").wait_for()


def test_from_signing_in_to_finding_yesterdays_work(page, hub):
    one, repository = hub
    page.goto(one.home)
    keep_picture(page, "hub-sign-in")
    check_accessible(page, exclude=".modal")
    sign_in(page, one)

    page.get_by_label("Repository", exact=True).fill(repository)
    page.get_by_label("Open", exact=True).fill("intro.ipynb")
    page.get_by_role("button", name="Launch", exact=True).click()
    page.get_by_text("Looking up").first.wait_for()
    page.wait_for_url("**/user/admin/course/lab/tree/intro.ipynb", timeout=PATIENCE)

    page.locator(".jp-Notebook .jp-CodeCell").first.click(timeout=PATIENCE)
    page.get_by_text("| Idle").wait_for(timeout=PATIENCE)
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output").first
    output.get_by_text("six 1.16.0 42").wait_for(timeout=PATIENCE)
    page.keyboard.press("Control+s")
    page.get_by_text("Saving completed").wait_for(timeout=PATIENCE)
    keep_picture(page, "hub-lab")

    page.goto(f"{one.home}/services/atoll/servers")
    page.get_by_text("Running", exact=True).wait_for()
    page.get_by_role("button", name="Stop course").click()
    page.get_by_text("Stopped", exact=True).wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Start course").click()
    page.wait_for_url("**/user/admin/course/**", timeout=PATIENCE)
    page.locator(".jp-OutputArea-output").get_by_text("six 1.16.0 42").wait_for(timeout=PATIENCE)


def test_the_hubs_own_pages_look_like_ours(page, hub):
    one, _ = hub
    sign_in(page, one)
    for name, path in (
        ("token", "hub/token"),
        ("admin", "hub/admin"),
        ("error", "hub/spawn/admin/x"),
    ):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(f"{one.home}/{path}")
            links = page.get_by_role("navigation").first
            for word in ("Launch", "My servers", "Tokens", "Admin"):
                links.get_by_role("link", name=word).wait_for()
            keep_picture(page, f"hub-{name}-{scheme}")
    page.goto(f"{one.home}/services/atoll/")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Username").wait_for()
    page.goto(f"{one.home}/services/atoll/servers")
    page.get_by_label("Username").wait_for()
