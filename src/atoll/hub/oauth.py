"""OAuth: what oauthenticator's classes lack for Atoll; imported where people sign in by one.

That is: addresses asked for at the issuer's (OpenID Connect Discovery), all of a person's groups,
and errors of the other site that a person can read.
"""

from __future__ import annotations

import re
from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.gitlab import GitLabOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthenticator, OAuthLoginHandler
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError
from traitlets import Dict, Unicode

from atoll.hub.groups import fit
from atoll.hub.leaving import Owned
from atoll.sign_in import check_address

NOT_ALLOWED = (
    "%s knows you, but nobody has let you in here. "
    "Ask the operator of this hub to add your name or one of your groups."
)
# Where discovery says it, and how oauthenticator calls it.
ENDPOINTS = {
    "authorization_endpoint": "authorize_url",
    "token_endpoint": "token_url",
    "userinfo_endpoint": "userdata_url",
}


class Login(OAuthLoginHandler):  # type: ignore[misc]
    """Sends a person to the other site, once its addresses are known."""

    async def get(self) -> None:
        """GET oauth_login."""
        await self.authenticator.prepare()
        super().get()


class Callback(OAuthCallbackHandler):  # type: ignore[misc]
    """Takes a person back from the other site."""

    async def get(self) -> None:
        """GET oauth_callback."""
        await self.authenticator.prepare()
        await super().get()

    def check_error(self) -> None:
        """Say that the other site refused, in our words: whoever makes a link could write its."""
        if error := self.get_argument("error", ""):
            code = error if re.fullmatch(r"[a-z_]{1,40}", error) else "an error"
            message = "%s did not let you sign in (%s). Try again."
            raise HTTPError(400, message, self.authenticator.login_service, code)


class Site(Owned, OAuthenticator):  # type: ignore[misc]
    """What is the same for all sites, before an authenticator of oauthenticator's."""

    login_handler = Login
    callback_handler = Callback
    account_claim = "id"  # what stays the same for one person, whatever they are called

    authority = Unicode(config=True, help="Which site this is.")

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.custom_403_message = NOT_ALLOWED % self.login_service

    async def prepare(self) -> None:
        """Find out what must be known before somebody can sign in."""

    async def fetch(self, req: Any, label: str = "fetching", **how: Any) -> Any:
        """Ask the other site; what goes wrong there is for whoever signs in to read."""
        try:
            return await super().fetch(req, label=label, **how)
        except HTTPClientError as error:
            what = "does not answer" if error.code >= 500 else "did not accept this sign-in"  # noqa: PLR2004
            raise self.refusal(what) from error
        except OSError as error:
            raise self.refusal("does not answer") from error
        except ValueError as error:
            raise self.refusal("answered something that is not JSON") from error

    def refusal(self, what: str) -> HTTPError:
        """Return the error that says what the other site did."""
        message = "%s %s. Try to sign in again; if it stays so, tell the operator of this hub."
        return HTTPError(502, message, self.login_service, what)

    def user_info_to_username(self, user_info: Any) -> str:
        """Return what the other site calls this person."""
        name = user_info.get(self.username_claim) if isinstance(user_info, dict) else None
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise self.refusal(f"did not say what you are called (no “{self.username_claim}”)")
        return name

    def claim(self, found: dict[str, Any]) -> None:
        """Raise a refusal if *found*'s name is that of somebody else, who was here before."""
        account = found["auth_state"][self.user_auth_state_key].get(self.account_claim)
        if not isinstance(account, str | int) or not str(account):
            raise self.refusal(f"did not say who you are (no “{self.account_claim}”)")
        if not self.whose.claim(found["name"], f"{self.authority} {account}"):
            message = "“%s” is somebody else here, who has another account. Ask the operator."
            raise HTTPError(403, message, found["name"])

    async def groups_of(self, auth_state: dict[str, Any]) -> Any:
        """Return the names of the groups that a person is in."""
        raise NotImplementedError

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return them as JupyterHub can hold them."""
        return fit(await self.groups_of(auth_state))


class Oidc(Site, GenericOAuthenticator):  # type: ignore[misc]
    """Any OpenID Connect provider, by its issuer's address."""

    account_claim = "sub"
    groups_claim = Unicode(config=True, help="What holds a person's groups.")
    found = Dict(help="What the provider says of itself.")

    async def prepare(self) -> None:
        """Ask the provider for its addresses, the first time that they are needed.

        Not when the hub starts: people whose servers run need no provider to get to them.
        """
        if self.found:
            return
        url = f"{self.authority}/.well-known/openid-configuration"
        found = await self.httpfetch(url, label="discovering", follow_redirects=False)
        if (
            not isinstance(found, dict)
            or str(found.get("issuer", "")).rstrip("/") != self.authority
        ):
            said = found.get("issuer") if isinstance(found, dict) else None
            self.log.error("%s says that the issuer is %r.", url, said)
            raise self.refusal("calls itself something else than this hub's settings do")
        for endpoint, trait in ENDPOINTS.items():
            try:
                setattr(self, trait, check_address(found[endpoint]))
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                self.log.exception("%s has no %s that can be used.", url, endpoint)
                raise self.refusal(f"has no {endpoint} that can be used") from error
        self.found = found

    def user_info_to_username(self, user_info: Any) -> str:
        """Return a person's name; of addresses for mail, one that somebody has verified."""
        name = super().user_info_to_username(user_info)
        if self.username_claim == "email" and user_info.get("email_verified") is not True:
            raise self.refusal("has not verified your e-mail address")
        return name

    async def groups_of(self, auth_state: dict[str, Any]) -> Any:
        """Return what the claim holds."""
        told = auth_state[self.user_auth_state_key]
        if self.groups_claim in told:  # such as https://example.org/groups
            return told[self.groups_claim]
        for part in self.groups_claim.split("."):
            told = told.get(part) if isinstance(told, dict) else None
        return told


class GitHub(Site, GitHubOAuthenticator):  # type: ignore[misc]
    """GitHub: organisations are groups, and their teams, such as ``example:physics``."""

    async def groups_of(self, auth_state: dict[str, Any]) -> Any:
        """Ask for all of them; names there have no upper case of their own."""
        token = auth_state["token_response"]
        key = (token["access_token"], token["token_type"])
        try:
            orgs = await self._paginated_fetch(f"{self.github_api}/user/orgs?per_page=100", *key)
            teams = await self._paginated_fetch(f"{self.github_api}/user/teams?per_page=100", *key)
            return [
                *(one["login"].lower() for one in orgs),
                *(f"{one['organization']['login']}:{one['slug']}".lower() for one in teams),
            ]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self.refusal("did not say which groups you are in") from error


class GitLab(Site, GitLabOAuthenticator):  # type: ignore[misc]
    """GitLab, of anybody: groups by their whole path, such as ``example/physics``."""

    async def groups_of(self, auth_state: dict[str, Any]) -> Any:
        """Ask for them where no more than the scope ``openid`` is needed."""
        headers = self.build_userdata_request_headers(auth_state["access_token"], "Bearer")
        found = await self.httpfetch(f"{self.gitlab_url}/oauth/userinfo", headers=headers)
        return found.get("groups") if isinstance(found, dict) else None
