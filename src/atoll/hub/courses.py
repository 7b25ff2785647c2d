"""Courses: people come from a learning platform by LTI 1.3; imported where they sign in so.

The standard is 1EdTech's (https://www.imsglobal.org/spec/lti/v1p3). ltiauthenticator keeps it; here
is what that lacks for Atoll: that the request to sign in is of our platform, that waiting for its
keys holds nobody up, courses as groups, deployments, whose a name is, and words people can read.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
from ltiauthenticator.lti13.auth import LTI13Authenticator
from ltiauthenticator.lti13.error import LoginError, ValidationError
from ltiauthenticator.lti13.handlers import LTI13CallbackHandler, LTI13LoginInitHandler
from ltiauthenticator.lti13.validator import LTI13LaunchValidator
from ltiauthenticator.utils import convert_request_to_dict
from tornado.web import HTTPError
from traitlets import List, Set, Unicode

from atoll.hub.groups import fit
from atoll.hub.leaving import Owned

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
TEACHES = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
PATIENCE = 10.0  # seconds for the platform to tell its keys


class Login(LTI13LoginInitHandler):  # type: ignore[misc]
    """Sends a person who comes from a course back to the platform, which says who they are."""

    def post(self) -> None:
        """GET and POST lti13/oauth_login."""
        known, platform = self.authenticator, self.authenticator.platform
        if not self.get_argument("iss", ""):
            message = "Open this hub from a course of %s: it says who you are."
            raise HTTPError(400, message, platform)
        ours = self.get_argument("client_id", "") in {"", *known.client_id}
        if self.get_argument("iss") != known.issuer or not ours:
            message = "Only %s can send people here. Ask the operator of this hub."
            raise HTTPError(403, message, platform)
        try:
            super().post()
        except UnicodeDecodeError as error:
            raise HTTPError(400, "What %s sent cannot be read.", platform) from error

    get = post

    def authorize_redirect(self, **words: Any) -> None:
        """Redirect there; a platform need not have said what it calls us."""
        [client_id] = self.authenticator.client_id
        super().authorize_redirect(**words | {"client_id": client_id})


class Callback(LTI13CallbackHandler):  # type: ignore[misc]
    """Takes a person who has been sent on by the platform."""

    async def post(self) -> None:
        """POST lti13/oauth_callback."""
        platform = self.authenticator.platform
        try:
            user = await self.login_user(await self._token())
        except jwt.PyJWKClientConnectionError as error:
            message = "%s does not tell its keys. Try again; if it stays so, tell the operator."
            raise HTTPError(502, message, platform) from error
        except (ValidationError, LoginError, jwt.PyJWTError, UnicodeDecodeError) as error:
            self.log.warning("A sign-in from %s was refused: %s", platform, error)
            message = "What %s said of you cannot be taken. Open this hub from your course again."
            raise HTTPError(400, message, platform) from error
        if user is None:
            message = "%s knows you, but nobody has let you in here. Ask the operator of this hub."
            raise HTTPError(403, message, platform)
        await self.redirect_to_next_url(user)

    async def _token(self) -> dict[str, Any]:
        """Return what the platform has signed, or raise what is wrong with it."""
        known, validator = self.authenticator, LTI13LaunchValidator(parent=self.app)
        said = convert_request_to_dict(self.request.arguments)
        validator.validate_auth_response(said)
        self.check_state()
        token: dict[str, Any] = await asyncio.to_thread(known.decoded, said["id_token"])
        validator.validate_id_token(token)
        validator.validate_azp_claim(token, known.client_id)
        self.check_nonce(token)
        return token


class Lti(Owned, LTI13Authenticator):  # type: ignore[misc]
    """People of one learning platform."""

    login_handler = Login
    callback_handler = Callback

    platform = Unicode(config=True, help="What people know the platform by.")
    deployments = List(Unicode(), config=True, help="From which people may come; empty: any.")
    let_in = Set(Unicode(), config=True, help="Courses whose people may come in.")
    _keys: jwt.PyJWKClient | None = None

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Return where the platform sends people; what it would be told of us, people write down.

        That page would say what it was asked by, whoever asked.
        """
        return [one for one in super().get_handlers(app) if one[1] is not self.config_handler]

    def decoded(self, token: str) -> dict[str, Any]:
        """Return what *token* says, if the platform has signed it for us; asks for keys at need.

        Raises `jwt.PyJWTError`.
        """
        if self._keys is None:
            self._keys = jwt.PyJWKClient(self.jwks_endpoint, timeout=PATIENCE)
        try:
            key = self._keys.get_signing_key_from_jwt(token).key
        except json.JSONDecodeError as error:
            raise jwt.PyJWKClientConnectionError("No keys are there.") from error
        how = {"algorithms": self.jwks_algorithms, "issuer": self.issuer}
        found: dict[str, Any] = jwt.decode(token, key, audience=list(self.client_id), **how)
        return found

    async def authenticate(self, handler: Any, data: Any = None) -> dict[str, Any] | None:
        """Return who *data*, what the platform has signed, is about, and their course."""
        if not isinstance(data, dict) or CLAIM + "deployment_id" not in data:
            return None  # JupyterHub's own form of a name and a password
        if self.deployments and data[CLAIM + "deployment_id"] not in self.deployments:
            raise LoginError("The deployment is none of those that may send people.")
        found: dict[str, Any] = await super().authenticate(handler, data)
        return {**found, "groups": sorted(fit(courses(data)))}

    async def check_allowed(self, username: str, auth_model: dict[str, Any]) -> bool:
        """Say whether the lists have this person, or their course."""
        return bool(
            super().check_allowed(username, auth_model) or self.let_in & {*auth_model["groups"]}
        )

    def claim(self, found: dict[str, Any]) -> None:
        """Raise a refusal if *found*'s name is that of somebody else, who was here before."""
        account = found["auth_state"].get("sub")
        if not isinstance(account, str) or not account:
            message = "%s did not say who you are. Ask your teacher to let it."
            raise HTTPError(403, message, self.platform)
        if not self.whose.claim(found["name"], f"{self.issuer} {account}"):
            message = "“%s” is somebody else here, who has another account. Ask the operator."
            raise HTTPError(403, message, found["name"])


def courses(token: dict[str, Any]) -> list[str]:
    """Return the groups that *token* tells of: the course, and ``COURSE:teachers`` for these."""
    context = token.get(CLAIM + "context")
    if not isinstance(context, dict) or not (name := context.get("label") or context.get("id")):
        return []
    roles = token.get(CLAIM + "roles")
    teaches = isinstance(roles, list) and TEACHES in roles
    return [str(name), *([f"{name}:teachers"] if teaches else [])]
