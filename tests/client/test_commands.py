"""`atoll --hub`: the commands on a hub, whose service is real and whose JupyterHub is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from hostile import Hostile

from atoll.cli import main
from atoll.client.keeping import kept
from atoll.launching.desk import State
from support.terminal import at_a_terminal
from support.web_service import REPO


def stored(ran):
    return json.loads(ran.stdout)


def test_the_story_of_a_server_from_a_launch_to_its_end(there):
    ran = there("run", REPO, "--memory", "3G", "--no-browser", "--retry")
    assert f"engine is open at\n\n    {there.address}user/ada/engine/lab" in ran.stdout
    assert "Building environment" in ran.stderr
    (launch,) = there.service.store.launches.kept.values()
    assert launch.request.limits.memory == 3 * 1024**3
    assert launch.request.retry
    assert launch.facts["way"] == "program"
    assert "engine  running" in there("list").stdout
    (row,) = stored(there("list", "--json"))
    assert (row["name"], row["state"], row["repository"]) == ("engine", "running", REPO)
    opened = there("open", "engine", "--no-browser").stdout.strip()
    assert opened == f"{there.address}services/atoll/servers/engine/open"
    assert there("remove", "engine", check=False).exit_code == 2  # it runs
    assert "all that is in that version" in there("update", "engine").stdout
    assert "It is called “Ma thèse” now." in there("title", "engine", "Ma thèse").stdout
    assert stored(there("list", "--json"))[0]["title"] == "Ma thèse"
    looked = stored(there("update", "engine", "--to", "v2", "--look", "--json"))
    assert (looked["done"], looked["count"]) == (False, 0)
    left = there("run", REPO, "--memory", "4G", "--no-browser").stderr
    assert "Memory 3G → 4G" in left
    assert len(there.service.hub.started) == 1
    assert there("stop", "engine").stdout == "Stopped engine.\n"
    assert there("open", "engine", check=False).exit_code == 4
    assert there("remove", "engine", input="n\n", check=False).exit_code == 9
    assert "Removed engine" in there("remove", "engine", input="y\n").stdout
    assert "You have no servers" in there("list").stdout


def test_a_link_of_another_hub_is_run_there_with_what_it_asks_for(there):
    link = "https://elsewhere.example.org/v2/gh/ada/engine/HEAD?memory=3G&name=mine"
    assert "mine is open at" in there("run", link, "--memory", "1G", "--no-browser").stdout
    (launch,) = there.service.store.launches.kept.values()
    assert launch.request.limits.memory == 1024**3  # options win


def test_what_a_link_would_reach_is_not_taken_from_it_but_said(there):
    there("volumes", "make", "thesis")
    link = "https://evil.example/v2/gh/ada/engine/HEAD?volumes=thesis&network=none&cpus=1"
    ran = there("run", link, "--no-browser")
    assert "The link asks for volumes=thesis, too" in ran.stderr
    there("run", link, "--no-browser", "--name", "other", "-v", "thesis:data")
    there.service.hub.users["ada"]["servers"].clear()
    first, second = there.service.store.launches.kept.values()
    assert (first.request.mounts, first.request.network.value) == (None, "internet")
    assert first.request.limits.cpus == 1
    assert [str(one) for one in second.request.mounts] == ["thesis:data"]


def test_json_is_for_scripts_here_as_there(there):
    ready = stored(there("run", REPO, "--json"))
    assert ready["name"] == "engine"
    assert ready["url"] == f"{there.address}user/ada/engine/lab"
    failed = there("stop", "nothing", "--json", check=False)
    assert failed.exit_code == 2  # it knows no --json, and says so in JSON
    failed = there("open", "nothing", "--json", check=False)
    assert stored(failed) == {
        "error": "You have no server called “nothing” there.",
        "hint": "See `atoll --hub … list`.",
        "exit_code": 4,
    }


def test_what_fails_there_fails_here_with_the_same_words_and_exit_code(there):
    there.service.hub.failing["engine"] = "It was too tired."
    ran = there("run", REPO, check=False)
    assert ran.exit_code == 10
    assert "It was too tired." in ran.stderr
    ran = there("run", "https://github.com/nobody/nothing", check=False)
    assert ran.exit_code == 4
    ran = there("run", REPO, "--memory", "9000G", check=False)
    assert ran.exit_code == 2
    assert "at most 16G of memory" in ran.stderr


def test_options_that_contradict_or_cannot_be_there_are_refused_before_it_is_asked(there):
    for words, said in {
        ("run", "."): "The hub cannot see",
        ("run", "/tmp"): "The hub cannot see",
        ("run", f"{REPO} + ~/mine"): "The hub cannot see",
        ("run", REPO, "--no-volumes", "-v", "x"): "It has volumes, or none",
        ("stop", "engine", "--now"): "lets servers end by themselves",
        ("share", "engine", "--with", "bob:own"): "nothing that somebody may do",
        ("build", "."): "is about this machine",
        ("up",): "is about this machine",
        ("backup",): "is about this machine",
    }.items():
        ran = there(*words, check=False)
        assert (ran.exit_code, said in ran.stderr) == (2, True), (words, ran.stderr)
    assert not there.service.store.launches.kept


def test_people_are_let_in_seen_and_let_in_no_more(there):
    there.service.hub.add("carl")
    there("run", REPO, "--no-browser")
    ran = there("share", "engine", "--with", "bob:run", "--with", "carl")
    assert "bob   run" in ran.stdout
    assert "carl  view" in ran.stdout
    made = stored(there("share", "engine", "--link", "view", "--days", "2", "--json"))
    assert made["link"].startswith(there.address)
    (link,) = made["links"]
    after = there("share", "engine", "--take-back", "bob", "--unlink", link["id"]).stdout
    assert "bob" not in after
    assert link["id"] not in after
    told = there("share", "engine", "--copies", "--end-running").stdout
    assert f"{there.address}services/atoll/copies/" in told
    assert stored(there("share", "engine", "--no-copies", "--json"))["copies"] == ""
    assert there("share", "engine", "--end-running", check=False).exit_code == 2
    token = there.service.hub.token_of("bob")
    refused = there("share", "ada/engine", check=False, env={"ATOLL_TOKEN": token})
    assert refused.exit_code == 4  # he is not let in any more


def test_a_server_that_others_share_is_listed_and_opened(there):
    there("run", REPO, "--no-browser")
    there("share", "engine", "--with", "bob:run")
    bob = {"ATOLL_TOKEN": there.service.hub.token_of("bob")}
    assert "ada/engine" in there("list", env=bob).stdout
    opened = there("open", "ada/engine", "--no-browser", env=bob).stdout.strip()
    assert opened == f"{there.address}services/atoll/shared/ada/engine/open"
    assert there("open", "ada/other", env=bob, check=False).exit_code == 4


def test_what_is_for_hubs_alone_says_so_on_this_machine(there):
    for verb in ("start", "share"):
        ran = there.runner.invoke(main, [verb, "x"])
        assert ran.exit_code == 2
        assert f"atoll --hub ADDRESS {verb}" in ran.stderr


def test_volumes_are_made_shared_and_deleted_there(there):
    assert "There are no volumes" in there("volumes").stdout
    made = stored(there("volumes", "make", "x", "--quota", "5G", "--json"))
    assert (made["volume"], made["quota"]) == ("x", 5 * 1024**3)
    there("volumes", "change", "x", "--description", "[red]mine[/red]")
    assert "bob may use x" in there("volumes", "share", "x", "bob", "--write").stdout
    table = there("volumes").stdout
    assert "bob (write)" in table
    assert "[red]mine[/red]" in table  # and not drawn
    there("volumes", "unshare", "x", "bob")
    assert "Made old." in there("volumes", "snapshot", "x", "old").stdout
    there("volumes", "delete", "x")
    there("volumes", "restore", "x")
    assert there("volumes", "delete", "x", "--now", input="n\n", check=False).exit_code == 130
    there("volumes", "delete", "x", "--now", "--yes")
    there("volumes", "hand-over", "old", "bob", "--yes")
    assert stored(there("volumes", "list", "--json")) == []
    assert there("volumes", "delete", "x", check=False).exit_code == 4


def test_sign_in_tries_the_token_keeps_it_and_sign_out_forgets_it(there, tmp_path, monkeypatch):
    token = os.environ["ATOLL_TOKEN"]
    monkeypatch.delenv("ATOLL_TOKEN")
    refused = there("list", check=False)
    assert refused.exit_code == 3
    assert f"atoll sign-in {there.address}" in refused.stderr
    wrong = there("sign-in", there.address, input="not-it\n", check=False)
    assert wrong.exit_code == 3
    assert kept() == []
    ran = there("sign-in", f"{there.address}hub/home", "--no-browser", input=f"{token}\n")
    assert f"{there.address}hub/token" in ran.stderr
    assert f"You are ada at {there.address}" in ran.stdout
    assert token not in ran.output
    assert "You have no servers" in there("list").stdout
    assert f"{there.address}hub/token" in there("sign-out", there.address).stdout
    assert there("sign-out", there.address, check=False).exit_code == 4
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    there("sign-in", there.address, "--token-file", str(file))
    assert kept()[0].token == token
    with Hostile({}) as other:  # which has another port, and is another hub
        ran = there("--hub", other.address, "list", check=False)
    assert ran.exit_code == 3
    assert other.heard == []


def test_help_needs_no_hub(there):
    for words in (["run"], ["volumes", "make"], ["share"]):
        ran = there.runner.invoke(main, ["--hub", "unknown.example.org", *words, "--help"])
        assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize("token", ["a b", "a\nb: c", "\x1b[2J", "ä"])
def test_what_is_no_token_is_not_sent_and_not_shown(there, token):
    ran = there("list", env={"ATOLL_TOKEN": token}, check=False)
    assert ran.exit_code == 2
    assert token not in ran.output


def test_at_a_terminal_a_server_that_differs_is_asked_about(there):
    there("run", REPO, "--no-browser")
    words = ("run", REPO, "--memory", "3G", "--no-browser")

    def answer(how):
        answers = {"What shall be done": f"{how}\n"}
        return at_a_terminal("--hub", there.address, *words, answers=answers)

    status, said = answer("")
    assert (status, "Memory 2G → 3G" in said) == (9, True), said
    status, said = answer("new")
    assert (status, "engine-2 is open at" in said) == (0, True), said
    status, said = answer("update")
    assert (status, "engine is open at" in said) == (0, True), said
    assert {row["name"] for row in stored(there("list", "--json"))} == {"engine", "engine-2"}


def test_who_leaves_a_launch_is_told_that_it_goes_on(there):
    there.service.hub.pause = 30.0
    command = [sys.executable, "-m", "atoll.cli", "--hub", there.address, "run", REPO]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        said = ""
        while "JupyterHub is starting" not in said:
            said += running.stderr.readline()
        running.send_signal(signal.SIGINT)
        said += running.stderr.read()
    assert running.returncode == 130
    assert "You left; the launch goes on there." in said
    assert f"{there.address}services/atoll/launches/" in said
    (launch,) = there.service.store.launches.kept.values()
    assert launch.state is State.STARTING
