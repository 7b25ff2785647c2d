"""Servers as people have them: real Labs in real boxes."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from traitlets.config import Config

from atoll.engines.local import cgroups, records, runner
from atoll.engines.local.commands import INSIDE
from atoll.engines.local.forking.client import place as client_place
from atoll.engines.local.runner import LocalRunner, open_gate
from atoll.engines.local.volumes import kept_home
from atoll.errors import StartFailed
from atoll.folders import run_folder
from atoll.settings import Settings
from atoll.sources import RepoRef
from support.kernels import run_cell
from support.plans import make_plan

TOKEN = {"Authorization": "token s3cret"}
ENVIRON = {"JUPYTER_TOKEN": "s3cret"}


@pytest.fixture
def settings(tmp_path):
    settings = Settings(data=tmp_path / "data")
    yield settings
    left = list((run_folder(settings) / "servers").glob("*"))
    assert left == []


# How an ordinary user's servers start plainly is what the tests of `atoll run` try.
STARTS = ["plain", "forked"] if os.geteuid() == 0 else ["forked"]
# For what becomes of homes, which are made ready before there is a fork or none.
as_fork = pytest.mark.parametrize("servers", ["forked"], indirect=True)


@pytest.fixture(params=STARTS)
async def servers(settings, request):
    if request.param == "forked":
        request.getfixturevalue("fork_server").serve(settings)
    local = LocalRunner(settings)
    yield local
    for record, _ in list(local.records.all()):
        await local.stop(record.handle, now=True)
    for child in local._children.values():  # of servers that another runner stopped
        child.process.wait(5)


def test_what_is_known_of_a_server_is_what_stands_in_its_folder_now(settings):
    local = LocalRunner(settings)
    file = settings.data / "servers" / "abc" / "server.json"
    file.parent.mkdir(parents=True)
    known = {"handle": "abc", "plan": "p", "owner": "ada", "name": "n", "init": 0, "born": ""}
    known |= {"socket": "", "temporary": False, "started": 0.0, "notes": ()}
    assert local.records.find("abc") is None
    for process in (7, 8):
        aside = file.with_name("aside")
        aside.write_text(json.dumps(known | {"init": process}))
        aside.replace(file)
        assert [local.records.find("abc").init for _ in range(2)] == [process] * 2
    file.unlink()
    assert local.records.find("abc") is None


def client(server):
    transport = httpx2.AsyncHTTPTransport(uds=server.socket)
    return httpx2.AsyncClient(transport=transport, base_url="http://lab", timeout=30)


async def write(server, name, text):
    body = {"type": "file", "format": "text", "content": text}
    async with client(server) as http:
        (await http.put(f"/api/contents/{name}", json=body, headers=TOKEN)).raise_for_status()


async def read(server, name):
    async with client(server) as http:
        answer = await http.get(f"/api/contents/{name}", headers=TOKEN)
        return answer.json()["content"] if answer.status_code == 200 else None


async def test_a_lab_answers_whoever_has_its_token_and_nobody_else(settings, servers):
    plan = make_plan(settings.data, {"a.txt": "from the repository"})
    server = await servers.start(plan, ENVIRON)
    async with client(server) as http:
        assert (await http.get("/lab", headers=TOKEN)).status_code == 200
        assert (await http.get("/api/contents", headers=TOKEN)).status_code == 200
    async with client(server) as http:
        assert (await http.get("/api/contents")).status_code == 403
    assert await read(server, "a.txt") == "from the repository"
    assert stat.S_IMODE(Path(server.socket).parent.stat().st_mode) == 0o700


@as_fork
async def test_a_kept_server_finds_its_changes_again_and_a_temporary_one_starts_afresh(
    settings, servers
):
    for temporary, expected in ((False, "changed"), (True, "first")):
        name = "temporary" if temporary else "kept"
        plan = make_plan(settings.data, {"a.txt": "first"}, name=name, temporary=temporary)
        server = await servers.start(plan, ENVIRON)
        await write(server, "a.txt", "changed")
        await servers.stop(server.handle)
        again = await servers.start(plan, ENVIRON)
        assert await read(again, "a.txt") == expected
        await servers.stop(again.handle)
    assert (Path(plan.content.checkout) / "a.txt").read_text() == "first"


async def test_a_server_outlives_us_and_is_found_again(settings, servers):
    server = await servers.start(make_plan(settings.data, {}), ENVIRON)
    successor = LocalRunner(settings)
    assert await successor.status(server.handle) is None
    assert [record.handle for record, alive in successor.records.all() if alive] == [server.handle]
    await successor.stop(server.handle)
    assert await successor.status(server.handle) is not None
    assert list(successor.records.all()) == []


async def test_stopping_leaves_no_process_no_socket_and_no_group(settings, servers):
    server = await servers.start(make_plan(settings.data, {}), ENVIRON)
    record = servers.records.find(server.handle)
    await servers.stop(server.handle)
    assert not record.alive
    assert not Path(server.socket).parent.exists()
    assert cgroups.find(server.handle).folders == ()
    assert servers.log(server.handle) == ""
    await servers.stop(server.handle)  # stopping what is gone is fine


async def test_where_no_hub_looks_after_it_a_server_ends_by_itself(settings, servers):
    server = await servers.start(make_plan(settings.data, {}), ENVIRON | {"ATOLL_LIFETIME": "3"})
    async with asyncio.timeout(60):
        while await servers.status(server.handle) is None:
            await asyncio.sleep(0.1)
    await servers.stop(server.handle)


def test_an_idle_time_of_its_own_is_jupyters_to_keep(monkeypatch):
    monkeypatch.setenv("ATOLL_IDLE", "3600")
    path = INSIDE / "jupyter_server_config.py"
    found = {"get_config": Config, "__file__": str(path)}
    exec(compile(path.read_text(), "config", "exec"), found)
    assert found["c"].ServerApp.shutdown_no_activity_timeout == 3600
    # It waits for kernels and terminals, so that these end, too, if nobody uses them.
    assert found["c"].MappingKernelManager.cull_idle_timeout == 3600
    assert found["c"].TerminalManager.cull_inactive_timeout == 3600


async def test_a_killed_server_is_seen_to_be_gone_and_keeps_its_files(settings, servers):
    plan = make_plan(settings.data, {})
    server = await servers.start(plan, ENVIRON)
    await write(server, "mine.txt", "work")
    os.kill(servers.records.find(server.handle).init, signal.SIGKILL)
    await asyncio.sleep(0.3)
    assert await servers.status(server.handle) is not None
    await servers.stop(server.handle)
    again = await servers.start(plan, ENVIRON)
    assert await read(again, "mine.txt") == "work"


@as_fork
async def test_a_kill_in_the_middle_of_saving_leaves_a_whole_file(settings, servers):
    plan = make_plan(settings.data, {})
    for attempt in range(3):
        server = await servers.start(plan, ENVIRON)
        if attempt == 0:
            await write(server, "n.json", json.dumps(["0"] * 200_000))

        async def save(server=server, attempt=attempt):
            for turn in range(100):
                await write(server, "n.json", json.dumps([f"{attempt}{turn}"] * 200_000))

        saving = asyncio.create_task(save())
        await asyncio.sleep(0.15 + 0.05 * attempt)
        os.kill(servers.records.find(server.handle).init, signal.SIGKILL)
        with contextlib.suppress(httpx2.HTTPError):
            await saving
        await servers.stop(server.handle)
        home = next((settings.data / "volumes" / "ada" / "first").glob("home"))
        saved = json.loads((home / "n.json").read_text())
        assert len(saved) == 200_000
        assert len(set(saved)) == 1


async def test_the_authors_start_script_runs_before_the_lab(settings, servers):
    script = (
        '#!/bin/bash\nexport GREETING="hello $NB_USER"\necho "$GREETING" > started\nexec "$@"\n'
    )
    plan = make_plan(settings.data, {"binder/start": script}, start="binder/start")
    server = await servers.start(plan, ENVIRON)
    assert await read(server, "started") == "hello jovyan\n"


async def test_a_start_script_that_fails_says_why(settings, servers):
    script = "#!/bin/bash\necho no licence server\nexit 3\n"
    plan = make_plan(settings.data, {"start": script}, start="start")
    with pytest.raises(StartFailed) as caught:
        await servers.start(plan, ENVIRON)
    assert "no licence server" in caught.value.hint
    assert list(servers.records.all()) == []


@as_fork
async def test_a_half_made_home_of_an_interrupted_copy_is_made_anew(settings, servers):
    plan = make_plan(settings.data, {"a.txt": "whole"})
    making = settings.data / "volumes" / "ada" / "first" / ".home.making"
    making.mkdir(parents=True)
    (making / "a.txt").write_text("ha")
    server = await servers.start(plan, ENVIRON)
    assert await read(server, "a.txt") == "whole"


@as_fork
async def test_files_of_two_repositories_are_never_mixed(settings, servers):
    plan = make_plan(settings.data, {"mine.txt": "1"})
    await servers.stop((await servers.start(plan, ENVIRON)).handle)
    ref = replace(plan.ref, repo=RepoRef("git", "https://example.org/other"))
    with pytest.raises(StartFailed, match="another repository"):
        await servers.start(replace(plan, ref=ref), ENVIRON)


@as_fork
async def test_a_server_whose_environment_is_gone_says_what_to_do(settings, servers):
    plan = make_plan(settings.data, {"a.txt": "a"})
    (Path(plan.environment.handle) / "atoll.json").unlink()
    with pytest.raises(StartFailed, match="environment of this server is not here") as failed:
        await servers.start(plan, ENVIRON)
    assert "My servers" in failed.value.hint


async def test_starting_again_ends_the_box_that_nobody_noted(settings, servers):
    plan = make_plan(settings.data, {})
    lost = await servers.start(plan, ENVIRON)  # and the hub dies before it stores the handle
    successor = LocalRunner(settings)
    found = await successor.start(plan, ENVIRON)
    assert [record.handle for record, _ in servers.records.all()] == [found.handle]
    assert await servers.status(lost.handle) is not None
    await successor.stop(found.handle)


async def test_a_start_that_was_broken_off_is_cleared_up(settings, servers, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt  # and nothing after it is done, as after a kill -9

    plan = make_plan(settings.data, {}, temporary=True)
    with monkeypatch.context() as patched:
        for name, does in (("fill", die), ("remove", lambda _: None)):
            patched.setattr(runner, name, does)
        with pytest.raises(KeyboardInterrupt):
            servers._start("broken-off", plan, ENVIRON)
    assert [(record.handle, alive) for record, alive in servers.records.all()] == [
        ("broken-off", False)
    ]
    await LocalRunner(settings).clear(plan.owner.name, plan.name)
    assert list((settings.data / "servers").iterdir()) == []
    assert list((run_folder(settings) / "servers").iterdir()) == []


SWAP = """#!/usr/bin/python3
import os, subprocess, sys, time
from pathlib import Path
server, home = Path("/run/atoll/server"), Path.home()
lab = subprocess.Popen(sys.argv[1:])
while not (home / "swap").exists():
    time.sleep(0.05)
