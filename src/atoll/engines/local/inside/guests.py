# It runs inside Jupyter Server and its proxy, whose classes have no types.
# mypy: ignore-errors
"""Guests: what somebody whom the owner lets into a server may do there, at every request.

The hub's shares are the truth, and the server asks for them with its own token; so a share that is
taken back ends within seconds, open connections too. Who may only look gets what is in `LOOKING`
and nothing else: extensions often ask no authorizer, so all that is not known to be harmless is
refused before it begins. What counts is the handler that runs, not the address.

The owner, the operator and the operator's services may do everything, as without any share.
"""

import asyncio
import os
import time
from contextlib import suppress
from urllib.parse import quote

from jupyterhub.services import auth
from tornado.web import HTTPError

VIEW, RUN = 1, 2
MAY_RUN = {"custom:atoll:run", "custom:atoll:manage"}  # scopes of a share
BELIEVED = 5  # seconds for which the hub's word about a guest holds
PAGE = 200  # shares that the hub tells at once
OPENED = 101  # the status of a request that became a WebSocket
ENDED = 4403  # a WebSocket's code when its guest may no longer have it
SYNC, AWARENESS, ASKING = 0, 1, 0  # of the messages about a shared document
_BASE = "jupyter_server.base.handlers."
_SERVICES = "jupyter_server.services."
_LAB = "jupyterlab_server."
ROOM = "jupyter_server_ydoc.handlers.YDocWebSocketHandler"
CONTENTS = f"{_SERVICES}contents.handlers.ContentsHandler"
READ = (
    f"{_BASE}AuthenticatedFileHandler",
    f"{_BASE}Template404",
    "jupyter_server.files.handlers.FilesHandler",
    "jupyter_server.kernelspecs.handlers.KernelSpecResourceHandler",
    "jupyter_server.view.handlers.ViewHandler",
    f"{_SERVICES}api.handlers.APISpecHandler",
    f"{_SERVICES}api.handlers.APIStatusHandler",
    f"{_SERVICES}api.handlers.IdentityHandler",
    f"{_SERVICES}config.handlers.ConfigHandler",
    f"{_SERVICES}contents.handlers.CheckpointsHandler",
    CONTENTS,
    f"{_SERVICES}events.handlers.SubscribeWebsocket",
    f"{_SERVICES}kernels.handlers.KernelHandler",
    f"{_SERVICES}kernels.handlers.MainKernelHandler",
    f"{_SERVICES}kernelspecs.handlers.KernelSpecHandler",
    f"{_SERVICES}kernelspecs.handlers.MainKernelSpecHandler",
    f"{_SERVICES}nbconvert.handlers.NbconvertRootHandler",
    f"{_SERVICES}sessions.handlers.SessionHandler",
    f"{_SERVICES}sessions.handlers.SessionRootHandler",
    "jupyter_server_terminals.api_handlers.TerminalRootHandler",
    "jupyter_lsp.handlers.LanguageServersHandler",
    "jupyter_server_fileid.handler.FileIDHandler",
    "jupyter_server_fileid.handler.FilePathHandler",
    "jupyterlab.handlers.plugin_manager_handler.PluginHandler",
    f"{_LAB}handlers.LabHandler",
    f"{_LAB}handlers.NotFoundHandler",
    f"{_LAB}listings_handler.ListingsHandler",
    f"{_LAB}settings_handler.SettingsHandler",
    f"{_LAB}translations_handler.TranslationsHandler",
    f"{_LAB}workspaces_handler.WorkspacesHandler",
    ROOM,
)
LOOKING = {
    **dict.fromkeys(READ, ("GET", "HEAD")),
    # It answers which room a document is in, and makes nothing but that number.
    "jupyter_server_ydoc.handlers.DocSessionHandler": ("PUT",),
}
# What the Lab offers that somebody who looks cannot do anyway, and would hear of as failures.
IDLE = [
    "@jupyterlab/terminal-extension",
    "@jupyterlab/debugger-extension",
    "atoll-neighbours",
]


