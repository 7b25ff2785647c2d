"""Each promise of a box, tried from inside it."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from atoll.engines.local import cgroups, sandbox
from atoll.engines.local.layout import COPY
from atoll.engines.local.owners import give
from atoll.engines.local.sandbox import Bind
from atoll.errors import BuildFailed
from atoll.servers import Limits
from support.boxes import OWNER, in_box

MiB = 1024**2


async def test_it_has_its_own_home_and_says_what_it_prints(inside, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    status, said = await inside("open('x', 'w').write('hi'); print('made')", home=home)
    assert (status, said) == (0, "made")
    assert (home / "x").read_text() == "hi"
    if OWNER:
        assert (home / "x").stat().st_uid == OWNER


async def test_its_exit_code_comes_out(inside):
    assert (await inside("raise SystemExit(7)"))[0] == 7


async def test_it_sees_nothing_of_the_host_but_the_system(inside, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("password")
    secret.chmod(0o644)
    wanted = [str(secret), "/etc/shadow", "/var/log", "/root/.bashrc", "/etc/hostname", "/boot"]
    wanted += ["/sys/kernel", "/dev/sda", "/dev/vda", "/dev/mem", "/dev/kmsg", "/run/docker.sock"]
    code = f"import os; print([p for p in {wanted} if os.path.exists(p)])"
    assert (await inside(code)) == (0, "[]")


async def test_the_system_and_bound_folders_cannot_be_written(inside, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("ours")
    give(shared, OWNER)
    code = """
import os
for path in ("/usr/x", "/etc/x", "/x", "/etc/passwd", "/srv/shared/x", "/srv/shared/file", "/bin/x"):
    try:
        open(path, "w").close()
        print("wrote", path)
    except OSError:
        pass
try:
    os.chmod("/srv/shared/file", 0o777)
    print("chmod")
except OSError:
    pass
"""
    assert (await inside(code, binds=[Bind(shared, "/srv/shared")])) == (0, "")
    assert (shared / "file").read_text() == "ours"


async def test_the_environment_is_also_where_scripts_for_binder_look_for_it(inside, tmp_path):
    environment = tmp_path / "env"
    environment.mkdir()
    (environment / "file").write_text("here")
    give(environment, OWNER)
    code = """
for name in ("notebook", "kernel"):
    print(open(f"/srv/conda/envs/{name}/file").read())
"""
    assert (await inside(code, binds=[Bind(environment, "/srv/env")])) == (0, "here\nhere")


async def test_it_has_no_capability_no_new_privileges_and_a_filter(inside):
    status = (await inside("print(open('/proc/self/status').read())"))[1]
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


async def test_it_has_namespaces_of_its_own(inside):
    names = ["user", "mnt", "pid", "ipc", "uts", "cgroup", "net"]
    code = f"import os; print([os.readlink('/proc/self/ns/' + n) for n in {names}])"
    inside = set(eval((await inside(code))[1]))
    outside = {os.readlink(f"/proc/self/ns/{n}") for n in names}
    assert len(inside) == len(names)
    assert not inside & outside


async def test_it_sees_and_signals_no_process_but_its_own(inside):
    code = f"""
import os
print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[-1] < 100)
for pid in ({os.getpid()}, {os.getppid()}):
    try:
        os.kill(pid, 0)
        print("found", pid)
    except OSError:
        pass
"""
    assert (await inside(code)) == (0, "True")


async def test_no_path_of_the_host_and_no_secret_shows_in_its_process_list(inside):
    code = "print(open('/proc/1/cmdline').read(), open('/proc/1/environ').read())"
    said = (await inside(code, environ={"TOKEN": "s3cret"}))[1]
    assert "s3cret" not in said
    assert "--ro-bind" not in said


async def test_secrets_are_on_no_command_line_of_the_host(inside):
    task = asyncio.create_task(
        inside("import time; print('up', flush=True); time.sleep(3)", environ={"TOKEN": "s3cret"})
    )
    seen = b""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for one in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                seen += one.read_bytes()
        await asyncio.sleep(0.1)
    await task
    assert b"--unshare-all" not in seen  # the options come through a descriptor
    assert b"s3cret" not in seen.replace(Path("/proc/self/cmdline").read_bytes(), b"")


async def test_its_environment_is_what_was_given(inside, monkeypatch):
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    code = "import os; print(sorted(k for k in os.environ if k not in ('PWD', 'LC_CTYPE')))"
    assert (await inside(code, environ={"A": "b"})) == (0, "['A', 'PATH']")


async def test_no_descriptor_of_ours_is_open_in_it(inside):
    code = """
