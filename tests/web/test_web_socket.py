"""The service's socket is never open to others, not even for a moment."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from atoll.hub.places import find_places, write_settings
from atoll.settings import settings_from
from atoll.web.__main__ import private_socket


@pytest.fixture
def careless():
    """A process that gives everybody everything."""
    before = os.umask(0)
    yield
    assert os.umask(before) == 0  # and is left as it was


def test_a_socket_is_ours_alone_whatever_the_umask(careless, tmp_path):
    with private_socket(tmp_path / "x.sock"):
        assert stat.S_IMODE((tmp_path / "x.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize("own", [True, False])
def test_root_has_the_service_go_first_and_nobody_elses_session(own):
    group = Path("/proc/self/autogroup")
    code = (
        "from pathlib import Path; from atoll.web.__main__ import go_first; go_first();"
        f"print(Path('{group}').read_text() if {group.exists()} else '')"
    )
    run = [sys.executable, "-c", code] if own else ["sh", "-c", f'{sys.executable} -c "{code}"; :']
    shown = subprocess.run(["setsid", "--wait", *run], check=True, capture_output=True, text=True)
    weight = "-10" if own and os.getuid() == 0 else "0"
    assert shown.stdout.split()[-1:] == ([weight] if group.exists() else [])


def test_the_service_listens_at_a_socket_that_was_never_open_to_others(careless, tmp_path):
    settings = settings_from({"data": str(tmp_path / "data")})
    places = find_places(settings)
    write_settings(settings, places.settings)
    environ = {
        **os.environ,
        "ATOLL_CONFIG": str(places.settings),
        "JUPYTERHUB_API_TOKEN": "t",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_SERVICE_PREFIX": places.prefix,
        "JUPYTERHUB_CLIENT_ID": "service-atoll",
        "ATOLL_PROXY_URL": "http://127.0.0.1:1/",
        "ATOLL_IDLE_TOKEN": "t",
    }
    places.web_socket.unlink(missing_ok=True)
    program = [sys.executable, "-P", "-m", "atoll.web"]
    seen = set()
    with subprocess.Popen(program, env=environ, stdout=subprocess.DEVNULL) as service:
        late = time.monotonic() + 60
        while time.monotonic() < late and service.poll() is None and not answers(places.web_socket):
            with contextlib.suppress(FileNotFoundError):
                seen.add(stat.S_IMODE(places.web_socket.stat().st_mode))
            time.sleep(0.0005)
        transport = httpx2.HTTPTransport(uds=str(places.web_socket))
        with httpx2.Client(transport=transport) as client:
            assert client.get("http://atoll/versions").status_code == 200
        service.terminate()
    shutil.rmtree(places.run)
    assert seen == {0o600}


def answers(path):
    with socket.socket(socket.AF_UNIX) as one, contextlib.suppress(OSError):
        one.connect(str(path))
        return True
    return False
