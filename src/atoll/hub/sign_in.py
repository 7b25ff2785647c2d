"""Sign-in: tells JupyterHub how people sign in and who gets in, as ``[sign_in]`` says.

JupyterHub's authenticators do the work, each in its own words; here is one function for each. The
classes with what they lack are in modules that are imported only where they are used.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from traitlets.config import Config

from atoll.hub.groups import fit
from atoll.hub.places import Places, read_private
from atoll.people import unfit
from atoll.settings import Settings
from atoll.sign_in import (
    LOOPBACK,
    GitHub,
    GitLab,
    Grouped,
    Ldap,
    Listed,
    Lti,
    Native,
    OAuth,
    Oidc,
    Pam,
    Password,
    Several,
    Way,
    owns,
)


def sign_in(c: Any, settings: Settings, places: Places) -> None:
    """Write into JupyterHub's configuration *c* how people sign in. Raises `BadSettings`."""
    way = settings.sign_in
    WAYS[way.kind](c, way, places)
    prefixes = [one.prefix for one in way.ways] if isinstance(way, Several) else []
    c.Authenticator.post_auth_hook = lambda asked, _, found: admit(
        asked.way if prefixes else way, asked, found, prefixes
    )


def admit(
    way: Way, authenticator: Any, found: dict[str, Any], prefixes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what JupyterHub is to know of somebody whom it lets in, from what was *found*.

    Raises a refusal for a name that nobody may have, such as a visitor's, or that is another's, or
    would be one of another way, of which the *prefixes* are those of all.
    """
    from tornado.web import HTTPError

    if isinstance(way, Listed):
        # As atoll.toml says, whatever it said before; left open, JupyterHub would keep what was.
        found["admin"] = found["name"] in way.admins or bool(
            isinstance(way, Grouped) and {*way.admin_groups} & {*found.get("groups", ())}
        )
        found = prefixed(found, way.prefix, prefixes)
    if why := unfit(found["name"]):
        message = "You cannot be called “%s” here: %s. Ask the operator what to do."
        raise HTTPError(403, message, found["name"], why)
    if not isinstance(way, Password | Native):
        authenticator.claim(found)
    return found


def prefixed(found: dict[str, Any], prefix: str, prefixes: Sequence[str]) -> dict[str, Any]:
    """Return *found* with the *prefix* of its way before the name and each group.

    A name that would be another way's is refused, and such a group left out, also if it is only
    read as one: names are held to one way of writing by `unfit`, and groups are not.
    """
    from tornado.web import HTTPError

    name, all_of_them = f"{prefix}{found['name']}", prefixes or [prefix]
    if not owns(prefix, all_of_them, name):
        message = "You cannot be called “%s” here: names like that are of another way to sign in."
        raise HTTPError(403, message, name)
    if found.get("groups") is not None:
        groups = fit(f"{prefix}{one}" for one in found["groups"])
        found["groups"] = sorted(one for one in groups if owns(prefix, all_of_them, _read(one)))
    return {**found, "name": name}


def _read(group: str) -> str:
    return unicodedata.normalize("NFKC", group).strip().lower()


def label(way: Way) -> str:
    """Return by what name people know the accounts that they sign in with, "" if by none."""
    if isinstance(way, Several):
        return next((label(one) for one in way.ways if not isinstance(one, OAuth)), "")
    if isinstance(way, Oidc | Lti):
        return way.name or urlsplit(way.issuer).netloc
    return getattr(way, "name", "") or {"github": "GitHub", "gitlab": "GitLab"}.get(way.kind, "")


def choices(way: Way) -> list[tuple[str, str]] | None:
    """Return the sites that one can choose, each by its name and path; the last is "" for a form.

    ``None`` where there is no choice.
    """
    if not isinstance(way, Several):
        return None
    sites = [one for one in way.ways if isinstance(one, OAuth)]
    found = [(label(one), f"{one.path}/oauth_login".lstrip("/")) for one in sites]
    return found if len(sites) == len(way.ways) else [*found, ("", "")]


def welcome(way: Way, places: Places, *, first: bool) -> list[str]:
    """Return how one signs in, for the operator; *first*: nobody was told the password before."""
    if isinstance(way, Several):
        return [line for one in way.ways for line in welcome(one, places, first=first)]
    if isinstance(way, Listed):
        who = "everybody who can" if way.everybody else "whom atoll.toml lists"
        where = f" ({label(way)})" if label(way) else ""
        return [f"People sign in by {way.kind}{where}: {who}."]
    if first:
        password = places.secret(places.password.name)
        return [
            f"Sign in as “admin” with the password {password}",
            f"It is kept in {places.password}.",
        ]
    return [f"Sign in as “admin”; the password is in {places.password}."]


def _several(c: Any, way: Several, places: Places) -> None:
    ways = []
    for one in way.ways:
        own = Config()
        WAYS[one.kind](own, one, places)
        ways.append((one, own))
    c.JupyterHub.authenticator_class = "atoll.hub.several.Several"
    c.Several.ways = ways
    # Who may come in is what each way says; of itself this one lets in nobody.
    c.Several.allow_all = c.Several.allow_existing_users = False
    c.Several.any_allow_config = c.Several.manage_groups = True


def _password(c: Any, way: Way, places: Places) -> None:  # noqa: ARG001 - all are called alike
    c.JupyterHub.authenticator_class = "atoll.hub.leaving.Password"
    c.SharedPasswordAuthenticator.admin_password = places.secret(places.password.name)
    # Said of this authenticator only: with an operator's own one, whoever is called “admin” there
    # is nobody special.
    c.SharedPasswordAuthenticator.admin_users = {"admin"}
    c.SharedPasswordAuthenticator.allowed_users = {"admin"}


def _oidc(c: Any, way: Oidc, places: Places) -> None:
    _oauth(c, way, places)
    c.JupyterHub.authenticator_class = "atoll.hub.oauth.Oidc"
    c.Oidc.authority = way.issuer
    c.Oidc.username_claim = way.username_claim
    c.Oidc.groups_claim = way.groups_claim
    c.Oidc.manage_groups = bool(way.groups_claim)
    c.Oidc.scope = list(way.scopes)
    c.Oidc.basic_auth = way.client_auth == "client_secret_basic"


def _github(c: Any, way: GitHub, places: Places) -> None:
    _oauth(c, way, places)
    c.JupyterHub.authenticator_class = "atoll.hub.oauth.GitHub"
    c.GitHub.authority = way.url
    c.GitHub.github_url = way.url
    c.GitHub.manage_groups = True
    c.GitHub.scope = ["read:org"]


def _gitlab(c: Any, way: GitLab, places: Places) -> None:
    _oauth(c, way, places)
    c.JupyterHub.authenticator_class = "atoll.hub.oauth.GitLab"
    c.GitLab.authority = way.url
    c.GitLab.gitlab_url = way.url
    c.GitLab.manage_groups = True
    c.GitLab.scope = ["openid", "read_user"]


def _native(c: Any, way: Native, places: Places) -> None:
    c.JupyterHub.authenticator_class = "atoll.hub.native.Native"
    c.Native.operator_password = places.secret(places.password.name)
    c.Native.admin_users = {"admin", *way.admins}
    c.Authenticator.allow_all = c.Authenticator.allow_existing_users = False


def _ldap(c: Any, way: Ldap, places: Places) -> None:
    _listed(c, way)
    c.Claiming.identities = str(places.data / "identities")
    address = urlsplit(way.address)
    here = address.scheme == "ldap" and address.hostname in LOOPBACK
    c.JupyterHub.authenticator_class = "atoll.hub.directory.Ldap"
    c.Ldap.server_address = address.hostname
    c.Ldap.tls_strategy = (
        "on_connect" if address.scheme == "ldaps" else "insecure" if here else "before_bind"
    )
    if address.port:
        c.Ldap.server_port = address.port
    c.Ldap.ca_file = way.ca_file
    c.Ldap.user_attribute = way.user_attribute
    if way.user_dn:
        c.Ldap.bind_dn_template = way.user_dn
    else:
        c.Ldap.lookup_dn = c.Ldap.use_lookup_dn_username = True
        c.Ldap.lookup_dn_user_dn_attribute = way.user_attribute
        c.Ldap.user_search_base = way.user_base
    if way.bind_dn:
        c.Ldap.lookup_dn_search_user = way.bind_dn
        c.Ldap.lookup_dn_search_password = read_private(way.bind_password_file)
    c.Ldap.group_base = way.group_base
    c.Ldap.manage_groups = bool(way.group_base)
    c.Ldap.let_in = {*way.groups, *way.admin_groups}


def _pam(c: Any, way: Pam, places: Places) -> None:
    _listed(c, way)
    c.Claiming.identities = str(places.data / "identities")
    c.JupyterHub.authenticator_class = "atoll.hub.accounts.Pam"
    c.Pam.service = way.service
    c.Pam.manage_groups = True
    c.Pam.allowed_groups = {*way.groups, *way.admin_groups}


def _lti(c: Any, way: Lti, places: Places) -> None:
    _listed(c, way)
    c.JupyterHub.authenticator_class = "atoll.hub.courses.Lti"
    c.Lti.issuer = way.issuer
    c.Lti.client_id = {way.client_id}
    c.Lti.authorize_url = way.login_url
    c.Lti.jwks_endpoint = way.keys_url
    c.Lti.username_key = way.username_claim
    c.Lti.deployments = list(way.deployments)
    c.Lti.identities = str(places.data / "identities")
    c.Lti.platform = label(way)
    c.Lti.manage_groups = True
    c.Lti.let_in = {*way.groups, *way.admin_groups}


def _listed(c: Any, way: Listed) -> None:
    c.Authenticator.admin_users = {*way.admins}
    c.Authenticator.allowed_users = {*way.admins, *way.people}
    c.Authenticator.allow_all = way.everybody
    # Else whoever is known already could come in: visitors, and people who are no longer listed.
    c.Authenticator.allow_existing_users = False


def _oauth(c: Any, way: OAuth, places: Places) -> None:
    _listed(c, way)
    c.OAuthenticator.client_id = way.client_id
    c.OAuthenticator.client_secret = read_private(way.client_secret_file)
    c.Site.identities = str(places.data / "identities")
    c.OAuthenticator.login_service = label(way)
    c.OAuthenticator.oauth_callback_url = way.callback
    c.OAuthenticator.admin_groups = {*way.admin_groups}
    c.OAuthenticator.allowed_groups = {*way.groups}


WAYS: dict[str, Callable[[Any, Any, Places], None]] = {
    "password": _password,
    "oidc": _oidc,
    "github": _github,
    "gitlab": _gitlab,
    "native": _native,
    "ldap": _ldap,
    "pam": _pam,
    "lti": _lti,
    "several": _several,
}
