"""Kernels that are forks: like those that were started plainly, in whatever a person does."""

import asyncio
import contextlib
import json
import os
import signal
import time

import httpx2
import pytest

from atoll.engines.local.forking import seed
from atoll.engines.local.forking.nursery import Nursery
from atoll.settings import Settings
from support.kernels import run_cell
from support.nurseries import TOKEN, Class

STATE = """
import gc, json, locale, os, platform, resource, signal, site, sys, sysconfig, threading, time
import multiprocessing, multiprocessing.spawn, subprocess
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
mask = os.umask(0)
os.umask(mask)
def told(thing):
    return {name: repr(value) for name, value in thing.trait_values().items()
            if isinstance(value, (bool, int, float, str, bytes, type(None)))
            and name not in ("ident", "pid", "parent_handle", "poller")  # its parent is the seed
            and not any(word in name for word in ("port", "key", "session", "execution", "file"))}
ignored = ("JPY_", "PYTHONHASHSEED")
print(json.dumps({
    "signals": {s.name: str(signal.getsignal(s)).split(" at ")[0] for s in signal.Signals},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": {n: resource.getrlimit(getattr(resource, n))
               for n in dir(resource) if n.startswith("RLIMIT_")},
    "umask": mask,
    "leads its session": os.getsid(0) == os.getpid() == os.getpgrp(),
    "terminal": [os.isatty(number) for number in range(3)],
    "inputs": os.path.realpath("/proc/self/fd/1") == os.path.realpath("/proc/self/fd/2"),
    "locale": locale.getlocale(),
    "encodings": [sys.stdout.encoding, sys.getfilesystemencoding(), sys.flags.utf8_mode],
    "folder": os.getcwd(),
    "nice": os.nice(0),
    "scheduler": os.sched_getscheduler(0),
    "zone": time.tzname,
    "machine": [platform.node(), platform.platform()],
    "collects": [gc.isenabled(), gc.get_threshold()],
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "status": [line for line in open("/proc/self/status")
               if line.split(":")[0] in ("NoNewPrivs", "Seccomp", "CapBnd", "CapEff", "CapPrm",
                                         "CapInh", "CapAmb", "THP_enabled", "SigIgn")],
    "oom": open("/proc/self/oom_score_adj").read(),
    "environ": {k: v for k, v in os.environ.items() if not k.startswith(ignored)},
    "path": [one for one in sys.path],
    "python": [sys.executable, sys.prefix, sys.exec_prefix, sys.base_prefix, sys.version,
               list(sys.flags), sys.warnoptions, sys.dont_write_bytecode, sys._xoptions],
    "arguments": [sys.argv[:2], sys.orig_argv[:-1]],
    "command": open("/proc/self/cmdline").read().rstrip("\\0").split("\\0")[:-1],
    "site": [site.PREFIXES, site.ENABLE_USER_SITE, site.getsitepackages()],
    "places": sysconfig.get_paths(),
    "children": [os.fsdecode(multiprocessing.spawn.get_executable()), multiprocessing.get_start_method(),
                 subprocess._args_from_interpreter_flags()],
    "main": [__name__, sys.modules["__main__"].__dict__ is globals(), "__file__" in globals()],
    "kernel": [told(app), told(app.shell), told(app.kernel), told(app.session)],
}))
"""
FOREIGN = """
import os, sys
for name in ("cmdline", "environ", "maps", "mountinfo", "comm"):
    print(open("/proc/self/" + name, errors="replace").read())
print([os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")
       if os.path.lexists(f"/proc/self/fd/{one}")])
for pid in filter(str.isdigit, os.listdir("/proc")):
    print(open(f"/proc/{pid}/cmdline").read())
"""
DICE = """
import json, multiprocessing, os, random, secrets, ssl, tempfile, uuid
from ipykernel.kernelapp import IPKernelApp
print(json.dumps([random.random(), str(uuid.uuid1()), str(uuid.uuid4()), secrets.token_hex(),
    ssl.RAND_bytes(16).hex(), tempfile.mktemp(), multiprocessing.current_process().authkey.hex(),
    IPKernelApp.instance().session.session]))
"""
FORKED = "'/kernels/' in __import__('IPython').__file__"


@pytest.fixture(scope="module")
def school(tmp_path_factory, fork_server):
    """An installation that has its fork server of kernels; a test may have it replaced."""
    school = Class(tmp_path_factory.mktemp("school"), fork_server)
    yield school
    school.close()


