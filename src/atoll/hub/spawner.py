"""The spawner: JupyterHub's words for starting a plan. No decisions here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any

from jupyterhub.orm import APIToken, User
from jupyterhub.spawner import Spawner, SpawnException
from jupyterhub.utils import maybe_future, url_escape_path, url_path_join
from traitlets import Callable, Instance, default

from atoll.app import Atoll, wire
from atoll.errors import AtollError, BadRequest, NotFound, Refused
from atoll.hub.places import http_unix
from atoll.people import Person
from atoll.servers import ServerPlan
from atoll.settings import load_settings


class Installation:
    """The one Atoll of this hub; its store is opened when a plan is first looked up.

    Asking whether a server runs, and stopping it, never needs the store: a database that is away
    for a moment must not make JupyterHub believe that servers are gone.
    """

    def __init__(self, atoll: Atoll) -> None:
        self.atoll = atoll
        self._lock = asyncio.Lock()
        self._open = False

    async def opened(self) -> Atoll:
        """Return it with its store open."""
        async with self._lock:
            if not self._open:
                await self.atoll.store.open()
                self._open = True
        return self.atoll


@cache
def installation(wiring: Any) -> Installation:
    """Return what *wiring* puts together, which is done once."""
    return Installation(wiring())


def wire_from_settings() -> Atoll:
    """Put the installation together that ``atoll.toml`` describes."""
    return wire(load_settings(), trusted=False)


class AtollSpawner(Spawner):  # type: ignore[misc]
    """Starts the plan that a person prepared.

    ``user_options`` holds a plan's id and nothing else: whatever anyone posts to JupyterHub,
    what runs was decided when the plan was made, and only its owner can start it.
    """

    wiring = Callable(help="Returns the `Atoll` whose plans are started.").tag(config=True)
    handle = ""
    socket = ""
    notes: tuple[str, ...] = ()
    begun = Instance(asyncio.Event, ())  # it has a handle

    @default("wiring")
    def _default_wiring(self) -> Any:
        return wire_from_settings

    @default("progress_ready_hook")
    def _default_progress_ready_hook(self) -> Any:
        # A server may be ready before anybody asks for its progress.
        return lambda spawner, event: event | {"notes": list(spawner.notes)}

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return self._simple_options_from_form

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        return lambda *_: None  # nothing a person posts becomes an attribute of ours

    @property
    def server(self) -> Any:
        """JupyterHub's record of where the server is, with the socket that it forgets.

        JupyterHub 6.1 stores a URL as scheme, host name in lower case and port, and makes this
        object anew from that whenever it likes.
        """
        server = super().server
        if server is not None and self.socket and not server.connect_url:
            server.connect_url = http_unix(self.socket)
        return server

    @server.setter
    def server(self, server: Any) -> None:
        Spawner.server.fset(self, server)

    async def called(self) -> str:
        """Return what people call it, for pages; its name where nothing else is known."""
        with contextlib.suppress(AtollError):
            atoll = await installation(self.wiring).opened()
            if plan := await atoll.store.plans.newest(self.user.name, self.name):
                return plan.called
        return str(self.name)

    async def start(self) -> str:
        """Start it, and return the URL where the server answers."""
        try:
            atoll = await installation(self.wiring).opened()
            plan = await self._plan(atoll)
            server = await atoll.start(plan, self._environ(plan), self.person(), self._host(plan))
        except AtollError as error:
            raise refusal(error) from error
        self.handle, self.socket, self.notes = server.handle, server.socket, server.notes
        self.begun.set()
        return http_unix(server.socket)

    async def poll(self) -> int | None:
        """Return ``None`` while it runs, else its exit status."""
        if not self.handle:
            return 0
        return await installation(self.wiring).atoll.runner.status(self.handle)

    async def stop(self, now: bool = False) -> None:
        """Take the server down."""
        if self.handle:
            await installation(self.wiring).atoll.runner.stop(self.handle, now=now)

    async def run_post_stop_hook(self) -> None:
        """Clear up, also after a server that JupyterHub need not stop since it ended by itself.

        Or that it does not know of, as an earlier hub died before it had noted the handle.
        """
        await installation(self.wiring).atoll.runner.clear(self.user.name, self.name)
        self._revoke()
        await maybe_future(super().run_post_stop_hook())

    def _revoke(self) -> None:
        """Revoke what JupyterHub gave to this server and, if it died while it started it, forgot.

        Such a token would be valid for ever.
        """
        path = url_path_join(self.user.base_url, url_escape_path(self.name), "/")
        given = {"user_id": self.user.id, "note": f"Server at {path}"}  # as `User.spawn` notes it
        db = self.user.db
        for token in db.query(APIToken).filter_by(**given):
            db.delete(token)
        db.commit()

    async def delete_forever(self) -> None:
        """Delete the files that the server kept; JupyterHub asks when it is deleted for good."""
        if self.name:
            atoll = await installation(self.wiring).opened()
            await atoll.runner.remove(self.user.name, self.name)
            await atoll.store.plans.forget(self.user.name, self.name)
            await atoll.store.copies.drop(self.user.name, self.name)

    async def rename(self, old_name: str, new_name: str) -> None:  # noqa: ARG002
        """Refuse: the plan and the kept files are the old name's."""
        raise refusal(Refused("A server keeps its name.", hint="Launch it again under another."))

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Say that it is being started, and what could not be had as planned."""
        yield {"progress": 30, "message": "Starting your server."}
        await self.begun.wait()  # JupyterHub ends this when the start fails
        for note in self.notes:
            yield {"progress": 70, "message": note}
        yield {"progress": 80, "message": "Waiting until it answers."}

    def get_state(self) -> dict[str, Any]:
        """Keep across hub restarts what finds the server again."""
        state = {"handle": self.handle, "socket": self.socket, "notes": list(self.notes)}
        return {**super().get_state(), **(state if self.handle else {})}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take it back."""
        super().load_state(state)
        self.handle = state.get("handle", "")
        self.socket = state.get("socket", "")
        self.notes = tuple(state.get("notes", ()))
        if self.handle:
            self.begun.set()

    def clear_state(self) -> None:
        """Forget it."""
        super().clear_state()
        self.begun.clear()
        self.handle, self.socket, self.notes = "", "", ()

    async def _plan(self, atoll: Atoll) -> ServerPlan:
        options: Mapping[str, Any] = self.user_options
        plan_id = options.get("plan")
        if not options:
            raise BadRequest(
                "There is nothing to start here yet.", hint="Launch a repository on Atoll's page."
            )
        if set(options) != {"plan"} or not isinstance(plan_id, str):
            raise BadRequest(
                "A server takes a plan and no other options.",
                hint="Launch a repository on Atoll's page.",
            )
        plan = await atoll.store.plans.get(plan_id, self.user.name)
        if plan.name != self.name:
            # Two servers on one plan would write the same files.
            raise NotFound(
                f"This plan is for server “{plan.name}”.", hint="Start it under that name."
            )
        return plan

    def person(self) -> Person:
        """Return who it is for, as JupyterHub knows them now: groups change."""
        groups = frozenset(group.name for group in self.user.groups)
        return Person(self.user.name, groups, admin=bool(self.user.admin))

    def _host(self, plan: ServerPlan) -> Person | None:
        """Return whose server *plan* copies, if it does and they are still here."""
        copied = plan.content.copied
        user = User.find(self.user.db, copied.owner) if copied else None
        return user and Person(user.name, frozenset(group.name for group in user.groups))

    def _environ(self, plan: ServerPlan) -> dict[str, str]:
        environ: dict[str, str] = self.get_env()
        environ |= {
            # Set here and not as Spawner.default_url, because JupyterHub would take braces in a
            # repository's file names for its own template.
            "JUPYTERHUB_DEFAULT_URL": "/" + plan.opening.lstrip("/"),
            # Without a port: Jupyter Server refuses to be told of a port and a socket.
            "JUPYTERHUB_SERVICE_URL": f"http+unix://{environ['JUPYTERHUB_SERVICE_PREFIX']}",
        }
        if plan.owner.visitor:
            # Who cannot sign in has no other way in than a link with a key, as on any Binder.
            environ |= {"JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1"}
        if plan.shared or self.orm_spawner.shares or self.orm_spawner.share_codes:
            environ |= {"ATOLL_TOGETHER": "1"}
        if origins := self._origins(plan):
            environ |= {"ATOLL_ALLOW_ORIGIN": " ".join(origins)}
        return environ

    def _origins(self, plan: ServerPlan) -> list[str]:
        """Return the sites whose pages may use the server, as pages with live cells do.

        A person's server believes the person's cookie; "*" would let any site's page use that,
        so that it goes for visitors' servers only, which open with a key and hold nothing.
        """
        origins = installation(self.wiring).atoll.settings.access.origins
        if "*" in origins and plan.owner.visitor:
            return ["*"]
        return [origin.rstrip("/") for origin in origins if origin != "*"]


def refusal(error: AtollError) -> SpawnException:
    """Return *error* as JupyterHub shows it to people and counts it."""
    message = f"{error} {error.hint}".strip()
    said = SpawnException(message, reason=type(error).__name__, status_code=error.status)
    said.jupyterhub_message = message  # the page of a server that is not running reads it there
    return said
