"""Preparation: what `atoll up` sees to before it becomes the supervisor, which only waits."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from atoll.backups import RESTORING
from atoll.errors import BadSettings, Refused
from atoll.hub.orders import Orders, Part
from atoll.hub.places import (
    SERVICE,
    Places,
    find_places,
    http_unix,
    secrets_of,
    write_settings,
)
from atoll.hub.proxy import proxy_command
from atoll.hub.sign_in import welcome
from atoll.servers import Companion
from atoll.settings import Settings

PYTHON = (sys.executable, "-P", "-m")  # -P: no module out of the folder we happen to be in


def claim(settings: Settings) -> Places:
    """Have *settings*' installation to ourselves until this process ends, whatever it becomes.

    Raises `Refused` when it is being served already or the port is taken, and `BadSettings`.
    """
    places = find_places(settings)
    if settings.hub.config and not Path(settings.hub.config).is_file():
        raise BadSettings(
            f"[hub] config names {settings.hub.config}, which is not there.",
            hint="Write the whole path of a jupyterhub_config.py.",
        )
    _lock(places)
    _check_whole(places)
    _check_port(places)
    return places


def become_supervisor(
    settings: Settings,
    places: Places,
    *,
    service: Sequence[str] = ("atoll.web",),
    companions: Sequence[Companion] = (),
) -> NoReturn:
    """Execute `atoll.hub.supervisor`, which serves the installation at *places*.

    *service* is the module that is Atoll's service, and its arguments; *companions* are kept
    running, too. Raises `Lacking`.
    """
    write_settings(settings, places.settings)
    first = not places.password.exists()
    environ = {**os.environ, "ATOLL_CONFIG": str(places.settings)}
    config = Path(__file__).with_name("jupyterhub_config.py")
    orders = Orders(
        places,
        Part(
            "proxy",
            [*proxy_command(), *_proxy_options(places)],
            {**os.environ, "CONFIGPROXY_AUTH_TOKEN": places.secret("proxy_token")},
            places.proxy_socket,
        ),
        Part("hub", [*PYTHON, "atoll.hub", "-f", str(config)], environ, places.hub_socket),
        Part(
            "service",
            [*PYTHON, *service],
            {**environ, **_service_environ(places)},
            places.web_socket,
        ),
        tuple(Part(one.name, one.command, one.environ, one.socket) for one in companions),
        tuple(secrets_of(settings, places)),
        tuple(_welcome(settings, places, first=first)),
    )
    command = [*PYTHON, "atoll.hub.supervisor", str(orders.write())]
    os.execv(sys.executable, command)  # noqa: S606 - no shell


def _lock(places: Places) -> None:
    lock = os.open(places.data / "atoll.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Refused(
            f"Atoll is running already on {places.data}.",
            hint="Stop that one first, or name another data folder with $ATOLL_DATA.",
        ) from None
    os.set_inheritable(lock, True)  # noqa: FBT003 - by what we become, not by its children


def _check_whole(places: Places) -> None:
    if any(places.data.glob(f"{RESTORING}*")):
        raise Refused(
            f"A backup is being restored into {places.data}, or that was cut off.",
            hint="Wait until it is done. If it was cut off: empty that folder, and restore again.",
        )


def _check_port(places: Places) -> None:
    family = socket.AF_INET6 if ":" in places.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((places.host.strip("[]"), places.port))
        except OSError as error:
            raise Refused(
                f"Atoll cannot listen at {places.host}, port {places.port}: {error.strerror}.",
                hint="Choose another address with [hub] bind in atoll.toml.",
            ) from error


def _proxy_options(places: Places) -> list[str]:
    hub = f"{http_unix(places.hub_socket)}{places.base}hub"
    return [
        *("--ip", places.host.strip("[]"), "--port", str(places.port)),
        *("--api-socket", str(places.proxy_socket)),
        *("--default-target", http_unix(places.hub_socket)),
        *("--error-target", f"{hub}/error"),
    ]


def _service_environ(places: Places) -> dict[str, str]:
    """Return what JupyterHub tells a service that it starts itself, and what its culler needs."""
    return {
        "ATOLL_PROXY_URL": places.url,
        "ATOLL_IDLE_TOKEN": places.secret("idle_token"),
        "JUPYTERHUB_API_TOKEN": places.secret("service_token"),
        "JUPYTERHUB_API_URL": places.hub_api,
        "JUPYTERHUB_BASE_URL": places.base,
        "JUPYTERHUB_CLIENT_ID": f"service-{SERVICE}",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{places.prefix}oauth_callback",
        "JUPYTERHUB_SERVICE_NAME": SERVICE,
        "JUPYTERHUB_SERVICE_PREFIX": places.prefix,
        "JUPYTERHUB_SERVICE_URL": http_unix(places.web_socket),
    }


def _welcome(settings: Settings, places: Places, *, first: bool) -> list[str]:
    """Return what is said once all is up; *first*: nobody was told the password before."""
    lines = [f"Atoll is at {places.url}"]
    if settings.hub.config and settings.sign_in.kind == "password":
        lines += [f"Sign in as {settings.hub.config} says, else as “admin” ({places.password})."]
    else:
        lines += welcome(settings.sign_in, places, first=first)
    return [*lines, f"The log is {places.log}. Ctrl-C stops all but people's servers."]