@pytest.fixture
async def lab(school):
    """The URL of a Lab with a seed in its box."""
    school.ready()
    async with school.opened() as base:
        yield base


async def cell(base, code, **how):
    return await run_cell(base, code, headers=TOKEN, **how)


async def test_a_kernel_is_a_fork_and_has_the_environments_modules(lab):
    assert await cell(lab, FORKED) == "True"
    assert await cell(lab, "import pip; print(pip.__file__.split('/lib/')[0])") == "/srv/env"


def flat(told, name=""):
    """Return what was told as a set of lines, so that a difference is one line."""
    if isinstance(told, dict | list):
        pairs = told.items() if isinstance(told, dict) else enumerate(told)
        return {line for key, value in pairs for line in flat(value, f"{name} {key}")}
    return {f"{name} = {told}"}


async def test_it_finds_what_a_kernel_that_started_plainly_finds(school, lab):
    forked = json.loads(await cell(lab, STATE))
    school.runner.nursery.close()
    async with school.opened("plain") as base:
        assert await cell(base, FORKED) == "False"
        plain = json.loads(await cell(base, STATE))
    assert sorted(flat(forked) ^ flat(plain)) == []


async def test_nothing_of_the_fork_server_shows_in_a_kernel(school, lab):
    said = await cell(lab, FOREIGN)
    assert school.ready().name not in said
    assert "forking" not in said
    assert "import sys" not in said


async def test_no_two_kernels_share_their_randomness(school, lab):
    kernels = [json.loads(await cell(lab, DICE)) for _ in range(2)]
    async with school.opened("sibling") as base:
        kernels.append(json.loads(await cell(base, DICE)))
    assert len({value for kernel in kernels for value in kernel}) == 3 * 8


async def test_processes_threads_and_loops_work_as_ever(lab):
    code = """
import asyncio, concurrent.futures, multiprocessing, subprocess, sys, threading
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    print(sum(pool.map(abs, [-1, -2])))
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(len, ["four"]))
await asyncio.sleep(0)
thread = threading.Thread(target=print, args=["thread"]); thread.start(); thread.join()
print(subprocess.check_output([sys.executable, "-c", "import ipykernel; print('child')"], text=True))
!echo shell
%pip --version
"""
    said = (await cell(lab, code)).split()
    assert said[:6] == ["3", "4", "thread", "child", "shell", "pip"]


async def kernel_at(http, base):
    made = await http.post(f"{base}api/kernels", json={"name": "python3"})
    return f"{base}api/kernels/{made.json()['id']}"


async def pids(base, marker):
    """Return the processes of the box's kernels, but for the one that looks."""
    code = f"""
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{{pid}}/cmdline").read()
    if {marker!r} in words and int(pid) != os.getpid():
        print(pid)
"""
    return [int(line) for line in (await cell(base, code)).split()]


async def test_kernels_end_restart_and_are_interrupted(lab):
    async with httpx2.AsyncClient(headers=TOKEN, timeout=30) as http:
        kernel = await kernel_at(http, lab)
        (first,) = await pids(lab, "ipykernel_launcher")
        assert (await http.post(f"{kernel}/interrupt")).status_code == 204
        assert (await http.post(f"{kernel}/restart")).status_code == 200
        (second,) = await pids(lab, "ipykernel_launcher")
        assert second != first
        await http.delete(kernel)
        assert await pids(lab, "ipykernel_launcher") == []


async def test_a_kernel_that_dies_is_noticed_and_started_again(lab):
    async with httpx2.AsyncClient(headers=TOKEN, timeout=30) as http:
        await kernel_at(http, lab)
        (first,) = await pids(lab, "ipykernel_launcher")
        await cell(lab, f"import os; os.kill({first}, 9)")
        until = time.monotonic() + 30
        while (found := await pids(lab, "ipykernel_launcher")) in ([], [first]):
            assert time.monotonic() < until
            await asyncio.sleep(0.5)
        assert len(found) == 1


async def test_when_the_seed_is_killed_its_kernels_end_and_the_next_start_plainly(lab):
    async with httpx2.AsyncClient(headers=TOKEN, timeout=30) as http:
        await kernel_at(http, lab)
    (found,) = await pids(lab, "atoll: kernels")
    with contextlib.suppress(Exception):  # it takes the kernel that does it along
        await cell(lab, f"import os; os.kill({found}, 9)", seconds=3)
    assert await cell(lab, FORKED) == "False"
    assert await pids(lab, "atoll: kernels") == []


