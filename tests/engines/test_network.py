"""The network policies, tried from inside against real listeners of this host."""

import contextlib
import socket
import threading

import pytest

from atoll.engines.local import network
from atoll.servers import Network
from support.boxes import OWNER

PROBE = """
import socket, sys
def reach(host, port, kind=socket.SOCK_STREAM):
    try:
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(2)
            s.connect((host, port))
            if kind == socket.SOCK_DGRAM:
                s.send(b"x"); s.recv(1)
            return True
    except OSError:
        return False
"""


@contextlib.contextmanager
def listener(host):
    """Accept connections at *host* for a while; yield the port."""
    with socket.create_server((host, 0)) as listening:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # sends nothing; only asks which address would be used
        return probe.getsockname()[0]


@pytest.mark.parametrize("policy", [Network.INTERNET, Network.FULL])
async def test_name_look_ups_are_answered(inside, policy):
    code = """
import re, socket
server = re.search(r"nameserver (\\S+)", open("/etc/resolv.conf").read())[1]
question = b"\\x12\\x34\\x01\\x00\\x00\\x01" + b"\\x00" * 6 + b"\\x07example\\x03org\\x00\\x00\\x01\\x00\\x01"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(10)
    s.sendto(question, (server, 53))
    print(s.recv(512)[:2] == b"\\x12\\x34")
""".replace("\\\\", "\\")
    assert (await inside(code, network=policy)) == (0, "True")


@pytest.mark.parametrize("policy", list(Network))
async def test_the_hosts_loopback_is_out_of_reach(inside, policy):
    with listener("127.0.0.1") as port:
        hosts = ["127.0.0.1", "10.0.2.2", "10.0.2.3", "10.0.2.100", "localhost"]
        code = PROBE + f"print([h for h in {hosts} if reach(h, {port})])"
        assert (await inside(code, network=policy)) == (0, "[]")


@pytest.mark.parametrize(
    ("policy", "reached"), [(Network.NONE, False), (Network.INTERNET, False), (Network.FULL, True)]
)
async def test_only_full_reaches_the_hosts_own_network(inside, policy, reached):
    host = own_address()
    with listener(host) as port:
        code = PROBE + f"print(reach({host!r}, {port}))"
        assert (await inside(code, network=policy)) == (0, str(reached))


async def test_private_and_metadata_addresses_are_unreachable_at_once(inside):
    code = """
import errno, socket
for host in ("169.254.169.254", "10.1.2.3", "192.168.1.1", "172.16.0.1", "100.100.100.200"):
    try:
        socket.create_connection((host, 80), timeout=2)
        print("reached", host)
    except OSError as e:
        print(errno.errorcode.get(e.errno))
"""
    said = (await inside(code, network=Network.INTERNET))[1].split()
    assert len(said) == 5
    assert set(said) <= {"EHOSTUNREACH", "ENETUNREACH"}


async def test_a_box_cannot_change_its_routes(inside):
    code = """
import os, subprocess
for words in (["route", "del", "unreachable", "10.0.0.0/8"], ["rule", "flush"], ["link", "set", "tap0", "down"]):
    print(subprocess.run(["/usr/sbin/ip", *words], capture_output=True).returncode != 0)
"""
    said = (await inside(code, network=Network.INTERNET))[1]
    assert said.split() == ["True"] * 3


async def test_two_boxes_do_not_reach_each_other(inside, tmp_path):
    import asyncio

    home = tmp_path / "home"
    home.mkdir()
    server = """
import socket, time
s = socket.create_server(("0.0.0.0", 5555))
open("up", "w").close()
s.settimeout(4)
try:
    s.accept(); print("visited")
except OSError:
    print("alone")
"""
    task = asyncio.create_task(inside(server, home=home, network=Network.FULL))
    while not (home / "up").exists():
        await asyncio.sleep(0.05)
    code = PROBE + "print([h for h in ('10.0.2.100', '10.0.2.2') if reach(h, 5555)])"
    # its own address answers nothing; the other box has the same one, in another namespace
    assert (await inside(code, network=Network.FULL)) == (0, "[]")
    assert (await task) == (0, "alone")


async def test_without_a_helper_the_policy_falls_to_none_and_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    policy, notes = network.choose(Network.FULL, OWNER)
    assert policy is Network.NONE
    assert "slirp4netns" in notes[0]


def test_the_boxs_own_network_avoids_the_hosts(monkeypatch):
    monkeypatch.setattr(network, "host_networks", lambda: ["10.0.0.0/16"])
    assert network.network() == "10.213.44.0/24"
    assert network.name_server() == "10.213.44.3"


def test_internet_walls_in_what_full_does_not():
    assert any("169.254.0.0/16" in line for line in network.walls(Network.INTERNET))
    assert not any("unreachable 169" in line for line in network.walls(Network.FULL))
    assert any("dport 53" in line for line in network.walls(Network.FULL))