class Guests:
    """Asks the hub what guests may do, and remembers it for a moment."""

    def __init__(self, hub_auth):
        self.hub_auth = hub_auth
        self.owner = os.environ.get("JUPYTERHUB_USER", "")
        self.server = os.environ.get("JUPYTERHUB_SERVER_NAME", "")
        self.known = {}  # by token: when it was asked, and the level
        self.open = set()  # guests' WebSocket handlers
        self.watching = None

    def at_home(self, user):
        """Say whether *user*, the hub's model, may do everything without any share."""
        mine = user["name"] == self.owner or bool(user.get("admin"))
        return user.get("kind") != "user" or mine

    async def level(self, handler):
        """Return `VIEW` or `RUN`, or 0 for whom the hub does not let in any more."""
        token = self.hub_auth.get_token(handler) or ""
        session = self.hub_auth.get_session_id(handler)
        at, level = self.known.get((token, session), (-BELIEVED, 0))
        if time.monotonic() - at >= BELIEVED:
            self.known = {
                one: (asked, found)
                for one, (asked, found) in self.known.items()
                if time.monotonic() - asked < BELIEVED
            }
            level = await self._ask(token, session)
            self.known[token, session] = (time.monotonic(), level)
        return level

    async def _ask(self, token, session):
        ask = self.hub_auth.user_for_token
        user = await ask(token, use_cache=False, session_id=session, sync=False) if token else None
        if not user or not self.hub_auth.check_scopes(self.hub_auth.access_scopes, user):
            return 0
        if self.at_home(user):
            return RUN
        shares = await self._shares()
        groups = set(user.get("groups") or ())
        given = set()
        for share in shares:
            to, group = share.get("user") or {}, share.get("group") or {}
            if to.get("name") == user["name"] or group.get("name") in groups:
                given |= {scope.partition("!")[0] for scope in share["scopes"]}
        return RUN if given & MAY_RUN else VIEW

    async def _shares(self):
        hub, found = self.hub_auth, []
        while True:
            where = f"{hub.api_url}/shares/{quote(self.owner)}/{quote(self.server)}"
            url = f"{where}?offset={len(found)}&limit={PAGE}"
            answer = await auth.fetch(url, headers={"Authorization": f"token {hub.api_token}"})
            page = await answer.json()
            page = page["items"] if isinstance(page, dict) else page
            found += page
            if len(page) < PAGE:
                return found

    async def check(self, handler):
        """Let a guest's request go on, or raise 403."""
        level = await self.level(handler)
        if not level:
            raise HTTPError(403, "You are not let into this server any more; ask its owner.")
        if level < RUN and not harmless(handler):
            raise HTTPError(403, "You may only look here; ask the owner to let you run code.")
        if level < RUN and named(handler) == CONTENTS:
            only_read(handler)
        if hasattr(handler, "ws_connection"):
            if level < RUN and named(handler) == ROOM:
                only_listen(handler)
            self.watch(handler, level)
        return level

    def watch(self, handler, level):
        """End *handler*, a WebSocket's, soon after its guest may do less than *level*."""
        self.open.add((handler, level))
        if self.watching is None:
            self.watching = asyncio.ensure_future(self._watch())

    async def _watch(self):
        while self.open:
            await asyncio.sleep(BELIEVED)
            for handler, level in list(self.open):
                if over(handler):
                    self.open.discard((handler, level))
                    continue
                now = level  # a hub that is away takes nothing back
                with suppress(Exception):
                    now = await self.level(handler)
                if now < level:
                    self.open.discard((handler, level))
                    handler.close(ENDED, "You may not do this any more.")
        self.watching = None


def over(handler):
    """Say whether *handler*'s WebSocket is closed, or never came to be."""
    refused = handler._finished and handler.get_status() != OPENED  # noqa: SLF001
    return refused or handler._on_close_called  # noqa: SLF001 - tornado tells it nowhere else


def named(handler):
    """Return the name of the class that answers, with its module."""
    return f"{type(handler).__module__}.{type(handler).__qualname__}"


def harmless(handler):
    """Say whether who may only look may have what *handler* answers."""
    method = handler.request.method
    if getattr(getattr(handler, method.lower(), None), "__allow_unauthenticated", False):
        return True  # it is anybody's
    return method in LOOKING.get(named(handler), ())


def only_read(handler):
    """Have *handler* say of files that they cannot be written, so that the Lab does not offer it."""
    finish = handler._finish_model  # noqa: SLF001 - there is no other place where it is said

    def finished(model, *more, **how):
        return finish({**model, "writable": False}, *more, **how)

    handler._finish_model = finished  # noqa: SLF001


def only_listen(handler):
    """Drop what *handler*, a shared document's, is told, but for questions and cursors."""
    hear = handler.on_message

    async def on_message(message):
        asks = message[:2] == bytes((SYNC, ASKING))
        if isinstance(message, bytes) and (asks or message[:1] == bytes((AWARENESS,))):
            await hear(message)

    handler.on_message = on_message


def minding(base):
    """Return *base*, JupyterHub's identity provider, which looks at what guests ask for."""

    class Minding(base):
        guests = None

        async def get_user(self, handler):
            if hasattr(handler, "_jupyterhub_user"):
                return handler._jupyterhub_user  # noqa: SLF001 - as JupyterHub's own does
            user = await super().get_user(handler)
            if self.guests is None:
                self.guests = Guests(self.hub_auth)
            if user is not None and not self.guests.at_home(user.hub_user):
                handler.current_user = handler._jupyter_current_user = user  # noqa: SLF001 - as prepare does
                handler.guest_level = await self.guests.check(handler)
            return user

        def page_config_hook(self, handler, page_config):
            page_config = super().page_config_hook(handler, page_config)
            if getattr(handler, "guest_level", RUN) < RUN:
                page_config["disabledExtensions"] = [
                    *page_config.get("disabledExtensions", ()),
                    *IDLE,
                ]
            off = page_config.get("disabledExtensions", ())
            known = page_config.get("federated_extensions", ())
            # Else browsers load what is switched off as well, only not to use it.
            page_config["federated_extensions"] = [one for one in known if one["name"] not in off]
            return page_config

    return Minding
