"""Witness: writes down what people ask of JupyterHub itself, by its pages and by its API.

Nothing of it goes through Atoll's service. JupyterHub calls a function when a request has been
answered; which of them are acts, and of what, is told by method, path and status, and by the code
with which a browser is let into a server. Whose server an operator opens is told so. What a person
types as a name that nobody has may be a password, so it is not kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jupyterhub import orm
from jupyterhub.log import log_request
from jupyterhub.user import User

from atoll.acts import Act, Way, note, sender, short
from atoll.app import Store
from atoll.messages import message_of_operator
from atoll.people import Person

# Method, path below hub/, deed, kind of what the path names. The first that fits counts.
SERVER = r"(?P<who>[^/]+)/server(?:s/(?P<server>[^/]+))?"
TABLE = [
    ("POST", rf"api/users/{SERVER}", "start", "server"),
    ("DELETE", rf"api/users/{SERVER}", "stop", "server"),
    ("GET|POST", r"spawn/(?P<who>[^/]+)/(?P<server>[^/]+)", "start", "server"),
    ("POST", r"api/users/(?P<who>[^/]+)/tokens", "make a token", "person"),
    ("DELETE", r"api/users/(?P<who>[^/]+)/tokens/[^/]+", "revoke a token", "person"),
    ("POST", r"api/users(?:/(?P<who>[^/]+))?", "add a person", "person"),
    ("DELETE", r"api/users/(?P<who>[^/]+)", "delete a person", "person"),
    ("PATCH", r"api/users/(?P<who>[^/]+)", "change a person", "person"),
    ("POST|PUT|PATCH|DELETE", r"api/groups/(?P<what>.+)", "change a group", "group"),
    ("POST", r"approve", "approve or remove people", "person"),
    ("POST|PATCH|DELETE", r"api/(?P<what>share(?:s|-codes)/.*)", "change a share", "server"),
    ("POST", r"api/shutdown", "shut down", "hub"),
]
SIGNING_IN = re.compile(r"(?:\w+/)?(?:login|oauth_callback|\w+_login)")
WRONG = 400  # and above: what was asked was not done
UNASKED = {"as": "operator"}  # that nobody has let into a server whoever enters it

log = logging.getLogger(__name__)


class Witness:
    """Writes acts to what *store* opens; *base* is JupyterHub's path, which ends in ``hub/``."""

    def __init__(self, store: Callable[[], Awaitable[Store]], base: str, proxies: int = 0) -> None:
        self._store = store
        self._base = base
        self._proxies = proxies
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self, handler: Any) -> None:
        """Look at a request that has been answered: tornado's ``log_function``."""
        log_request(handler)
        try:
            if act := self._act(handler):
                self._write(act)
        except Exception:
            log.exception("a request could not be looked at")

    async def signed_in(self, handler: Any, name: str) -> None:
        """Write down that *name* has signed in."""
        await note(self, Act(name, "sign in", "person", name, address=self._address(handler)))

    async def add(self, act: Act) -> None:
        """Write *act* down, once the store is open."""
        await (await self._store()).acts.add(act)

    def _act(self, handler: Any) -> Act | None:
        request = handler.request
        path = request.path.removeprefix(self._base)
        if path == request.path:
            return None
        where, failed = self._address(handler), handler.get_status() >= WRONG
        if failed:
            asked = request.method == "POST" or path.endswith("oauth_callback")
            if not (asked and SIGNING_IN.fullmatch(path)):
                return None
            name = self._known(handler)
            return Act("", "sign in, in vain", "person", name, address=where)
        if path == "logout":
            user = handler.get_current_user_cookie()
            return Act(user.name, "sign out", "person", user.name, address=where) if user else None
        if path == "api/oauth2/authorize":
            return _entered(handler, where)
        return self._asked(handler, path, where)

    def _asked(self, handler: Any, path: str, where: str) -> Act | None:
        """Return what a person did; what Atoll's own services do, these write down themselves."""
        user, method = handler.current_user, handler.request.method
        if not isinstance(user, User):
            return None
        for methods, pattern, usual, kind in TABLE:
            found = re.fullmatch(pattern, path)
            if found is None or method not in methods.split("|"):
                continue
            going = handler._headers.get("Location", "")  # noqa: SLF001 - as JupyterHub's own log
            if method == "GET" and "spawn-pending" not in going:
                return None
            names = {key: unquote(value or "") for key, value in found.groupdict().items()}
            what = names.get("what") or names.get("who", "")
            server = f"{what}/{names['server']}" if "server" in names else ""
            deleted = server and method == "DELETE" and _removes(handler.request.body)
            deed = "delete" if deleted else usual
            way = Way.PROGRAM if handler.request.headers.get("Authorization") else Way.PAGE
            return Act(user.name, deed, kind, (server or what).rstrip("/"), server, way, where)
        return None

    def _known(self, handler: Any) -> str:
        """Return the name at a sign-in that failed if somebody is called so, else ""."""
        given = handler.get_body_argument("username", "")
        user = handler.find_user(handler.authenticator.normalize_username(given)) if given else None
        return user.name if user else ""

    def _address(self, handler: Any) -> str:
        forwarded = handler.request.headers.get_list("X-Forwarded-For")
        return sender(forwarded, str(handler.request.remote_ip or ""), self._proxies)

    async def _tell(self, act: Act) -> None:
        """Tell whose server it is that an operator has entered it."""
        owner, _, name = act.server.partition("/")
        if Person(owner).visitor:
            return
        store = await self._store()
        plan = await store.plans.newest(owner, name)
        called = short((plan and plan.title) or name, 100)
        rest = "Operators can do there whatever you can."
        message = message_of_operator(act.who, f"opened your server “{called}”", owner, rest)
        await store.messages.add(message)

    async def _keep(self, act: Act) -> None:
        await note(self, act)
        if act.detail == UNASKED:
            try:
                await self._tell(act)
            except Exception:
                log.exception("NOT TOLD: %s entered %s", act.who, act.server)

    def _write(self, act: Act) -> None:
        task = asyncio.ensure_future(self._keep(act))
        self._tasks.add(task)  # else it may be collected before it is done
        task.add_done_callback(self._tasks.discard)


def _entered(handler: Any, where: str) -> Act | None:
    """Return that somebody was let into a server of somebody else's, if that is what was answered.

    What was granted counts, by its code, and not what the request said it was for.
    """
    going = handler._headers.get("Location", "")  # noqa: SLF001 - as above
    code = parse_qs(urlsplit(going).query).get("code", [""])[0]
    granted = orm.OAuthCode.find(handler.db, code) if code else None
    spawner = granted.client.spawner if granted else None
    if granted is None or spawner is None or spawner.user == granted.user:
        return None
    user = granted.user
    shared = any(one.user == user or one.group in user.groups for one in spawner.shares)
    server = f"{spawner.user.name}/{spawner.name}"
    detail = {} if shared or not user.admin else UNASKED
    return Act(user.name, "enter", "server", server, server, address=where, detail=detail)


def _removes(body: bytes) -> bool:
    """Say whether a server is not only stopped, as JupyterHub's API has it."""
    try:
        return bool(json.loads(body or b"{}").get("remove"))
    except (ValueError, AttributeError):
        return False
