from __future__ import annotations

from datetime import UTC, datetime

import pytest

from atoll.events import Event
from atoll.launching import LaunchRequest
from atoll.launching.desk import Launch
from atoll.people import Person
from atoll.sources import RepoRef
from atoll.web.binder import Translator, failed, ready, ref_url

COMMIT = "0123456789" * 4
REPO = RepoRef("git", "https://github.com/ada/engine", "main")
LAUNCH = Launch(
    "1", LaunchRequest(Person("ada"), REPO), datetime.now(UTC), ref=COMMIT, key="k", name="engine"
)


def test_events_become_binders_phases_in_binders_order():
    translator = Translator("atoll/k")
    story = [
        Event("resolve", "Looking up x"),
        Event("fetch", "Fetching"),
        Event("build", "\x1b[1mDownloaded\x1b[0m", detail=True),
        Event("start", "Starting"),
        Event("start", "Still starting"),
        Event("ready", "/user/ada/engine/lab"),
    ]
    messages = [message for event in story for message in translator.messages(event)]
    assert [message["phase"] for message in messages] == [
        "waiting",
        "fetching",
        "building",
        "built",
        "launching",
        "launching",
    ]
    assert messages[2]["message"] == "Downloaded\n"
    assert messages[3]["imageName"] == "atoll/k"
    assert all(message["message"].endswith("\n") for message in messages)


def test_the_last_word_has_all_that_clients_read():
    told = ready(
        LAUNCH,
        url="https://hub.example.org/user/ada/engine/",
        token="t",
        home="https://hub.example.org/",
        facts={"prefix": "gh", "spec": "ada/engine/main"},
    )
    assert told == {
        "phase": "ready",
        "message": "server running at https://hub.example.org/user/ada/engine/\n",
        "url": "https://hub.example.org/user/ada/engine/",
        "token": "t",
        "image": "atoll/k",
        "repo_url": "https://github.com/ada/engine",
        "binder_ref_url": f"https://github.com/ada/engine/tree/{COMMIT}",
        "binder_launch_host": "https://hub.example.org/",
        "binder_request": "v2/gh/ada/engine/main",
        "binder_persistent_request": f"v2/gh/ada/engine/{COMMIT}",
    }


@pytest.mark.parametrize(
    ("locator", "url"),
    [
        ("https://gitlab.com/a/b/c", f"https://gitlab.com/a/b/c/-/tree/{COMMIT}"),
        ("https://gist.github.com/a/b", f"https://gist.github.com/a/b/{COMMIT}"),
        ("https://git.example.org/r", "https://git.example.org/r"),
    ],
)
def test_a_person_can_look_at_the_version(locator, url):
    assert ref_url(RepoRef("git", locator), COMMIT) == url


@pytest.mark.parametrize(
    ("locator", "version", "url"),
    [
        ("doi:10.5281/zenodo.31", "32", "https://zenodo.org/records/32"),
        ("doi:10.6084/m9.figshare.97", "2", "https://doi.org/10.6084/m9.figshare.97.v2"),
        ("doi:10.7910/DVN/TJCLKP", "1.0", "https://doi.org/10.7910/DVN/TJCLKP"),
        (
            f"swh:1:rev:{COMMIT}",
            COMMIT,
            f"https://archive.softwareheritage.org/swh:1:rev:{COMMIT}",
        ),
        ("https://osf.io/6nd7c", COMMIT, "https://osf.io/6nd7c"),
        ("https://example.org/x.zip", "ab" * 32, "https://example.org/x.zip"),
    ],
)
def test_a_person_can_look_at_the_deposit(locator, version, url):
    assert ref_url(RepoRef("deposits", locator), version) == url


def test_a_failure_has_a_status_only_where_there_is_one():
    assert failed("No.") == {"phase": "failed", "message": "No.\n"}
    assert failed("No.", 429)["status_code"] == 429
