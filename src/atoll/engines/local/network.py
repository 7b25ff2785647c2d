"""The network of a box: none, or a user-mode one that reaches out but not back in.

A box has its own network namespace with nothing in it. For ``internet`` and ``full``, slirp4netns
carries its packets from outside the box, as an unprivileged process of the host. Under
``internet``, routes that the box cannot change make every private, link-local and metadata
address, and the host's own networks, unreachable. Name look-ups go to slirp4netns, which asks the
host's name server, wherever that is; only port 53 of it can be reached.
"""

from __future__ import annotations

import fcntl
import functools
import ipaddress
import json
import os
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from atoll.errors import StartFailed
from atoll.servers import Network

NS_GET_USERNS = 0xB701  # ioctl_ns(2): the user namespace that owns another namespace
# Networks of a box's own, of which one is taken that the host is not in: slirp4netns gives the box
# the address .100 in it, itself .2, and answers at .3 for the host's name server.
OURS = ("10.0.2.0/24", "10.213.44.0/24", "192.168.213.0/24")
TUN = Path("/dev/net/tun")
ANYBODY = 0o006  # permission bits: others may read and write
MOMENT = 2.0  # seconds for which the host's networks are taken to stay the same
# Run by sh as who may change the box's network: puts up its walls, which are told on the standard
# input, and only then becomes the helper.
OPEN = 'nsenter "$1" ip -batch - && shift && exec "$@" < /dev/null'
# Shared, private, link-local and other special ranges (IANA's special-purpose registries).
PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)


@dataclass(frozen=True, slots=True)
class Helper:
    """Whether there is a way out, and if not, why not and what to do about it."""

    program: str
    missing: str = ""
    get: str = ""


def helper(owner: int | None = None) -> Helper:
    """Look for slirp4netns and what it needs, for boxes of *owner* (``None``: ourselves)."""
    program = which("slirp4netns")
    if not program or not which("ip") or not which("nsenter"):
        return Helper(
            "",
            "slirp4netns, ip or nsenter is not installed",
            "Install the packages slirp4netns, iproute2 and util-linux.",
        )
    if not TUN.exists():
        return Helper("", f"{TUN} does not exist", "Load the kernel module: modprobe tun.")
    if owner is None and not os.access(TUN, os.R_OK | os.W_OK):
        return Helper("", f"{TUN} cannot be opened", f"Let everybody: chmod 0666 {TUN} (as root).")
    return Helper(program)


def choose(wanted: Network, owner: int | None) -> tuple[Network, tuple[str, ...]]:
    """Return the policy that can be had, never more than *wanted*, and a note if it is less."""
    if wanted is Network.NONE:
        return wanted, ()
    found = helper(owner)
    if found.program:
        return wanted, ()
    note = f"There is no network in this box: {found.missing} on this machine. {found.get}"
    return Network.NONE, (note,)


def attach(pid: int, policy: Network, owner: int | None, exit_fd: int) -> None:
    """Give the network namespace of the process *pid* its walls, and then its way out.

    The helper ends when the write end of the pipe *exit_fd* is closed, so when its box is gone.
    Raises `StartFailed` if it does not come up.
    """
    if policy is Network.NONE:
        return
    _await_map(pid)
    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    user = fcntl.ioctl(space, NS_GET_USERNS)
    ready, tell = os.pipe()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; the helper chatters
    lines = tempfile.TemporaryFile()  # noqa: SIM115 - likewise
    command = [
        *("setsid", "--fork"),  # no child of ours, for whom nobody would wait when its box is gone
        *_become(owner),
        *("nsenter", f"--user=/proc/self/fd/{user}", "--preserve-credentials"),
        *("/bin/sh", "-c", OPEN, "sh", f"--net=/proc/self/fd/{space}"),
        helper(owner).program,
        *("--configure", "--mtu=65520", "--disable-host-loopback"),
        *("--enable-sandbox", "--enable-seccomp", f"--cidr={network()}"),
        *(f"--ready-fd={tell}", f"--exit-fd={exit_fd}"),
        *("--netns-type=path", f"/proc/self/fd/{space}", "tap0"),
    ]
    try:
        lines.write("\n".join(walls(policy)).encode())
        lines.seek(0)
        subprocess.run(
            command,
            pass_fds=(space, user, tell, exit_fd),
            stdin=lines,
            stdout=log,
            stderr=log,
            check=True,
            timeout=10,
        )
        os.close(tell)
        tell = -1
        _await_ready(ready)
    except (subprocess.SubprocessError, OSError) as error:
        log.seek(0)
        printed = log.read().decode(errors="replace").splitlines()
        said = [line for line in printed if line and not line.startswith("WARNING")][:1]
        message = f"The box got no network: {''.join(said) or error}."
        raise StartFailed(message, hint=_WITHOUT) from error
    finally:
        log.close()
        lines.close()
        for fd in (space, user, ready, tell):
            if fd >= 0:
                os.close(fd)


_WITHOUT = "With the network policy “none” it starts without."


def _await_map(pid: int) -> None:
    """Wait until bubblewrap has written who is who in the user namespace of *pid*.

    It tells us the id of its child before that; who enters so early is nobody there, and may not
    enter the network namespace.
    """
    until = time.monotonic() + 10
    try:
        while not Path(f"/proc/{pid}/gid_map").read_text().strip() and time.monotonic() < until:
            time.sleep(0.001)
    except OSError as error:
        raise StartFailed("The box ended before it had a network.", hint=_WITHOUT) from error


def _await_ready(ready: int) -> None:
    if not select.select([ready], [], [], 10)[0] or os.read(ready, 1) != b"1":
        raise OSError("slirp4netns did not start")


def network() -> str:
    """Return the network that a box made now gets, as CIDR; only IPv4 is carried."""
    host = [ipaddress.ip_network(one) for one in host_networks()]
    return next(one for one in OURS if not any(ipaddress.ip_network(one).overlaps(h) for h in host))


def name_server() -> str:
    """Return the address at which a box made now asks for names."""
    return str(ipaddress.ip_network(network())[3])


def walls(policy: Network) -> list[str]:
    """Return the lines for ``ip -batch`` that wall a box in under *policy*."""
    asked = name_server()
    lines = [  # of the name server, its port 53 only, by UDP and TCP: names need /etc/protocols
        f"rule add pref 10 to {asked} ipproto 17 dport 53 lookup main",
        f"rule add pref 10 to {asked} ipproto 6 dport 53 lookup main",
        f"rule add pref 11 to {asked} unreachable",
    ]
    if policy is Network.INTERNET:
        lines += [f"route replace unreachable {one}" for one in (*PRIVATE, *host_networks())]
    return [*lines, ""]


def host_networks() -> tuple[str, ...]:
    """Return the IPv4 networks that this host is in, as CIDR; of this moment, or just before."""
    return _host_networks(int(time.monotonic() / MOMENT))


@functools.lru_cache(maxsize=1)
def _host_networks(_moment: int) -> tuple[str, ...]:
    ran = subprocess.run(
        ["ip", "-4", "-json", "address"], capture_output=True, check=True, timeout=10
    )
    found = set()
    for link in json.loads(ran.stdout):
        for address in link.get("addr_info", ()):
            one = ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}")
            if not (one.is_loopback or one.is_link_local):
                found.add(str(one.network))
    return tuple(sorted(found))


def _become(owner: int | None) -> list[str]:
    """Words that run what follows as *owner*, unless only root may open the tunnel device.

    Root that enters the box's user namespace keeps no capability over the host either.
    """
    if owner is None or TUN.stat().st_mode & ANYBODY != ANYBODY:
        return []
    return ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"]
