"""A hub with two people and three servers is backed up while it runs, lost, and comes back."""

import asyncio
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import httpx2

from atoll.disk import remove
from atoll.hub.places import write_settings
from support.gitservers import make_repo, serve
from support.hub import eventually
from support.kernels import run_cell
from support.real_atoll import RealAtoll
from support.streams import launching

PASSWORD = "a password that is long enough for JupyterHub"  # Bob's
CONFIG = f"""
c.SharedPasswordAuthenticator.user_password = {PASSWORD!r}
c.SharedPasswordAuthenticator.allowed_users = {{"admin", "bob"}}
"""
SERVERS = (("admin", "course"), ("admin", "notes"), ("bob", "course"))


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


@contextmanager
def signed_in(hub, person):
    """Lend a browser in which *person* has signed in by the form."""
    password = hub.password if person == "admin" else PASSWORD
    with httpx2.Client(follow_redirects=True, timeout=60, trust_env=False) as http:
        form = http.get(hub.url("hub/login"))
        fields = {"username": person, "password": password, "_xsrf": http.cookies["_xsrf"]}
        http.post(str(form.url), data=fields).raise_for_status()
        http.get(hub.url("services/atoll/sign-in")).raise_for_status()
        yield http


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
        return asyncio.run(run_cell(self.base, code, headers=self.headers))


def start_from_the_page(hub, person, name):
    """Press Start on “My servers”, and wait until the server is there."""
    with signed_in(hub, person) as http:
        page = http.get(hub.url("services/atoll/servers"))
        assert re.findall(r'data-state="(\w+)"', page.text)
        form = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
        url = hub.url(f"services/atoll/servers/{name}/start")
        headers = {"Origin": hub.home, "Referer": str(page.url)}
        http.post(url, data={"form_token": form}, headers=headers).raise_for_status()
        eventually(lambda: hub.server(person, name).get("ready"))


def test_every_server_opens_again_with_its_files(tmp_path):
    make_repo(tmp_path / "git" / "course", {"requirements.txt": "six==1.16.0\n", "a.txt": "first"})
    make_repo(tmp_path / "git" / "notes", {"requirements.txt": "six==1.16.0\n", "b.txt": "notes"})
    config, backups = tmp_path / "etc" / "hub.py", tmp_path / "backups"
    config.parent.mkdir()
    backups.mkdir()
    config.write_text(CONFIG)
    with serve(tmp_path / "git") as git:
        tables = {
            "config": str(config),
            "sources": {"allow": [git.split("//")[1]]},
            "servers": {"network": "none", "networks": ["none"], "memory": "1G"},
        }
        old = RealAtoll(tmp_path / "old", **tables)
        try:
            old.start()
            for person, name in SERVERS:
                with launching(old, f"{git}/{name}", person):
                    pass
                Files(old, person, name).write("mine.txt", f"{person}'s {name}")
            old.api("DELETE", "users/admin/servers/notes")
            eventually(lambda: ("admin", "notes") not in old.servers())
            password = old.password
            write_settings(old.settings, config.with_name("atoll.toml"))
            backup = atoll("--config", config.with_name("atoll.toml"), "backup", backups)
            assert {(one["person"], one["name"]) for one in backup["servers"]} == {*SERVERS}
            assert ("bob", "course") in old.servers()  # nobody was disturbed
            Files(old, "bob", "course").write("mine.txt", "later")
        finally:
            old.end()
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
            for person, name in SERVERS:
                start_from_the_page(new, person, name)
                files = Files(new, person, name)
                assert files.read("mine.txt") == f"{person}'s {name}"
                assert files.run("import six; print(six.__version__)") == "1.16.0"
        finally:
            new.end()
            remove(tmp_path / "new")
