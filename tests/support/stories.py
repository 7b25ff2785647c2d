"""Stories: what people do with a hub, in a browser, and the pictures that the documentation keeps.

`make pictures` takes them anew; `docs/tutorial/six-stories.md` shows them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from support.chromium import ARTEFACTS
from support.gitservers import make_repo, serve
from support.real_atoll import RealAtoll

PATIENCE = 60_000  # milliseconds
PASSWORD = "a password that is long enough for JupyterHub"  # everybody's, but for the operator
PICTURES = ARTEFACTS / "stories"
SIZE = {"width": 1100, "height": 720}


def notebook(*sources: str) -> dict[str, Any]:
    """Return a notebook with a cell of Python for each of *sources*."""
    cell = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [{**cell, "id": f"c{n}", "source": one} for n, one in enumerate(sources)],
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@contextlib.contextmanager
def hub_beside(
    tmp_path_factory: pytest.TempPathFactory,
    repositories: Mapping[str, Mapping[str, str]],
    *people: str,
    hub_groups: dict[str, list[str]] | None = None,
    **settings: Mapping[str, Any],
) -> Iterator[tuple[RealAtoll, Path, str]]:
    """Run the real Atoll beside *repositories*, which are texts by path.

    Yield it, the folder that they are in, and the address below which they are. *people* are let
    in, *hub_groups* are JupyterHub's; *settings* are sections of atoll.toml. Servers have no
    network.
    """
    folder = tmp_path_factory.mktemp("repositories")
    for name, files in repositories.items():
        make_repo(folder / name, files)
    config = folder / "people.py"
    config.write_text(config_for(*people, groups=hub_groups))
    servers = {"network": "none", "networks": ["none"], "memory": "1G"}
    with serve(folder) as base:
        sources = {"allow": [base.split("//")[1]]}
        known = {"sources": sources, "servers": servers, **settings}
        one = RealAtoll(tmp_path_factory.mktemp("hub"), config=str(config), **known)
        try:
            one.start()
            yield one, folder, base
        finally:
            one.end()


def config_for(*people: str, groups: dict[str, list[str]] | None = None) -> str:
    """Return a jupyterhub_config.py that lets *people* in, beside the operator."""
    members = {name: {"users": users} for name, users in (groups or {}).items()}
    return f"""
c = get_config()
c.SharedPasswordAuthenticator.user_password = {PASSWORD!r}
c.SharedPasswordAuthenticator.allowed_users = {{"admin", *{people!r}}}
c.JupyterHub.load_groups = {members!r}
"""


def new_page(browser: Browser) -> Page:
    """Return a page of somebody who has never been here, and waits for a minute."""
    page = browser.new_context(viewport=SIZE, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE)
    # What the Lab asks after some seconds on a machine that has much else to do.
    waiting = page.get_by_role("button", name="Continue waiting")
    page.add_locator_handler(waiting, lambda button: button.click())
    return page


def sign_in(page: Page, one: RealAtoll, name: str) -> None:
    """Fill in JupyterHub's form, to which *page* has come."""
    page.get_by_label("Username").fill(name)
    password = one.password if name == "admin" else PASSWORD
    page.get_by_label("Password", exact=False).first.fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def signed_in(browser: Browser, one: RealAtoll, name: str, *, at: str = "") -> Page:
    """Return a page of *name*'s own, on which there is the launch form.

    *at* is the path of the page where they sign in; the first one, if it is not said.
    """
    page = new_page(browser)
    page.goto(one.url(at))
    sign_in(page, one, name)
    page.get_by_role("heading", name="Open a repository").wait_for()
    return page


def run_first_cell(page: Page, says: str) -> None:
    """Run the first cell of the notebook that is open, and wait until it *says* so."""
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_text("| Idle").wait_for()
    page.keyboard.press("Shift+Enter")
    page.locator(".jp-OutputArea-output").get_by_text(says).first.wait_for()


def tell(page: Page, name: str) -> None:
    """Keep a picture of what is to be seen of *page*, as a part of a story."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.wait_for_load_state()
    page.emulate_media(color_scheme="light")
    page.screenshot(path=PICTURES / f"{name}.png")
