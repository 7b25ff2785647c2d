"""Debian's nginx and Caddy before a real hub, by https: the very files of deploy/ do what they say.

Only names, ports and the certificate are others.
"""

import asyncio
import shutil
import signal
import socket
import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from support.hub import eventually, free_port
from support.kernels import run_cell
from support.plans import make_plan
from support.real_atoll import RealAtoll

DEPLOY = Path(__file__).parents[2] / "deploy"
LETS_ENCRYPT = "/etc/letsencrypt/live/hub.example.org"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/site.conf;
}}
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The folder of a certificate for this machine, which it signs itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", "privkey.pem"]
    subprocess.run([*words, "-out", "fullchain.pem"], check=True, capture_output=True, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def silent_host():
    """A host that takes every connection and never says anything: launches from it do not end."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def manager(tmp_path_factory):
    """A service manager's socket, which hears when who it has started is ready."""
    place = tmp_path_factory.mktemp("manager") / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
        pytest.MonkeyPatch.context() as patch,
    ):
        listening.bind(str(place))
        listening.settimeout(30)
        patch.setenv("NOTIFY_SOCKET", str(place))
        yield listening


@pytest.fixture(scope="module")
def hub(tmp_path_factory, silent_host, manager):
    access = {"anonymous": True, "per_address": 1, "proxies": 1}
    data = tmp_path_factory.mktemp("hub") / "data"
    data.mkdir()
    one = RealAtoll(data, access=access, sources={"allow": [silent_host]})
    try:
        one.start()
        yield one
    finally:
        one.end()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request, hub, certificate, tmp_path_factory):
    """The web server with its example before *hub*; its addresses by https and by http."""
    folder = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o755)
    secure, plain = free_port(), free_port()
    if request.param == "nginx":
        text = (DEPLOY / "nginx.conf").read_text()
        for port, ours in ((443, secure), (80, plain)):
            text = text.replace(f"listen {port}", f"listen {ours}")
            text = text.replace(f"listen [::]:{port}", f"listen [::]:{ours}")
        text = text.replace(LETS_ENCRYPT, str(certificate))
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
        name, command = "site.conf", ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    else:
        text = (DEPLOY / "Caddyfile").read_text()
        tls = f"tls {certificate}/fullchain.pem {certificate}/privkey.pem"
        text = text.replace("hub.example.org {", f"https://localhost:{secure} {{\n\t{tls}")
        text = "{\n\tadmin off\n\tauto_https off\n}\n" + text
        name, command = "Caddyfile", ["caddy", "run", "--config", str(folder / "Caddyfile")]
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{hub.port}")
    (folder / name).write_text(text.replace("hub.example.org", "localhost"))
    program = shutil.which(command[0], path="/usr/sbin:/usr/bin")
    assert program, f"{command[0]} is missing: scripts/prepare-tests.sh installs Debian's."
    environ = {"PATH": "/usr/bin", "HOME": str(folder)}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [program, *command[1:]], stdout=log, stderr=subprocess.STDOUT, env=environ
        )
    try:
        eventually(lambda: socket.create_connection(("localhost", secure), 1).close() or True, 30)
        yield f"https://localhost:{secure}", f"http://localhost:{plain}", request.param
    finally:
        # Caddy waits for the streams that go on; nginx must end its workers.
        server.send_signal(signal.SIGTERM if request.param == "nginx" else signal.SIGKILL)
        server.wait(20)


