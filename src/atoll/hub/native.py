"""Native: people sign up here, and come in once the operator has approved them.

jupyterhub-nativeauthenticator keeps the accounts. Its own pages approve and remove people by links
that another site could have an administrator follow, and it lets in at once whoever is first
to sign up under an administrator's name; here are pages and rules without either.
"""

from __future__ import annotations

import asyncio
from secrets import compare_digest
from typing import Any

import bcrypt
from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.orm import User
from jupyterhub.scopes import needs_scope
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from tornado.web import HTTPError, authenticated
from traitlets import Unicode

from atoll.hub.leaving import Leaving
from atoll.people import unfit

OPERATOR = "admin"
SHORTEST, LONGEST = 10, 72  # characters, and bytes: bcrypt takes no more
MOST_WAITING = 200
TRIES, PAUSE = 10, 60  # wrong passwords in a row, and seconds until the next one is looked at


class Native(Leaving, NativeAuthenticator):  # type: ignore[misc]
    """Accounts that are made here."""

    operator_password = Unicode(config=True, help="The password of `admin`, who approves others.")

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.allowed_failed_logins, self.seconds_before_next_try = TRIES, PAUSE

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:  # noqa: ARG002
        """Look for the account; tell who has the right password that they must wait."""
        name, word = self.normalize_username(data["username"]), data["password"].encode()
        if name == OPERATOR:
            right = compare_digest(word, self.operator_password.encode())
            return {"name": name, "admin": True} if right else None
        if self.is_blocked(name):
            raise HTTPError(429, "Too many wrong passwords. Wait a minute, and try again.")
        account = self.get_user(name)
        if account is None or not await matches(word, account.password):
            self.add_login_attempt(name) if account else None
            return None
        self.successful_login(name)
        if not account.is_authorized:
            raise HTTPError(403, "The operator has not approved you yet. Try again later.")
        return {"name": name, "admin": name in self.admin_users}

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002
        """Say whether the operator has approved this person."""
        account = self.get_user(username)
        return username == OPERATOR or bool(account and account.is_authorized)

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return our pages; none of the package's."""
        return [("/login", LoginHandler), ("/sign-up", SignUp), ("/approve", Approve)]

    async def add(self, name: str, password: str) -> None:
        """Note somebody who wants to come in. Raises `ValueError` with what is wrong."""
        name = self.normalize_username(name.strip())
        if why := unfit(name):
            raise ValueError(f"You cannot be called “{name}” here: {why}.")
        if name == OPERATOR or self.user_exists(name):
            raise ValueError(f"“{name}” is taken already.")
        if len(password) < SHORTEST or len(password.encode()) > LONGEST:
            raise ValueError(
                f"A password has {SHORTEST} characters or more, up to {LONGEST} bytes."
            )
        if self.is_password_common(password):
            raise ValueError("That password is one of those that are tried first.")
        waiting = self.db.query(UserInfo).filter(UserInfo.is_authorized.is_(False)).count()
        if waiting >= MOST_WAITING:
            raise ValueError("Too many people are waiting for the operator. Try again later.")
        word = await asyncio.to_thread(bcrypt.hashpw, password.encode(), bcrypt.gensalt())
        if self.user_exists(name):  # since a moment ago
            raise ValueError(f"“{name}” is taken already.")
        self.db.add(UserInfo(username=name, password=word, is_authorized=False))
        self.db.commit()


class SignUp(BaseHandler):  # type: ignore[misc]
    """The page to sign up."""

    async def get(self) -> None:
        """GET sign-up."""
        self.finish(await self.render_template("sign_up.html"))

    async def post(self) -> None:
        """POST sign-up."""
        name, problem = self.get_body_argument("username", ""), ""
        password = self.get_body_argument("password", "", strip=False)
        try:
            if password != self.get_body_argument("again", "", strip=False):
                raise ValueError("The two passwords are not the same.")  # noqa: TRY301
            await self.authenticator.add(name, password)
        except ValueError as error:
            problem = str(error)
            self.set_status(400)
        page = self.render_template("sign_up.html", wanted=name, problem=problem, done=not problem)
        self.finish(await page)


class Approve(BaseHandler):  # type: ignore[misc]
    """The page on which the operator says who may come in."""

    @authenticated
    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """GET approve."""
        accounts = self.db.query(UserInfo).order_by(UserInfo.username).all()
        here = {name for (name,) in self.db.query(User.name)}
        waiting = [
            (one.username, one.username in here) for one in accounts if not one.is_authorized
        ]
        approved = [one.username for one in accounts if one.is_authorized]
        page = self.render_template("approve.html", waiting=waiting, approved=approved)
        self.finish(await page)

    @authenticated
    @needs_scope("admin:users")  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        """POST approve: one person, in or out."""
        account = self.authenticator.get_user(self.get_body_argument("name"))
        if account and self.get_body_argument("do") == "approve":
            account.is_authorized = True
        elif account and self.get_body_argument("do") == "remove":
            self.db.delete(account)
        self.db.commit()
        self.redirect(self.request.path)


async def matches(word: bytes, digest: bytes) -> bool:
    """Say whether *word* is the password; it takes a while, in which others are served."""
    return len(word) <= LONGEST and await asyncio.to_thread(bcrypt.checkpw, word, digest)
