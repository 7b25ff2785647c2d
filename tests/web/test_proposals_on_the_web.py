"""A repository that does not say what it needs: what is proposed, and what accepting it does."""

from __future__ import annotations

import json

import pytest

from atoll.launching.desk import State
from support.web_service import REPO

BARE = "https://github.com/ada/bare"
CELL = {"cell_type": "code", "source": ["import numpy, sklearn"]}
NOTEBOOK = json.dumps({"cells": [CELL], "metadata": {}, "nbformat": 4}).encode()
TEXT = """\
# What the notebooks and scripts here import, as Atoll read it. Check it.
numpy
scikit-learn  # imported as sklearn
"""


@pytest.fixture(autouse=True)
def _bare(service):
    service.source.repositories[BARE] = {"a.ipynb": NOTEBOOK, "README.md": b""}


async def launched(service, browser, repository=BARE):
    launch = await browser.launch(repository)
    return (await browser.events(launch))[-1][2], service.store.launches.kept[launch]


async def test_what_is_imported_is_proposed_and_can_be_downloaded(browse, service):
    ada = browse()
    last, launch = await launched(service, ada)
    assert (last["state"], last["proposal"], launch.proposal) == ("ready", True, TEXT)
    page = (await ada.get(f"launches/{launch.id}")).text
    assert "scikit-learn  # imported as sklearn" in page
    got = await ada.get(f"launches/{launch.id}/requirements.txt")
    assert got.text == TEXT
    assert got.headers["content-disposition"] == 'attachment; filename="requirements.txt"'
    notes = [event.message for event in service.site.desk.story(launch).events if event.note]
    assert any("could be taken instead: numpy, scikit-learn (--infer" in note for note in notes)


async def test_whoever_accepts_gets_a_server_with_these_packages(browse, service):
    ada = browse()
    _, first = await launched(service, ada)
    await ada.get(f"launches/{first.id}")
    answer = await ada.post(f"launches/{first.id}/accept")
    again = answer.url.path.rsplit("/", 1)[-1]
    assert (await ada.events(again))[-1][2]["proposal"] is False
    launch = service.store.launches.kept[again]
    assert (launch.state, launch.name) == (State.READY, first.name)
    assert launch.key != first.key
    assert len(service.hub.started) == 2  # the first was stopped, and no second one made
    page = (await ada.get(f"launches/{again}")).text
    assert "Proposed requirements.txt" not in page


async def test_a_server_that_runs_something_else_by_now_is_not_stopped(browse, service):
    ada = browse()
    _, first = await launched(service, ada)
    await ada.get("servers")
    await ada.post(f"servers/{first.name}/stop")
    service.hub.run("ada", first.name, plan="another")
    await ada.post(f"launches/{first.id}/accept")
    assert not service.hub.users["ada"]["servers"][first.name]["stopped"]


async def test_who_says_what_to_install_gets_no_proposal(browse, service):
    service.source.repositories[REPO] = {"requirements.txt": b"six", "a.ipynb": NOTEBOOK}
    ada = browse()
    last, launch = await launched(service, ada, REPO)
    assert (last["proposal"], launch.proposal) == (False, "")
    assert (await ada.get(f"launches/{launch.id}/requirements.txt")).status_code == 404


async def test_nobody_else_sees_or_accepts_a_proposal(browse, service):
    _, launch = await launched(service, browse())
    service.hub.signed_in = "bob"
    bob = browse()
    await bob.get("")
    assert (await bob.get(f"launches/{launch.id}/requirements.txt")).status_code == 404
    assert (await bob.post(f"launches/{launch.id}/accept")).status_code == 404
