"""The supervisor: the one process of `atoll up`, which keeps proxy, hub and service running.

People's servers are nobody's children here: they go on when all of this stops, and are found
again when it comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from atoll.errors import BadSettings, Refused, StartFailed
from atoll.hub.calls import Calls
from atoll.hub.journal import Journal, Say
from atoll.hub.places import (
    SERVICE,
    Places,
    find_places,
    http_unix,
    secrets_of,
    write_settings,
)
from atoll.hub.processes import Process
from atoll.hub.proxy import proxy_command
from atoll.servers import Companion
from atoll.settings import Settings

ECHO = 0.5  # seconds within which a second signal is the first one's echo
PYTHON = [sys.executable, "-P", "-m"]  # -P: no module out of the folder we happen to be in


async def up(
    settings: Settings,
    *,
    say: Say,
    service: Sequence[str] = ("atoll.web",),
    companions: Sequence[Companion] = (),
) -> int:
    """Serve *settings*' installation until a SIGINT, SIGTERM or SIGHUP; return an exit status.

    *say* gets lines for whoever watches; *service* is the module that is Atoll's service, and its
    arguments; *companions* are kept running, too, but nothing waits for them. Raises `Refused` when
    it is being served already or the port is taken, `BadSettings`, and `StartFailed` when a part
    cannot be started.
    """
    say = _unless_gone(say)
    places = find_places(settings)
    _check(settings)
    with _only_one(places):
        _check_port(places)
        write_settings(settings, places.settings)
        first = not places.password.exists()
        password = places.secret(places.password.name)
        journal = Journal(places.log, say, secrets_of(settings, places))
        try:
            say(f"Starting Atoll at {places.url}")
            crew = Crew.of(places, journal, service, companions)
            told = password if first else ""
            await crew.serve(partial(_welcome, settings, places, told, say))
            say("Stopped. Servers that were running go on; the next `atoll up` finds them.")
        finally:
            journal.close()
    return 0


@dataclass(slots=True)
class Crew:
    """The three programs, and what engines want beside them."""

    proxy: Process
    hub: Process
    service: Process
    companions: tuple[Process, ...]
    journal: Journal

    @classmethod
    def of(
        cls,
        places: Places,
        journal: Journal,
        service_module: Sequence[str],
        companions: Sequence[Companion],
    ) -> Crew:
        """Say what the programs of *places* are."""
        calls = Calls(places)
        environ = {**os.environ, "ATOLL_CONFIG": str(places.settings)}
        config = Path(__file__).with_name("jupyterhub_config.py")
        hub = Process(
            name="hub",
            command=[*PYTHON, "jupyterhub", "-f", str(config)],
            environ=environ,
            healthy=calls.hub_answers,
            socket=places.hub_socket,
            journal=journal,
        )
        proxy = Process(
            name="proxy",
            command=[*proxy_command(), *_proxy_options(places)],
            environ={**os.environ, "CONFIGPROXY_AUTH_TOKEN": places.secret("proxy_token")},
            healthy=calls.proxy_answers,
            socket=places.proxy_socket,
            risen=lambda: calls.put_routes(hub_is_there=hub.ready.is_set()),
            journal=journal,
        )
        service = Process(
            name="service",
            command=[*PYTHON, *service_module],
            environ={**environ, **_service_environ(places)},
            healthy=calls.service_answers,
            socket=places.web_socket,
            journal=journal,
        )
        beside = tuple(
            Process(
                name=one.name,
                command=list(one.command),
                environ=one.environ,
                healthy=one.healthy,
                socket=None,
                journal=journal,
            )
            for one in companions
        )
        return cls(proxy, hub, service, beside, journal)

    async def serve(self, welcome: Callable[[], None]) -> None:
        """Keep all three running until a signal comes; call *welcome* when all answer."""
        asked = asyncio.Event()
        with _signals(asked, self._at_once):
            proxy = asyncio.create_task(self.proxy.keep())
            tasks = [proxy, asyncio.create_task(asked.wait())]
            beside = [asyncio.create_task(self._accompany(one)) for one in self.companions]
            try:
                # The hub ends at once when it finds no proxy.
                await _first([*tasks, asyncio.create_task(self.proxy.ready.wait())])
                if not asked.is_set():
                    tasks += [asyncio.create_task(one.keep()) for one in (self.hub, self.service)]
                    await _first([*tasks, asyncio.create_task(self._all_ready())])
                if not asked.is_set():
                    welcome()
                    await _first(tasks)
            finally:
                for one in (*self.companions, self.hub, self.service, self.proxy):
                    await one.end()
                for task in (*tasks, *beside):
                    task.cancel()
                await asyncio.gather(*tasks, *beside, return_exceptions=True)

    async def _all_ready(self) -> None:
        for one in (self.proxy, self.hub, self.service):
            await one.ready.wait()

    async def _accompany(self, companion: Process) -> None:
        try:
            await companion.keep()
        except StartFailed as error:
            self.journal.tell(companion.name, str(error), "error")

    def _at_once(self) -> None:
        for one in (*self.companions, self.hub, self.service, self.proxy):
            one.kill()


def _proxy_options(places: Places) -> list[str]:
    hub = f"{http_unix(places.hub_socket)}{places.base}hub"
    return [
        *("--ip", places.host.strip("[]"), "--port", str(places.port)),
        *("--api-socket", str(places.proxy_socket)),
        *("--default-target", http_unix(places.hub_socket)),
        *("--error-target", f"{hub}/error"),
    ]


def _service_environ(places: Places) -> dict[str, str]:
    """Return what JupyterHub tells a service that it starts itself."""
    return {
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


def _welcome(settings: Settings, places: Places, new_password: str, say: Say) -> None:
    say(f"Atoll is at {places.url}")
    if settings.hub.config:
        say(f"Sign in as {settings.hub.config} says, else as “admin” ({places.password}).")
    elif new_password:
        say(f"Sign in as “admin” with the password {new_password}")
        say(f"It is kept in {places.password}.")
    else:
        say(f"Sign in as “admin”; the password is in {places.password}.")
    say(f"The log is {places.log}. Ctrl-C stops all but people's servers.")


def _check(settings: Settings) -> None:
    if settings.hub.config and not Path(settings.hub.config).is_file():
        raise BadSettings(
            f"[hub] config names {settings.hub.config}, which is not there.",
            hint="Write the whole path of a jupyterhub_config.py.",
        )


@contextlib.contextmanager
def _only_one(places: Places) -> Iterator[None]:
    lock = FileLock(places.data / "atoll.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Refused(
            f"Atoll is running already on {places.data}.",
            hint="Stop that one first, or name another data folder with $ATOLL_DATA.",
        ) from None
    try:
        yield
    finally:
        lock.release()


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


def _unless_gone(say: Say) -> Say:
    """Return *say* for a terminal that may be closed while we go on."""

    def safely(line: str) -> None:
        with contextlib.suppress(OSError):
            say(line)

    return safely


async def _first(tasks: list[asyncio.Task[Any]]) -> None:
    """Wait until one of *tasks* is done; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


@contextlib.contextmanager
def _signals(asked: asyncio.Event, at_once: Callable[[], None]) -> Iterator[None]:
    """Set *asked* on the first SIGINT, SIGTERM or SIGHUP, call *at_once* on every later one."""
    loop = asyncio.get_running_loop()
    patience = 0.0

    def heard() -> None:
        nonlocal patience
        if not asked.is_set():
            # Programs such as `uv run` and `timeout` pass on what the terminal has sent us as well.
            patience = loop.time() + ECHO
            asked.set()
        elif loop.time() > patience:
            at_once()

    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else it is `nohup` that runs us
        kinds.append(signal.SIGHUP)
    for kind in kinds:
        loop.add_signal_handler(kind, heard)
    try:
        yield
    finally:
        for kind in kinds:
            loop.remove_signal_handler(kind)