(server / "lab.sock").rename(server / "real.sock")
(server / "lab.sock").symlink_to((home / "aim").read_text())
os.chdir(server)
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
(home / "swapped").touch()
lab.wait()
"""


async def test_a_server_cannot_make_us_connect_to_another_socket(settings, servers, monkeypatch):
    monkeypatch.setattr(runner, "GENTLE", 1.0)  # its start script does not end by itself
    other = run_folder(settings) / "other.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(other))
        listening.listen()
        listening.settimeout(1)
        files = {"start": SWAP, "aim": str(other), "x": "mine"}
        plan = make_plan(settings.data, files, start="start")
        Path(plan.content.checkout, "start").chmod(0o755)
        server = await servers.start(plan, ENVIRON)
        home = settings.data / "volumes" / "ada" / "first" / "home"
        (home / "swap").touch()
        while not (home / "swapped").exists():
            await asyncio.sleep(0.1)
        assert await read(server, "x") == "mine"
        with pytest.raises(TimeoutError):
            listening.accept()
    other.unlink()
    await servers.stop(server.handle)  # which clears up folders nested thousands deep, too
    assert list(servers.records.all()) == []
    assert not Path(server.socket).parent.exists()


async def test_a_server_whose_socket_is_a_link_never_listens(settings, servers, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", 2.0)
    other = run_folder(settings) / "other.sock"
    script = f"#!/bin/sh\nln -s {other} /run/atoll/server/lab.sock\nsleep 60\n"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(other))
        listening.listen()
        plan = make_plan(settings.data, {"start": script}, start="start")
        with pytest.raises(StartFailed, match="did not listen"):
            await servers.start(plan, ENVIRON)
    other.unlink()


async def test_of_what_a_server_printed_only_the_end_is_kept(settings, servers):
    script = '#!/bin/bash\nyes flood | head -c 3000000\necho the end\nexec "$@"\n'
    plan = make_plan(settings.data, {"start": script}, start="start")
    server = await servers.start(plan, ENVIRON)
    await servers.stop(server.handle)
    kept = settings.data / "logs" / "servers" / f"{server.handle}.txt"
    assert "the end" in kept.read_text()
    assert kept.stat().st_size <= records.LOG_TAIL


@as_fork
async def test_removing_deletes_the_files_of_that_server_only(settings, servers):
    for name in ("one", "two"):
        server = await servers.start(make_plan(settings.data, {"f": "x"}, name=name), ENVIRON)
        await servers.stop(server.handle)
    assert await servers.size("ada", "one") > 0
    await servers.remove("ada", "one")
    assert await servers.size("ada", "one") == 0
    assert await servers.size("ada", "two") > 0
    await servers.remove("ada", "one")  # there may be none


@as_fork
async def test_a_gate_forwards_a_port_until_the_server_is_gone(settings, servers):
    server = await servers.start(make_plan(settings.data, {}), ENVIRON)
    port = open_gate(servers.records.find(server.handle))
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/api/contents", headers=TOKEN)
        assert answer.status_code == 200
    await servers.stop(server.handle)
    for _ in range(50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        await asyncio.sleep(0.1)
    pytest.fail("the gate stayed open")


async def test_a_server_does_not_see_another_persons_files_or_our_data(settings, servers):
    await servers.start(make_plan(settings.data, {"secret": "x"}, owner="ada"), ENVIRON)
    eve = await servers.start(make_plan(settings.data, {}, owner="eve"), ENVIRON)
    pid = runner._servers_of(servers.records.find(eve.handle))[0]
    seen = Path(f"/proc/{pid}/root")
    for path in (settings.data, run_folder(settings), Path("/etc/shadow"), Path("/root/.ssh")):
        assert not (seen / path.relative_to("/")).exists()
    assert sorted(one.name for one in (seen / "run/atoll").iterdir()) == ["inside", "server"]
    assert sorted(one.name for one in (seen / "run/atoll/server").iterdir()) == ["lab.sock"]


async def test_a_kernel_runs_code_and_nothing_is_lost_of_its_box(settings, servers):
    plan = make_plan(settings.data, {"data.csv": "1,2"})
    server = await servers.start(plan, ENVIRON)
    port = open_gate(servers.records.find(server.handle))
    code = "import os; print(open('data.csv').read(), os.environ['REPO_DIR'], os.getcwd())"
    said = await run_cell(f"http://127.0.0.1:{port}/", code, headers=TOKEN)
    assert said == "1,2 /home/jovyan /home/jovyan"


@as_fork
async def test_kept_files_stay_of_the_version_that_they_were_filled_from(settings, servers):
    first = make_plan(settings.data, {"story": "once"})
    assert await servers.origin("ada", "first") == ""
    server = await servers.start(first, ENVIRON)
    assert not [note for note in server.notes if "Your files" in note]
    await servers.stop(server.handle)
    assert "Jupyter Server" in servers.last_log("ada", "first")
    assert servers.last_log("eve", "first") == ""
    plan = make_plan(settings.data, {"story": "twice"})
    repo = RepoRef("git", "https://example.org/r", "main")
    later = replace(plan, ref=replace(plan.ref, repo=repo, version="ac7c6a1" + "0" * 33))
    server = await servers.start(later, ENVIRON)
    assert await read(server, "story") == "once"
    assert await servers.origin("ada", "first") == "c0ffee"
    [note] = [note for note in server.notes if "Your files" in note]
    assert "of version c0ffee, as you left them; main is now ac7c6a1" in note
    await servers.stop(server.handle)
    await servers.remove("ada", "first")
    server = await servers.start(later, ENVIRON)
    assert await read(server, "story") == "twice"
    assert await servers.origin("ada", "first") == later.ref.version


@as_fork
async def test_of_files_from_before_versions_were_noted_nothing_is_said(settings, servers):
    plan = make_plan(settings.data, {"story": "once"})
    server = await servers.start(plan, ENVIRON)
    await servers.stop(server.handle)
    note = kept_home(settings, "ada", "first").with_name("origin.txt")
    note.write_text("https://example.org/r")
    server = await servers.start(plan, ENVIRON)
    assert await servers.origin("ada", "first") == ""
    assert not [note for note in server.notes if "Your files" in note]


async def test_a_lab_is_a_fork_where_there_is_a_fork_server_and_no_start_script(
    settings, fork_server
):
    local = LocalRunner(settings)
    plain = await local.start(make_plan(settings.data, {}, name="plain"), ENVIRON)
    fork_server.serve(settings)
    forked = await local.start(make_plan(settings.data, {}, name="forked"), ENVIRON)
    files = {"start": '#!/bin/sh\nexec "$@"\n'}
    plan = make_plan(settings.data, files, name="own-start", start="start")
    own_start = await local.start(plan, ENVIRON)
    found = {record.name: bool(record.fork) for record, _ in local.records.all()}
    assert found == {"plain": False, "forked": True, "own-start": False}
    for server in (plain, forked, own_start):
        await local.stop(server.handle)


async def test_a_fork_server_that_cannot_is_done_without(settings, tmp_path):
    def useless():
        for answer in (b"", b'{"error": "no"}', b"{}"):
            with listening.accept()[0] as caller:
                if answer:
                    caller.recv(65536)
                    caller.send(answer)

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(client_place(settings)))
        listening.listen()
        listening.settimeout(30)  # if the test fails in the middle
        answering = asyncio.create_task(asyncio.to_thread(useless))
        local = LocalRunner(settings)
        for _ in range(3):
            server = await local.start(make_plan(settings.data, {}), ENVIRON)
            assert not local.records.find(server.handle).fork
            assert bool(cgroups.find(server.handle).folders) == bool(cgroups.control().parents)
            await local.stop(server.handle)
        await answering


async def test_a_server_that_prints_without_end_fills_no_disk(settings, servers, monkeypatch):
    script = '#!/bin/bash\nyes flood | head -c 3000000\necho the end\nexec "$@"\n'
    plan = make_plan(settings.data, {"start": script}, start="start")
    server = await servers.start(plan, ENVIRON)
    log = settings.data / "servers" / server.handle / "log.txt"
    assert log.stat().st_size > 3_000_000
    monkeypatch.setattr(records, "LOG_MOST", 1_000_000)
    assert await servers.status(server.handle) is None
    assert log.stat().st_size < 300_000
    assert "the end" in servers.log(server.handle)
    before = log.stat().st_size
    async with client(server) as http:
        await http.get("/api/contents/there-is-none", headers=TOKEN)
    while log.stat().st_size == before:  # what is logged now comes at the new end
        await asyncio.sleep(0.05)
    assert log.stat().st_size < 300_000


async def test_a_server_that_lets_nobody_in_holds_up_nobody(settings, servers):
    server = await servers.start(make_plan(settings.data, {}), ENVIRON)
    record = servers.records.find(server.handle)
    inner = Path(record.socket).parent / runner.INNER / "lab.sock"
    inner.unlink()
    with contextlib.ExitStack() as full:
        listening = full.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(inner))
        listening.listen(0)
        for _ in range(3):
            waiting = full.enter_context(socket.socket(socket.AF_UNIX))
            waiting.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(str(inner))
        asked = asyncio.to_thread(servers._take_socket, record)
        assert await asyncio.wait_for(asked, 5) is False


async def test_a_process_that_has_a_servers_number_by_now_is_left_alone(settings, servers):
    server = await servers.start(make_plan(settings.data, {}), ENVIRON)
    record = servers.records.find(server.handle)
    other = replace(record, fork=os.getpid(), fork_born="another boot 7")
    assert runner._servers_of(other) == []
    assert len(runner._servers_of(record)) == 1
