"""An operator's bad day: what eats the machine is stopped; then the machine is lost, and comes back."""

import asyncio
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2

from atoll.disk import remove
from atoll.hub.places import write_settings
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.kernels import run_cell
from support.real_atoll import RealAtoll
from support.stories import config_for, signed_in, tell
from support.streams import launching

SERVERS = (("admin", "course"), ("bob", "notes"), ("bob", "course"))
# It goes on when its kernel has ended.
EATER = """
import subprocess, sys
hoard = "hoard = b'x' * 400 * 2**20; import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", hoard], start_new_session=True)
"""


def atoll(*words, **environ):
    """Run `atoll` as an operator does; return what it says for scripts."""
    ran = subprocess.run(
        [sys.executable, "-m", "atoll.cli", *map(str, words), "--json"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def token_of(hub, person):
    hub.api("POST", f"users/{person}")
    return hub.api("POST", f"users/{person}/tokens", json={"note": "tests"}).json()["token"]


class Files:
    """The files of a person's running server, through its own interface."""

    def __init__(self, hub, person, name):
        self.base = hub.url(f"user/{person}/{name}/")
        self.headers = {"Authorization": f"token {token_of(hub, person)}"}

    def write(self, path, text):
        body = {"type": "file", "format": "text", "content": text}
        url = f"{self.base}api/contents/{path}"
        httpx2.put(url, json=body, headers=self.headers, timeout=30).raise_for_status()

    def read(self, path):
        url = f"{self.base}api/contents/{path}"
        return (
            httpx2.get(url, headers=self.headers, timeout=30).raise_for_status().json()["content"]
        )

    def run(self, code):
        with ThreadPoolExecutor(1) as pool:  # Playwright's event loop is in our own thread
            run = pool.submit(lambda: asyncio.run(run_cell(self.base, code, headers=self.headers)))
            return run.result()


def stop_the_eater(page, hub):
    """As the operator: see what takes the most memory of all, look into it, and stop it."""
    page.goto(hub.url("services/atoll/admin"))

    def first():
        page.reload()
        return page.locator("tbody tr").first.inner_text()

    eventually(lambda: re.match(r"bob/notes\s+4\d\d MB", first()))
    tell(page, "operator-finds")
    page.get_by_role("link", name="Open bob/notes").click()
    page.get_by_role("button", name="Authorize").click()  # as JupyterHub asks
    page.get_by_label("File Browser Section").get_by_text("mine.txt").wait_for()
    page.goto(hub.url("services/atoll/admin"))
    page.get_by_role("button", name="Stop bob/notes").click()
    page.get_by_text("Stopped: bob/notes.").wait_for()
    tell(page, "operator-stops")
    assert ("bob", "course") in hub.servers()  # nobody else was disturbed


def find_servers(page, hub, person):
    """As *person*: see the servers that came back, and what was said before the machine was lost."""
    page.goto(hub.url("services/atoll/servers"))
    if person == "bob":
        page.get_by_text("opened your server “notes”").first.wait_for()
    tell(page, f"operator-restored-{person}")


def test_what_eats_the_machine_is_stopped_and_every_server_opens_again(tmp_path, browser):
    make_repo(tmp_path / "git" / "course", {"requirements.txt": "six==1.16.0\n", "a.txt": "first"})
    make_repo(tmp_path / "git" / "notes", {"requirements.txt": "six==1.16.0\n", "b.txt": "notes"})
    config, backups = tmp_path / "etc" / "hub.py", tmp_path / "backups"
    config.parent.mkdir()
    backups.mkdir()
    config.write_text(config_for("bob"))
    with serve(tmp_path / "git") as git:
        tables = {
            "config": str(config),
            "sources": {"allow": [git.split("//")[1]]},
            "servers": {"network": "none", "networks": ["none"], "memory": "1G"},
            "operator": {"sample": 1},
        }
        old = RealAtoll(tmp_path / "old", **tables)
        try:
            old.start()
            for person, name in SERVERS:
                with launching(old, f"{git}/{name}", person):
                    pass
                Files(old, person, name).write("mine.txt", f"{person}'s {name}")
            Files(old, "bob", "notes").run(EATER)
            operator = signed_in(browser, old, "admin")
            stop_the_eater(operator, old)
            password = old.password
            write_settings(old.settings, config.with_name("atoll.toml"))
            backup = atoll("--config", config.with_name("atoll.toml"), "backup", backups)
            assert {(one["person"], one["name"]) for one in backup["servers"]} == {*SERVERS}
            assert ("bob", "course") in old.servers()  # nor by the backup
            Files(old, "bob", "course").write("mine.txt", "later")
        finally:
            old.end()
        operator.context.close()
        remove(tmp_path / "old")

        restored = atoll("restore", backup["file"], ATOLL_DATA=str(tmp_path / "new"))
        assert restored["files"] == backup["files"]
        folders = {one.name for one in (tmp_path / "new").iterdir() if one.is_dir()}
        assert folders == {"volumes"}  # what is new in the data folder is either made again, or not
        new = RealAtoll(tmp_path / "new", **tables)
        try:
            new.start()
            assert new.port != old.port
            assert new.password == password
            assert new.servers() == []
            pages = {person: signed_in(browser, new, person) for person in ("admin", "bob")}
            for person, name in SERVERS:
                find_servers(pages[person], new, person)
                pages[person].get_by_role("button", name=f"Start {name}").click()
                pages[person].wait_for_url(f"**/user/{person}/{name}/lab**")
                files = Files(new, person, name)
                assert files.read("mine.txt") == f"{person}'s {name}"
                assert files.run("import six; print(six.__version__)") == "1.16.0"
        finally:
            new.end()
            remove(tmp_path / "new")
