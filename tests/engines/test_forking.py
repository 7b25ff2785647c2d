"""Forks are like servers that were started plainly, and nothing of the fork server is in them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from atoll.engines.local.forking import client
from atoll.folders import run_folder
from atoll.settings import Settings
from support.boxes import in_box
from support.forks import ForkServer

STATE = """
import gc, json, locale, os, platform, resource, signal, sys, threading, time
mask = os.umask(0)
print(json.dumps({
    "signals": {s.name: str(signal.getsignal(s)) for s in signal.Signals},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": {n: resource.getrlimit(getattr(resource, n))
               for n in dir(resource) if n.startswith("RLIMIT_")},
    "umask": mask,
    "session of the box": os.getsid(0) > 0,
    "terminal": os.isatty(0),
    "parent": os.getppid() < 3,
    "locale": locale.getlocale(),
    "encodings": [sys.stdout.encoding, sys.getfilesystemencoding()],
    "folder": os.getcwd(),
    "nice": os.nice(0),
    "scheduler": os.sched_getscheduler(0),
    "zone": time.tzname,
    "machine": platform.node(),
    "threads": threading.active_count(),
    "collects": [gc.isenabled(), gc.get_threshold()],
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "children": os.popen("cat /proc/self/oom_score_adj").read(),
    "status": [line for line in open("/proc/self/status")
               if line.split(":")[0] in ("NoNewPrivs", "Seccomp", "CapBnd", "THP_enabled", "SigIgn")],
}))
"""
DICE = """
import json, multiprocessing, os, random, secrets, ssl, tempfile, uuid
from jupyter_client.session import Session
from jupyter_server.auth.identity import IdentityProvider
print(json.dumps({
    "random": random.random(),
    "another": random.SystemRandom().random(),
    "uuid1": str(uuid.uuid1()),
    "uuid4": str(uuid.uuid4()),
    "token": secrets.token_hex(),
    "ssl": ssl.RAND_bytes(16).hex(),
    "temporary": tempfile.mktemp(),
    "processes": bytes(multiprocessing.current_process().authkey).hex(),
    "kernels": Session().key.hex(),
    "people": IdentityProvider().token,
}))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return a fork server that a test may harm."""
    server = ForkServer(tmp_path_factory.mktemp("harmed"))
    yield server
    server.close()


async def test_a_fork_finds_what_a_plain_start_finds(fork_server):
    environ = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    plain, forked = [
        json.loads((await run(STATE, environ=environ))[1]) for run in (in_box, fork_server.run)
    ]
    assert forked == plain


async def test_no_two_forks_share_their_randomness(fork_server):
    one, other = [json.loads((await fork_server.run(DICE))[1].splitlines()[-1]) for _ in range(2)]
    assert not set(map(str, one.values())) & set(map(str, other.values()))
    assert len(one) == 10


async def test_every_source_of_randomness_in_memory_is_another_one(fork_server):
    code = """
import gc, random
gc.unfreeze()
print(sorted({hash(one.getstate()) for one in gc.get_objects() if isinstance(one, random.Random)
              and type(one) is random.Random}))
"""
    one, other = [eval((await fork_server.run(code))[1]) for _ in range(2)]
    assert one
    assert not set(one) & set(other)


async def test_nothing_of_the_fork_server_shows_in_a_fork(fork_server):
    code = """
import gc, os, sys
for name in ("cmdline", "environ", "maps", "mountinfo", "comm"):
    print(open("/proc/self/" + name, errors="replace").read())
print(os.listdir("/proc/self/task"), os.readlink("/proc/self/exe"))
print([one for one in gc.get_objects() if type(one).__name__ == "socket"])
print(sys.argv, sys.path)
"""
    status, said = await fork_server.run(code, environ={"TOKEN": "s3cret"})
    assert status == 0
    assert str(fork_server.path) not in said
    assert fork_server.path.name not in said
    assert str(fork_server.settings.data) not in said
    assert "atoll: fork server" not in said
    assert str(fork_server.keeper.pid) not in said.split()


async def test_what_no_lab_needs_is_not_in_memory_and_can_be_had(fork_server):
    name = "rfc3987_syntax"
    code = f"import sys; print({name!r} in sys.modules, 'jsonschema' in sys.modules); import {name}"
    assert await fork_server.run(code) == (0, "False True")


async def test_the_interpreter_that_a_fork_sees_can_be_changed_by_nobody(fork_server):
    code = """
import os
for path in ("/proc/self/exe", "/proc/thread-self/exe"):
    for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        try:
            os.open(path, how)
            print("opened", path)
        except OSError as error:
            pass
print(os.readlink("/proc/self/exe"))
"""
    status, said = await fork_server.run(code)
    assert (status, said) == (0, "/memfd:python (deleted)")


async def test_a_fork_reaches_neither_the_fork_server_nor_its_sibling(fork_server):
    sibling = asyncio.create_task(fork_server.run("import time; time.sleep(2)"))
    await asyncio.sleep(0.5)
    code = f"""
import os, signal, socket
try:
    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect({str(fork_server.path)!r})
    print("connected")
except OSError:
    pass