import os
for fd in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink("/proc/self/fd/" + fd).partition(":")[0])
    except FileNotFoundError:
        pass  # listdir's own
"""
    with open(__file__) as mine:
        os.set_inheritable(mine.fileno(), True)  # noqa: FBT003
        said = (await inside(code))[1].splitlines()
    life = ["socket"] if inside is not in_box else []  # ends the box when the fork ends
    assert said == ["/dev/null", "pipe", "pipe", *life]


async def test_it_reaches_no_network_and_no_abstract_socket_of_the_host(inside):
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        abstract.bind("\0atoll-test-abstract")
        abstract.listen()
        code = f"""
import socket
s = socket.socket(socket.AF_UNIX)
for family, address in ((socket.AF_INET, ("127.0.0.1", {tcp.getsockname()[1]})),
                        (socket.AF_INET, ("1.1.1.1", 53)),
                        (socket.AF_UNIX, "\\0atoll-test-abstract")):
    try:
        socket.socket(family).connect(address)
        print("reached", address)
    except OSError:
        pass
"""
        assert (await inside(code)) == (0, "")


FORBIDDEN = """
import ctypes, errno, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    r = libc.syscall(*[ctypes.c_long(a) for a in args])
    return errno.errorcode.get(ctypes.get_errno(), "") if r == -1 else "OK"
x86 = platform.machine() == "x86_64"
print("unshare", call(272 if x86 else 97, 0x10000000))
print("clone", call(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0))
print("clone3", call(435, 0, 0))
print("keyctl", call(250 if x86 else 219, 0, 0))
print("bpf", call(321 if x86 else 280, 0, 0, 0))
print("perf", call(298 if x86 else 241, 0, 0, 0, 0, 0))
print("uring", call(425, 1, 0))
print("userfaultfd", call(323 if x86 else 282, 0))
print("setns", call(308 if x86 else 268, 0, 0))
print("future", call(480))
print("tiocsti", call(16 if x86 else 29, 0, 0x5412, 0))
for family in (17, 38, 40):  # packet, alg, vsock
    try:
        socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_SEQPACKET)
        print(family, "OK")
    except OSError as e:
        print(family, errno.errorcode[e.errno])
if os.fork() == 0:
    os._exit(0)
print("fork", os.waitstatus_to_exitcode(os.wait()[1]))
import threading
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
"""


async def test_the_kernel_refuses_it_what_breaks_walls(inside):
    lines = (await inside(FORBIDDEN))[1].splitlines()
    assert lines == [
        *("unshare EPERM", "clone EPERM", "clone3 ENOSYS", "keyctl EPERM", "bpf EPERM"),
        *("perf EPERM", "uring ENOSYS", "userfaultfd EPERM", "setns EPERM", "future ENOSYS"),
        *("tiocsti EPERM", "17 EAFNOSUPPORT", "38 EAFNOSUPPORT", "40 EAFNOSUPPORT"),
        *("fork 0", "thread"),
    ]


async def test_a_setuid_program_gives_it_nothing(inside):
    code = """
import os, shutil, subprocess
su = shutil.which("su") or "/usr/bin/passwd"
print(bool(os.stat(su).st_mode & 0o4000))
print(subprocess.run([su, "-c", "id"], capture_output=True, stdin=subprocess.DEVNULL).returncode != 0)
"""
    assert (await inside(code))[1] == "True\nTrue"


async def test_too_much_memory_ends_it_and_nobody_else(inside):
    code = "x = bytearray(400 * 1024 * 1024); x[::4096] = b'1' * len(x[::4096]); print('had it')"
    status, said = await inside(code, limits=Limits(memory=128 * MiB))
    assert status != 0
    assert "had it" not in said
    assert (await inside("print('fine')", limits=Limits(memory=128 * MiB))) == (0, "fine")


async def test_a_fork_bomb_stays_small(inside):
    code = """
import os, time
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        made += 1
except OSError:
    pass
print(made < 60)
"""
    assert (await inside(code, limits=Limits(processes=50))) == (0, "True")


async def test_processors_are_limited_where_control_groups_can(inside, tmp_path):
    code = """
import os, time
for _ in range(2):
    if os.fork() == 0:
        break
begun = time.monotonic()
while time.monotonic() - begun < 1.5:
    pass