@pytest.fixture
def trusted(certificate, monkeypatch):
    """Have every client believe the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "fullchain.pem"))
    return ssl.create_default_context(cafile=str(certificate / "fullchain.pem"))


def test_systemd_hears_when_people_can_come(hub, manager):
    assert manager.recv(100) == b"READY=1"
    manager.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.recv(100)
    assert httpx2.get(f"{hub.home}/health/ready").status_code == 200


def test_people_sign_in_by_https_and_no_cookie_goes_without_it(front, hub, trusted):
    address, _, _ = front
    cookies = []

    def look(answer):
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        cookies.extend(answer.headers.get_list("set-cookie"))

    hooks = {"response": [look]}
    with httpx2.Client(
        verify=trusted, follow_redirects=True, timeout=60, event_hooks=hooks
    ) as http:
        form = http.get(f"{address}/hub/login")
        fields = {"username": "admin", "password": hub.password, "_xsrf": http.cookies["_xsrf"]}
        headers = {"Origin": address, "Referer": str(form.url)}
        http.post(str(form.url), data=fields, headers=headers)
        page = http.get(f"{address}/services/atoll/sign-in")
        assert page.url == f"{address}/services/atoll/"
        assert "admin" in page.text
        assert page.history
        assert "http://" not in str([one.headers["location"] for one in page.history])
        found = http.get(f"{address}/services/atoll/recognise?repository=gh:o/r").json()
        assert f"{address}/v2/gh/o/r/HEAD" in str(found)
    named = [(one.split("=")[0], "secure" in one.lower()) for one in cookies if '=""' not in one]
    assert {name for name, secure in named if not secure} == {"_xsrf"}  # which opens nothing
    assert {"jupyterhub-hub-login", "jupyterhub-session-id", "atoll-session"} <= {
        name for name, secure in named if secure
    }


def test_a_kernel_answers_through_its_web_socket(front, hub, trusted):
    address, _, name = front
    plan = make_plan(hub.settings.data, {"a.txt": "a"}, owner="admin", name=name)
    hub.put(plan)
    hub.run(plan)
    token = hub.api("POST", "users/admin/tokens", json={}).json()["token"]
    headers = {"Authorization": f"token {token}"}
    base = f"{address}/user/admin/{name}/"
    assert asyncio.run(run_cell(base, "print(6 * 7)", headers=headers)) == "42"
    large = {"type": "file", "format": "text", "content": "x" * 5_000_000}
    url = f"{base}api/contents/large.txt"
    answer = httpx2.put(url, json=large, headers=headers, timeout=60, verify=trusted)
    assert answer.status_code == 201
    hub.api("DELETE", f"users/admin/servers/{name}")


def test_a_visitor_is_known_by_where_they_are_and_not_by_what_they_claim(
    front, trusted, silent_host
):
    """Of one address there may be one; the build's log arrives while it is written."""
    address, _, name = front
    here, there = ("127.0.0.2", "127.0.0.3") if name == "nginx" else ("127.0.0.4", "127.0.0.5")
    url = f"{address}/build/git/{quote(f'http://{silent_host}/x', safe='')}/main"

    @contextmanager
    def visitor(host, **headers):
        transport = httpx2.HTTPTransport(local_address=host, verify=trusted)
        headers |= {"Accept": "text/event-stream"}
        with (
            httpx2.Client(transport=transport, timeout=30) as http,
            http.stream("GET", url, headers=headers) as answer,
        ):
            yield next(line for line in answer.iter_lines() if line.startswith("data: "))

    with ExitStack() as stack:
        assert "Looking up" in stack.enter_context(visitor(here))
        assert "429" in stack.enter_context(visitor(here))
        forged = {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7"}
        assert "429" in stack.enter_context(visitor(here, **forged))
        assert "Looking up" in stack.enter_context(visitor(there))


def test_who_comes_by_http_is_led_to_https(front):
    _, plain, name = front
    if name == "caddy":  # which does that by itself, on port 80 alone
        return
    answer = httpx2.get(f"{plain}/v2/gh/o/r/main?labpath=a.ipynb")
    assert answer.status_code == 301
    assert answer.headers["location"] == "https://localhost/v2/gh/o/r/main?labpath=a.ipynb"


def test_the_units_are_what_systemd_understands(tmp_path):
    """systemd-analyze says so of each; the program is this one."""
    program = Path(__file__).parents[2] / ".venv" / "bin" / "atoll"
    for unit in DEPLOY.glob("*.*"):
        if unit.suffix in {".service", ".timer"}:
            text = unit.read_text().replace("/opt/atoll/.venv/bin/atoll", str(program))
            (tmp_path / unit.name).write_text(text)
    units = sorted(str(one) for one in tmp_path.iterdir())
    assert len(units) == 3
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
