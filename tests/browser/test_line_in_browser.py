"""More people than servers: the real Atoll lets one server run, and the others see when it is theirs."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from support.chromium import check_everywhere
from support.clients import binderhub_client
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.real_atoll import RealAtoll
from support.streams import launching

PATIENCE = 120_000  # milliseconds
NEXT = "You are next in line. No more than 1 server may run here at once"
STOPS = "The next one that nobody uses is stopped in about 30 minutes."


@pytest.fixture
def hub(tmp_path):
    """The real Atoll with room for one server, and the address of a repository."""
    make_repo(tmp_path / "remote" / "course", {"a.txt": "first"})
    with serve(tmp_path / "remote") as base:
        one = RealAtoll(
            tmp_path / "hub",
            sources={"allow": [base.split("//")[1]]},
            servers={"network": "none", "networks": ["none"], "at_once": 1, "idle": "30m"},
        )
        try:
            one.start()
            yield one, f"{base}/course"
        finally:
            one.end()


@contextmanager
def binder_client(one, repository, person):
    """Launch for *person* with BinderHub's own client; yield a way to see what it has heard."""
    spec = f"git/{quote(repository, safe='')}/main"
    command = [*binderhub_client(), spec, f"{one.home}/build/", one.person(person)]
    output = one.file.with_name("heard.txt")

    def heard():
        return [json.loads(line) for line in output.read_text().splitlines()]

    with output.open("w") as out, subprocess.Popen(command, stdout=out) as client:
        yield heard
        client.wait(PATIENCE / 1000)


def stop(hub, person):
    hub.api("DELETE", f"users/{person}/servers/course")


def test_who_waits_sees_where_in_line_wherever_they_look_and_gets_a_lab(page, hub):
    one, repository = hub
    with launching(one, repository, "bob"):
        pass
    page.goto(one.home)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password", exact=False).first.fill(one.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Repository", exact=True).fill(repository)
    page.get_by_role("button", name="Launch", exact=True).click()
    page.locator("#steps").get_by_text(NEXT).wait_for(timeout=PATIENCE)
    page.locator("#steps").get_by_text(STOPS).wait_for()
    check_everywhere(page, "line-launch")
    with binder_client(one, repository, "cleo") as heard:
        second = eventually(lambda: [told for told in heard() if "2nd in line" in told["message"]])
        assert second[0]["phase"] == "waiting"
        stop(one, "bob")
        page.wait_for_url("**/user/admin/course/lab**", timeout=PATIENCE)
        eventually(lambda: "next in line" in heard()[-1]["message"])
        page.goto(f"{one.home}/services/atoll/servers")
        page.get_by_role("button", name="Stop course").click()
    assert heard()[-1]["phase"] == "ready"
    assert one.server("cleo", "course")["ready"]

    # JupyterHub's own page says the same.
    page.get_by_role("button", name="Start course").click()
    page.wait_for_url("**/hub/spawn-pending/admin/course", timeout=PATIENCE)
    page.locator("#progress-message").get_by_text(NEXT).wait_for()
    check_everywhere(page, "line-spawn-pending")
    stop(one, "cleo")
    page.wait_for_url("**/user/admin/course/lab**", timeout=PATIENCE)
    page.goto("about:blank")  # before the Lab, half loaded, loses its server