for pid in range(2, 2 ** 15):
    if pid != os.getpid():
        try:
            os.kill(pid, 0)
            print(pid, open(f"/proc/{{pid}}/cmdline").read())
        except OSError:
            pass
"""
    status, said = await fork_server.run(code)
    assert status == 0
    assert [line for line in said.splitlines() if not line.startswith("2 /bin/sh")] == []
    await sibling


async def test_the_box_ends_with_the_fork_whatever_it_leaves_behind(fork_server, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = """
import os, time
if os.fork() == 0:
    while True:
        open("alive", "w").write(str(time.time()))
        time.sleep(0.05)
time.sleep(0.3)
os.kill(os.getpid(), 9)
"""
    status, _ = await fork_server.run(code, home=home)
    assert status != 0
    before = (home / "alive").read_text()
    await asyncio.sleep(0.3)
    assert (home / "alive").read_text() == before


async def test_a_fork_that_is_traced_is_forgotten_too(own):
    code = "import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0))"
    for _ in range(3):
        await own.run(code, timeout=20)
    path = Path(f"/proc/{answerers(own)[0]}/task/{answerers(own)[0]}/children")
    until = time.monotonic() + 10
    while path.read_text():
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


def test_the_fork_server_itself_looks_into_nobodys_home_and_no_environment():
    assert not [value for value in client.ENVIRON.values() if "jovyan" in value or "/srv" in value]
    assert "-s" in client.command(Settings())


def answerers(server):
    path = Path(f"/proc/{server.keeper.pid}/task/{server.keeper.pid}/children")
    return [int(one) for one in path.read_text().split()]


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
async def test_a_dead_or_wedged_answerer_is_replaced_within_seconds(own, harm):
    before = answerers(own)
    begun = time.monotonic()
    for one in before:
        os.kill(one, harm)
    while set(answerers(own)) & set(before) or not answerers(own):
        assert time.monotonic() - begun < 10
        await asyncio.sleep(0.02)
    assert await own.run("print('here')") == (0, "here")


async def test_servers_live_on_when_the_fork_server_dies(own):
    async def script():
        return await own.run("import time; time.sleep(2); print('alive')")

    task = asyncio.create_task(script())
    await asyncio.sleep(1)
    for one in answerers(own):
        os.kill(one, signal.SIGKILL)
    assert await task == (0, "alive")


async def test_without_its_keeper_it_answers_until_the_next_one_takes_over(tmp_path):
    first = ForkServer(tmp_path)
    first.keeper.kill()
    first.keeper.wait()
    assert await first.run("print('alone')") == (0, "alone")
    before = first.path.stat().st_ino
    second = ForkServer.__new__(ForkServer)
    second.settings, second.path = first.settings, first.path
    second.start()
    while second.path.stat().st_ino == before:
        assert second.keeper.poll() is None
        await asyncio.sleep(0.1)
    assert await second.run("print('next')") == (0, "next")
    second.close()


def test_what_a_rehearsal_that_was_killed_has_left_is_removed(tmp_path):
    folder = run_folder(Settings(data=tmp_path)) / "rehearsal"
    (folder / "local").mkdir(parents=True)
    one = ForkServer(tmp_path)
    try:
        assert not folder.exists()
    finally:
        one.close()


async def test_whoever_asks_for_nonsense_harms_nobody(own):
    for message in (b"", b"x", b"{}", b'{"app": "os:system"}', b"\0" * 100_000, b"[" * 50_000):
        with contextlib.closing(client.call(own.path)) as caller:
            if message:
                caller.send(message)
            else:
                caller.shutdown(socket.SHUT_WR)
            said = caller.recv(4096)
            assert said == b"" or "error" in json.loads(said)
    assert await own.run("print('here')") == (0, "here")


async def test_a_box_that_is_gone_is_not_entered(own):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
    with contextlib.closing(client.call(own.path)) as caller:
        ours, theirs = socket.socketpair()
        asked = {"owner": None, "entrances": [], "rlimits": {}, "seccomp": ""}
        process.kill()
        box = os.pidfd_open(process.pid)
        await process.wait()
        with ours, theirs:
            fds = [box, 1, ours.fileno()]
            socket.send_fds(caller, [json.dumps(asked).encode()], fds)
            assert "the box is gone" in json.loads(caller.recv(4096))["error"]
        os.close(box)


async def test_without_a_fork_server_there_is_none_to_call(tmp_path):
    settings = Settings(data=tmp_path)
    with pytest.raises(client.NotForked, match="no fork server"):
        client.call(client.place(settings))
    assert not await client.answers(client.place(settings))


def test_what_is_compiled_does_not_change_its_place_and_what_is_installed_does(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(client.sysconfig, "get_path", lambda _: str(tmp_path))
    (tmp_path / "jupyterlab-4.4.0.dist-info").mkdir()
    settings = Settings(data=tmp_path / "data")
    before = client.place(settings)
    (tmp_path / "__pycache__").mkdir()
    assert client.place(settings) == before
    (tmp_path / "jupyterlab-4.4.0.dist-info").rename(tmp_path / "jupyterlab-4.5.0.dist-info")
    assert client.place(settings) != before


async def test_it_says_that_it_answers(own):
    assert await client.answers(own.path)
