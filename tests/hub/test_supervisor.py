"""`atoll up` with the real JupyterHub and the real proxy, and what happens when parts die."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from support.hub import Installation, a_plan, eventually, free_port


def pid_of(one: Installation, path: str) -> int | None:
    answer = one.visit(path)
    return answer.json()["pid"] if answer.status_code == 200 else None


def running(one: Installation, owner: str, name: str) -> int:
    """Start a server and return its process."""
    token = one.person(owner)
    plan = a_plan(owner, name)
    one.put(plan)
    one.run(plan, token)
    return pid_of(one, f"user/{owner}/{name}/")


def test_a_killed_hub_leaves_servers_reachable_and_finds_them_again(installation):
    pid = running(installation, "anna", "kept")
    before = installation.pid("hub")
    installation.kill("hub")
    assert pid_of(installation, "user/anna/kept/") == pid
    eventually(lambda: installation.pid("hub") != before)
    eventually(lambda: installation.server("anna", "kept").get("ready"))
    assert pid_of(installation, "user/anna/kept/") == pid
    path = "users/anna/servers/kept"
    assert installation.api("DELETE", path).status_code in {202, 204}
    eventually(lambda: not alive(pid))


def test_a_killed_proxy_has_all_its_routes_again_within_seconds(installation):
    pid = running(installation, "bodo", "kept")
    before = installation.pid("proxy")
    installation.kill("proxy")
    eventually(lambda: installation.pid("proxy") != before)
    eventually(lambda: pid_of(installation, "user/bodo/kept/") == pid, seconds=20)
    assert installation.visit("versions").json()["path"] == "/versions"
    assert installation.visit("hub/login").status_code == 200


def test_a_killed_service_is_started_again(installation):
    before = installation.visit("services/atoll/").json()["pid"]
    installation.kill("service")
    eventually(lambda: (pid_of(installation, "services/atoll/") or before) != before)


ROUTES = [
    "services/atoll/",
    "services/atoll/servers?x=1",
    "v2/gh/o/r/main?urlpath=lab",
    "v2/git/https%3A%2F%2Fexample.org%2Fx.git/HEAD",
    "build/gh/o/r/main",
    "badge_logo.svg",
    "badge.svg",
    "health",
    "versions",
    "about",
    "metrics",
    "api/repoproviders",
]


@pytest.mark.parametrize("path", ROUTES)
def test_binders_paths_reach_atolls_service_as_they_were_written(installation, path):
    assert installation.visit(path).json()["path"] == f"/{path}"


@pytest.mark.parametrize("path", ["v2x", "healthy", "badge_logo.svgx", "api/other", "hub/health"])
def test_other_paths_reach_the_hub(installation, path):
    assert "X-JupyterHub-Version" in installation.visit(path).headers


def test_the_routes_stay_when_the_hub_checks_its_own(installation):
    token = installation.places.secret("supervisor_token")
    assert installation.api("POST", "proxy", token).status_code == 200
    assert installation.visit("v2/gh/a/b/main").json()["path"] == "/v2/gh/a/b/main"


def test_the_supervisors_token_can_do_no_more_than_it_needs(installation):
    token = installation.places.secret("supervisor_token")
    assert installation.api("GET", "users", token).status_code == 403
    answer = installation.api("POST", "shutdown", token, json={})
    assert answer.status_code == 403, answer.text


def test_a_second_one_on_the_same_data_is_refused(installation):
    second = Installation(installation.settings.data, port=free_port())
    second.output = second.file.with_name("second.txt")
    second.launch()
    assert second.process.wait(60) == 3
    assert "is running already" in second.output.read_text()
    assert installation.visit("hub/health").status_code == 200


def test_a_port_in_use_is_said(own):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        one = own(port=taken.getsockname()[1])
        one.launch()
        assert one.process.wait(60) == 3
    assert "Address already in use" in one.output.read_text()
    assert "[hub] bind" in one.output.read_text()


def test_what_only_we_may_use_is_closed_to_others(installation):
    places = installation.places
    assert mode(places.hub_socket) == 0o666  # servers are other users
    for path in (places.web_socket, places.password, places.settings, places.log):
        assert mode(path) == 0o600, path
    for name in (
        "proxy_token",
        "service_token",
        "supervisor_token",
        "idle_token",
        "jupyterhub_cookie_secret",
    ):
        assert mode(places.data / name) == 0o600, name
    assert mode(places.proxy_socket) & 0o077 == 0
    assert mode(places.data) == 0o700


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_no_secret_is_in_the_log_or_on_a_command_line(installation):
    running(installation, "carl", "quiet")
    places = installation.places
    names = [
        "proxy_token",
        "service_token",
        "supervisor_token",
        "idle_token",
        "jupyterhub_cookie_secret",
    ]
    secrets = [places.secret(name) for name in names]
    log = places.log.read_text()
    lines = [folder.read_bytes() for folder in commands()]
    for secret in [*secrets, places.secret("admin_password")]:
        assert secret not in log
        assert not any(secret.encode() in line for line in lines)


def commands():
    for folder in Path("/proc").glob("[0-9]*"):
        if (folder / "cmdline").exists():
            yield folder / "cmdline"


def test_waiting_takes_little_memory(installation):
    memory = Path(f"/proc/{installation.process.pid}/smaps_rollup").read_text()
    private = next(line for line in memory.splitlines() if line.startswith("Private_Dirty:"))
    assert int(private.split()[1]) < 20_000  # KiB


def test_servers_outlive_a_stop_and_a_killed_supervisor_and_are_found_again(own):
    one = own(base="under/here")
    one.start()
    pid = running(one, "dana", "kept")
    for number, status in ((signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)):
        parts = [one.pid(name) for name in ("hub", "proxy", "service")]
        assert one.stop(number) == status
        eventually(lambda: not any(alive(part) for part in parts), 10)  # noqa: B023
        assert alive(pid)
        one.start()
        assert one.server("dana", "kept")["ready"]
        assert pid_of(one, "user/dana/kept/") == pid
    assert one.visit("v2/x").json()["path"] == "/under/here/v2/x"
    environ = one.visit("services/atoll/").json()["environ"]
    assert environ["JUPYTERHUB_SERVICE_PREFIX"] == "/under/here/services/atoll/"
    assert environ["JUPYTERHUB_BASE_URL"] == "/under/here/"
    assert 'href="/under/here/services/atoll/' in one.visit("hub/login").text


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


def test_a_second_interrupt_ends_it_at_once(own):
    one = own()
    one.start()
    os.kill(one.pid("hub"), signal.SIGSTOP)  # a hub that answers to nothing any more
    for _ in range(2):  # the second is an echo, as `uv run` makes one
        one.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        one.process.wait(1)
    assert one.stop(signal.SIGINT) == 0
    assert not alive(one.pid("hub"))


def test_at_a_stop_the_proxy_ends_first_so_that_nobody_hears_how_the_others_end(own):
    up = own()
    up.start()
    os.kill(up.pid("hub"), signal.SIGSTOP)  # it would take long to end
    up.process.send_signal(signal.SIGINT)

    def refused():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", up.port)) != 0

    eventually(refused, 8)
    assert Path(f"/proc/{up.pid('hub')}/exe").exists()


def test_a_hub_that_cannot_start_is_said_with_its_last_words(own, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('the operator mistyped')\n")
    one = own(hub={"bind": f"http://127.0.0.1:{free_port()}", "config": str(broken)})
    one.launch()
    assert one.process.wait(90) == 10
    said = one.output.read_text()
    assert "The hub did not start" in said
    assert "the operator mistyped" in said