os.write(1, f"{time.process_time()}\\n".encode())
"""
    said = (await inside(code, limits=Limits(cpus=0.5)))[1]
    spent = sum(float(line) for line in said.splitlines())
    if "cpu" in cgroups.control().controllers:
        assert spent < 1.2  # three processes for 1.5 s, with half a processor together
    else:
        assert "Processor use is not limited." in cgroups.lacking()


async def test_a_daemon_that_it_leaves_behind_dies_with_it(inside, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        open("alive", "w").write(str(time.time()))
        time.sleep(0.05)
time.sleep(0.3)
"""
    assert (await inside(code, home=home))[0] == 0
    before = (home / "alive").read_text()
    await asyncio.sleep(0.3)
    assert (home / "alive").read_text() == before


async def test_cancelling_kills_everything_and_leaves_no_group(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = "import time\nwhile True:\n open('alive', 'w').write(str(time.time())); time.sleep(.05)"
    task = asyncio.create_task(in_box(code, home=home))
    while not (home / "alive").exists():
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    before = (home / "alive").read_text()
    await asyncio.sleep(0.3)
    assert (home / "alive").read_text() == before


async def test_a_run_that_takes_too_long_is_stopped_and_says_so():
    with pytest.raises(BuildFailed, match="longer than 1 seconds"):
        await in_box("import time; time.sleep(60)", timeout=1)


async def test_it_dies_with_whoever_bound_it(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    give(home, OWNER)
    outer = f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(sandbox.__file__).parents[3])]!r}
from pathlib import Path
from support.boxes import in_box
code = "import time\\nwhile True:\\n open('alive', 'w').write(str(time.time())); time.sleep(.05)"
asyncio.run(in_box(code, home=Path({str(home)!r})))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", outer)
    while not (home / "alive").exists():
        await asyncio.sleep(0.05)
    process.kill()
    await process.wait()
    await asyncio.sleep(0.3)
    before = (home / "alive").read_text()
    await asyncio.sleep(0.3)
    assert (home / "alive").read_text() == before


async def test_lines_arrive_whole_however_they_are_written():
    code = r"import sys; sys.stdout.buffer.write(b'a\nb\rc\xff' + b'x' * 100000 + b'\nend')"
    lines = (await in_box(code))[1].splitlines()
    assert lines[:2] == ["a", "b"]
    assert lines[-1] == "end"
    assert sum(map(len, lines)) == 100000 + 7


async def test_many_boxes_leave_no_descriptor_open():
    await in_box("pass")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await in_box("pass")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_files_in_memory_take_no_more_than_its_memory_and_devices_none(inside):
    code = """
import os
for place in ("/tmp", "/dev/shm", os.environ.get("HOME", "/home/jovyan")):
    found = os.statvfs(place)
    print(found.f_blocks * found.f_frsize // 2**20)
try:
    open("/dev/x", "w")
except OSError:
    print("no")
with open("/dev/null", "w") as null, open("/dev/shm/x", "w") as shared:
    null.write("x"), shared.write("x")
os.openpty()
"""
    status, said = await inside(code, limits=Limits(memory=256 * MiB))
    assert (status, said.split()) == (0, ["256", "256", "256", "no"])


async def test_what_it_does_to_the_file_of_its_first_process_harms_no_other_box(inside):
    before = sandbox.bwrap().stat()
    code = """
import os
for change in (lambda: os.chmod("/proc/1/exe", 0), lambda: os.utime("/proc/1/exe", (1, 1)),
               lambda: os.setxattr("/proc/1/exe", "user.x", b"x"),
               lambda: open("/proc/1/exe", "wb")):
    try:
        change()
    except OSError:
        pass
"""
    assert (await inside(code))[0] == 0
    after = sandbox.bwrap().stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns, after.st_size) == (
        before.st_mode, before.st_mtime_ns, before.st_ctime_ns, before.st_size,
    )  # fmt: skip
    assert (await inside("print('fine')")) == (0, "fine")
    assert list(sandbox.bwrap().parent.glob(f"{COPY}*")) == []


async def test_files_have_no_attributes_where_something_could_be_hidden(inside):
    code = """
import errno, os
for path in ("/proc/self/exe", "/tmp"):
    try:
        os.setxattr(path, "user.x", b"x")
        print("set")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    assert (await inside(code))[1].split() == ["ENOTSUP", "ENOTSUP"]


async def test_a_box_whose_outer_process_has_gone_is_ended_too(tmp_path):
    box = sandbox.Box(("/bin/sh", "-c", "sleep 1000 & exit 0"), owner=OWNER)
    running = sandbox.start(box, output=os.open(os.devnull, os.O_WRONLY))
    running.process.wait(10)
    assert sandbox.born(running.init) == running.born
    sandbox.kill(running)
    until = time.monotonic() + 5
    while sandbox.born(running.init):
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
