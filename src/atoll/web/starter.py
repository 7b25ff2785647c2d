"""Starter: turns a plan into a running server through JupyterHub, and never makes a second copy.

What happens when the person has a server of that name already:

* it runs, in the same version and environment: its page is opened;
* it runs something else: it is opened as it is, and an event says so (stopping it could lose what
  a kernel has in memory, and that is the person's to decide: for them `Desk` stops it first);
* it is stopped: it starts with the plan, and the files that it kept stay as they are;
* it is just starting or stopping: we wait for that.

Another repository never gets here under that name: `Launcher.name_for` sees to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from atoll.errors import NotFound, StartFailed, Unreachable
from atoll.events import Event, Tell
from atoll.launching.changes import only_files
from atoll.servers import Plans, ServerPlan
from atoll.web.hub_api import HubApi, HubServer

STOPPING_PATIENCE = 60  # seconds to wait for a server that is just being stopped
RETURN_PATIENCE = 60  # seconds to wait for a JupyterHub that is being restarted
RETURNS = 3  # restarts that one launch outlives


@dataclass(frozen=True, slots=True)
class HubStarter:
    """Starts plans over the hub's API. The answer is a path below the host: "/user/ada/x/lab".

    ``nap`` waits so many seconds until the hub is asked again.
    """

    hub: HubApi
    plans: Plans
    nap: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def start(self, plan: ServerPlan, tell: Tell) -> str:
        """Start *plan* for its owner and return where its page is, or raise `StartFailed`."""
        for _ in range(RETURNS):
            try:
                return await self._start(plan, tell)
            except Unreachable:  # it took whoever was starting, or in line, down with it
                tell(Event("start", "JupyterHub does not answer; waiting until it is back"))
                await self._return()
        return await self._start(plan, tell)

    async def _start(self, plan: ServerPlan, tell: Tell) -> str:
        owner, name = plan.owner.name, plan.name
        try:
            up = await self.hub.start(owner, name, plan.id)
        except StartFailed:  # perhaps since it runs, or is just being stopped
            before = await self._server(owner, name)
            server = await self._settled(owner, name)
            if server.ready:
                await self._tell_of_running(server, plan, tell)
                return join(server.url, plan.opening)
            if before.pending not in {"stop", "check"}:
                raise
            up = await self.hub.start(owner, name, plan.id)
        if not up:
            tell(Event("start", "JupyterHub is starting the server"))
        url = await self._follow(owner, name, tell)
        return join(url, plan.opening)

    async def _return(self) -> None:
        """Wait until JupyterHub answers again, or raise `Unreachable`."""
        for _ in range(RETURN_PATIENCE):
            await self.nap(1)
            if await self.hub.healthy():
                return
        raise Unreachable("JupyterHub does not answer.", hint="Try again in a few minutes.")

    async def up(self, owner: str) -> Collection[str]:
        """Return the names of *owner*'s servers that are not stopped."""
        servers = (await self.hub.user(owner)).servers.values()
        return [server.name for server in servers if not server.stopped or server.pending]

    async def halt(self, plan: ServerPlan) -> None:
        """Stop a server that runs otherwise than as *plan*; `start` waits until it has stopped."""
        server = await self._server(plan.owner.name, plan.name)
        running = None if server.stopped else await self._running(server, plan)
        if not (server.stopped or (running and only_files(running, plan))):
            await self.hub.stop(plan.owner.name, plan.name)

    async def abandon(self, owner: str, name: str) -> None:
        """Stop a server that was cancelled while it started; one that runs is left alone."""
        server = (await self.hub.user(owner)).servers.get(name)
        if server and server.pending == "spawn":
            await self.hub.stop(owner, name)

    async def _settled(self, owner: str, name: str) -> HubServer:
        """Return the server as it is once it is not being stopped any more."""
        for _ in range(STOPPING_PATIENCE):
            server = await self._server(owner, name)
            if server.pending in {"", "spawn"}:
                return server
            await self.nap(1)
        raise StartFailed(f"Server {name} takes too long to stop.", hint="Try again in a minute.")

    async def _server(self, owner: str, name: str) -> HubServer:
        return (await self.hub.user(owner)).servers.get(name, HubServer(name))

    async def _tell_of_running(self, server: HubServer, plan: ServerPlan, tell: Tell) -> None:
        running = await self._running(server, plan)
        same = running and (running.environment, running.ref.version) == (
            plan.environment,
            plan.ref.version,
        )
        if same:
            tell(Event("start", f"Server {plan.called} is running already"))
            return
        version = f" with version {running.ref.version[:10]}" if running else ""
        message = f"Server {plan.called} is running already{version}; it is opened as it is."
        tell(Event("start", message, note=True))

    async def _running(self, server: HubServer, plan: ServerPlan) -> ServerPlan | None:
        """Return what *server*, of *plan*'s owner, was last started with, if it is known."""
        try:
            return await self.plans.get(server.plan, plan.owner.name)
        except NotFound:
            return None

    async def _follow(self, owner: str, name: str, tell: Tell) -> str:
        told: set[str] = set()
        async for event in self.hub.progress(owner, name):
            if event.get("ready"):
                for note in event.get("notes", ()):
                    if note not in told:
                        tell(Event("start", str(note), note=True))
                return str(event["url"])
            message = str(event.get("message", "")).strip()
            if event.get("failed"):
                raise StartFailed(
                    message.removeprefix("Spawn failed:").strip() or "The server did not start.",
                    hint="Try again; the server's log says more.",
                )
            if message:
                told.add(message)
                tell(Event("wait" if event.get("waiting") else "start", message))
        raise Unreachable("JupyterHub stopped telling how the start goes.", hint="Try again.")


def join(server_url: str, opening: str) -> str:
    """Return the address of *opening* inside the server at *server_url*."""
    return f"{server_url.rstrip('/')}/{opening.lstrip('/')}"


def server_of(page: str, base: str) -> str:
    """Return the address of the server that *page* is in: "/user/ada/x/" of "/user/ada/x/lab".

    *base* is the path below which all of the hub is, with a slash at its end.
    """
    return "/".join(page.split("/")[: base.count("/") + 3]) + "/"
