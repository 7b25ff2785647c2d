"""The supervisor: the one process of `atoll up`, which keeps proxy, hub and service running.

    python -P -m atoll.hub.supervisor DESCRIPTOR

It is what `atoll up` becomes (`atoll.hub.preparation`), and reads what it must know from that
descriptor (`atoll.hub.orders`). It waits for as long as the installation lives, so it imports
nothing that waiting does not need.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from atoll.errors import AtollError, StartFailed
from atoll.hub.calls import Calls, listens
from atoll.hub.journal import Journal, Say
from atoll.hub.orders import Orders, Part
from atoll.hub.processes import Process

ECHO = 0.5  # seconds within which a second signal is the first one's echo
INTERRUPTED = 130  # the exit status after Ctrl-C, as shells have it


def main(descriptor: int) -> int:
    """Carry out the orders until a SIGINT, SIGTERM or SIGHUP; return an exit status."""
    orders = Orders.read(descriptor)
    say = _unless_gone(partial(print, flush=True))
    journal = Journal(orders.places.log, say, orders.secrets)
    try:
        say(f"Starting Atoll at {orders.places.url}")
        asyncio.run(Crew.of(orders, journal).serve(partial(_welcome, say, orders)))
        say("Stopped. Servers that were running go on; the next `atoll up` finds them.")
    except AtollError as error:
        return _explain(error)
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
    def of(cls, orders: Orders, journal: Journal) -> Crew:
        """Say how the programs of *orders* are kept, and when each is up."""
        calls = Calls(orders.places)

        def keep(part: Part, **more: Any) -> Process:
            return Process(
                name=part.name,
                command=list(part.command),
                environ=part.environ,
                journal=journal,
                **more,
            )

        hub = keep(orders.hub, healthy=calls.hub_answers, socket=orders.hub.socket)
        service = keep(orders.service, healthy=calls.service_answers, socket=orders.service.socket)
        proxy = keep(
            orders.proxy,
            healthy=calls.proxy_answers,
            socket=orders.proxy.socket,
            risen=lambda: calls.put_routes(hub_is_there=hub.ready.is_set()),
        )
        # What an earlier companion left at its socket may answer until the next one replaces it.
        beside = (
            keep(one, healthy=partial(listens, one.socket), socket=None)
            for one in orders.companions
        )
        return cls(proxy, hub, service, tuple(beside), journal)

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
                # The proxy first: nobody is to be told what a program says while it is ended.
                for one in (self.proxy, *self.companions, self.hub, self.service):
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


def _welcome(say: Say, orders: Orders) -> None:
    """Say that all is up, also to the service manager that has started us, if one wants to know.

    As sd_notify(3) has it, with which other service managers agree.
    """
    say("\n".join(orders.welcome))
    if place := os.environ.get("NOTIFY_SOCKET"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect(f"\0{place[1:]}" if place.startswith("@") else place)
            told.send(b"READY=1")


def _explain(error: AtollError) -> int:
    """Say what went wrong as the other commands do; return the exit status."""
    red, plain = ("\x1b[31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{red}Error: {error}{plain}\n{error.hint}".strip() + "\n")
    return error.exit_code


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


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1])))
    except KeyboardInterrupt:  # before anybody listened to signals
        sys.exit(INTERRUPTED)