async def test_variables_that_only_a_fresh_interpreter_reads_make_a_fresh_one(lab):
    code = """
import os, sys
sys.path.append("/run/atoll/inside")
from seed_provisioner import KERNEL, seeded
cmd = [*KERNEL, "--version"]
print(seeded(cmd).wait(20), seeded(cmd, env={**os.environ, "PYTHONHASHSEED": "0"}),
      seeded(["/srv/env/bin/python", "-X", "dev", "-m", "ipykernel_launcher"]),
      seeded(["bash"]), seeded(cmd, independent=True))
"""
    assert (await cell(lab, code)).endswith("0 None None None None")


async def test_the_seed_lives_through_nonsense(lab):
    code = f"""
import socket
for said in (b"", b"x", b"[]", b"{{}}", b'{{"module": 1}}', b"9" * 100_000):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as nonsense:
        nonsense.connect({seed.PLACE!r})
        if said:
            nonsense.send(said)
        else:
            nonsense.shutdown(socket.SHUT_WR)
        print(nonsense.recv(100))
"""
    assert set((await cell(lab, code)).splitlines()) == {"b''"}
    assert await cell(lab, FORKED) == "True"


async def test_what_a_kernel_prints_by_itself_is_in_the_servers_log(school, lab):
    await cell(lab, "import os; os.system('echo from the depth >&2'); os.write(2, b'and beyond')")
    (record,) = [record for record, alive in school.runner.records.all() if alive]
    until = time.monotonic() + 10
    while "and beyond" not in (said := school.runner.log(record.handle)):
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    assert "from the depth" in said


async def test_without_its_fork_server_servers_start_and_kernels_start_plainly(school):
    school.ready()
    (started,) = school.runner.nursery._started.values()
    os.kill(started.process.pid, signal.SIGSTOP)
    for pid in children(started.process.pid):
        os.kill(pid, signal.SIGKILL)
    started.process.kill()
    started.process.wait()
    async with school.opened() as base:
        assert await cell(base, FORKED) == "False"
    assert school.runner.nursery.take(school.layer) is None  # and not started over and over
    school.runner.nursery.close()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(one) for one in file.read().split()]


def test_fork_servers_end_with_whoever_started_them(school):
    place = school.ready()
    (started,) = school.runner.nursery._started.values()
    until = time.monotonic() + 30
    while not (below := children(started.process.pid)):  # its place is there a moment earlier
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(below) == 1
    started.process.stdin.close()
    started.process.wait(10)
    until = time.monotonic() + 10
    while os.path.exists(f"/proc/{below[0]}"):
        assert time.monotonic() < until
        time.sleep(0.05)
    started.process.stdin = None
    school.runner.nursery.close()
    assert place.exists()  # the next one takes it


def test_the_one_that_was_not_asked_for_longest_gives_way(tmp_path):
    """Stand-ins that only wait: what matters here is who is ended."""
    nursery = Nursery(Settings(data=tmp_path, servers={"kernel_forks": 2}))
    layers = [tmp_path / name for name in ("one", "two", "three")]
    for layer in layers:
        python = layer / "env" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text("#!/bin/sh\nexec cat\n")
        python.chmod(0o755)
    nursery._place(layers[0]).parent.mkdir(parents=True, exist_ok=True)
    for layer in (*layers[:2], layers[0], layers[2]):
        assert nursery.take(layer) is None
    assert set(nursery._started) == {layers[0], layers[2]}
    nursery.close()
    assert nursery._started == {}


def test_none_are_started_when_the_operator_wants_none(tmp_path):
    nursery = Nursery(Settings(data=tmp_path, servers={"kernel_forks": 0}))
    assert nursery.take(tmp_path / "layer") is None
    assert nursery._started == {}


def test_both_sides_look_in_the_same_place():
    from importlib.util import module_from_spec, spec_from_file_location

    from atoll.engines.local import commands

    found = spec_from_file_location("provisioner", commands.INSIDE / "seed_provisioner.py")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    assert module.PLACE == seed.PLACE
    assert module.KERNEL[0] == f"{commands.ENVIRONMENT}/bin/python"
