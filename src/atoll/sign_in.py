"""Sign-in: the ways to sign in that ``[sign_in]`` of atoll.toml knows, and who gets in by each.

Whatever the way, nobody gets in whom the operator has not named: by name, by group, or by saying
that everybody may.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from atoll.people import unfit

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def check_name(text: str) -> str:
    """Return *text* as JupyterHub writes names, or raise `ValueError`: nobody can be called so."""
    name = text.strip().lower()
    if why := unfit(name):
        message = f"nobody can be called “{text}”: {why}"
        raise ValueError(message)
    return name


def check_address(text: str) -> str:
    """Return *text*, or raise `ValueError` if it is no address to which secrets may be sent.

    By ``http://`` they could be read on their way, so that is for this machine only.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.username or parts.fragment:
        message = f"“{text}” is not an address such as https://id.example.org"
        raise ValueError(message)
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        message = f"“{text}” must begin with https://, since secrets are sent there"
        raise ValueError(message)
    return text


def check_directory(text: str) -> str:
    """Return *text*, or raise `ValueError` if it is no address of a directory."""
    try:
        parts = urlsplit(text)
        right = parts.scheme in {"ldap", "ldaps"} and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.path.strip("/") or parts.query or parts.username:
        message = f"“{text}” is not an address such as ldaps://ldap.example.org"
        raise ValueError(message)
    return text


def check_file(text: str) -> str:
    """Return *text*, or raise `ValueError` unless it is the whole path of a file."""
    if not PurePath(text).is_absolute():
        message = f"“{text}” is not a whole path, such as /etc/atoll/client_secret"
        raise ValueError(message)
    return text


Name = Annotated[str, AfterValidator(check_name)]
Group = Annotated[str, Field(min_length=1, max_length=255)]
ExactAddress = Annotated[str, AfterValidator(check_address)]
Address = Annotated[ExactAddress, AfterValidator(lambda text: text.rstrip("/"))]
LowerGroup = Annotated[Group, AfterValidator(str.lower)]
SecretFile = Annotated[str, AfterValidator(check_file)]
DirectoryAddress = Annotated[str, AfterValidator(check_directory)]
Given = Annotated[str, Field(min_length=1)]


class Way(BaseModel):
    """A way to sign in. ``secret_files`` are the files that only the operator may read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The files with secrets that these settings name."""
        return ()


class Password(Way):
    """`kind = "password"`: one person, `admin`, with the password in the data folder."""

    kind: Literal["password"] = "password"


class Listed(Way):
    """A way by which many people could come, so that it must be said which ones may."""

    admins: list[Name] = Field([], description="Who may sign in, and is an administrator")
    people: list[Name] = Field([], description="Who may sign in")
    everybody: bool = Field(
        default=False, description="Whether everybody may sign in who can prove who they are"
    )
    prefix: Annotated[str, Field(pattern=r"^([a-z0-9]+[.-])?$")] = Field(
        "",
        description=(
            "What the names and the groups that come this way begin with here, such as `gh-`, so "
            "that they are nobody else's; each of several ways has another"
        ),
    )

    @property
    def path(self) -> str:
        """Where below the hub's path this way has its addresses, if there are several."""
        return f"/by_{self.prefix[:-1]}" if self.prefix else ""

    @model_validator(mode="after")
    def prefix_fits(self) -> Self:
        """Refuse a prefix with which nobody could be called."""
        check_name(f"{self.prefix}x")
        return self

    @model_validator(mode="after")
    def somebody_gets_in(self) -> Self:
        """Refuse what lets nobody in: that is never meant, and must not mean everybody."""
        lists = ("admins", "admin_groups", "people", "groups")
        if not self.everybody and not any(getattr(self, name, ()) for name in lists):
            known = [name for name in lists if name in type(self).model_fields]
            message = (
                f"nobody could sign in; say who may, with {', '.join(known)} or everybody = true"
            )
            raise ValueError(message)
        return self


class Grouped(Listed):
    """A way that also tells in which groups a person is; they become JupyterHub's groups."""

    admin_groups: list[Group] = Field(
        [], description="Groups whose members may sign in, and are administrators"
    )
    groups: list[Group] = Field([], description="Groups whose members may sign in")


class OAuth(Grouped):
    """A way that sends people to another site, which says who they are (OAuth 2)."""

    client_id: Given = Field(description="What that site calls this hub")
    client_secret_file: SecretFile = Field(
        description="A file with the secret that came with it, which only the operator can read"
    )
    name: str = Field("", description="The words after “Sign in with”; empty: the site's own name")
    callback: Annotated[
        str, Field(pattern=r"^($|https?://.*/hub/(by_[a-z0-9]+/)?oauth_callback$)")
    ] = Field(
        "",
        description=(
            "The whole address of /hub/oauth_callback as registered there; empty: made from the "
            "address that the browser used"
        ),
    )

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The one with the client secret."""
        return (self.client_secret_file,)


class Oidc(OAuth):
    """`kind = "oidc"`: any OpenID Connect provider (Keycloak, Authentik, Entra ID, Okta, …)."""

    kind: Literal["oidc"]
    issuer: Address = Field(description="The provider's address; all others are asked for there")
    username_claim: Given = Field(
        "preferred_username",
        description=(
            "What becomes a person's name here; it must be theirs for good. Of `email`, only a "
            "verified one is taken"
        ),
    )
    groups_claim: str = Field(
        "groups",
        description=(
            "What holds a person's groups, with dots for what is nested (realm_access.roles); "
            "empty: groups are made in JupyterHub"
        ),
    )
    scopes: list[Given] = Field(
        ["openid", "profile", "email"], description="What the provider is asked to tell"
    )
    client_auth: Literal["client_secret_basic", "client_secret_post"] = Field(
        "client_secret_basic", description="How the secret is shown to the provider"
    )

    @model_validator(mode="after")
    def groups_are_told(self) -> Self:
        """Refuse groups that nobody would tell."""
        if not self.groups_claim and (self.groups or self.admin_groups):
            message = "groups and admin_groups need a groups_claim"
            raise ValueError(message)
        return self


class GitHub(OAuth):
    """`kind = "github"`: accounts of github.com, or of a GitHub Enterprise Server."""

    kind: Literal["github"]
    url: Address = Field("https://github.com", description="Where that GitHub is")
    admin_groups: list[LowerGroup] = Field(
        [],
        description=(
            "Organisations (example) and teams (example:physics) whose members may sign in, and "
            "are administrators"
        ),
    )
    groups: list[LowerGroup] = Field(
        [], description="Organisations and teams whose members may sign in"
    )


class GitLab(OAuth):
    """`kind = "gitlab"`: accounts of gitlab.com, or of a GitLab of your own."""

    kind: Literal["gitlab"]
    url: Address = Field("https://gitlab.com", description="Where that GitLab is")


class Pam(Grouped):
    """`kind = "pam"`: accounts of this machine, with its groups; Atoll must run as root for it."""

    kind: Literal["pam"]
    service: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] = Field(
        "login", description="The PAM service, a file in /etc/pam.d, that is asked"
    )
    name: str = Field("", description="What people know these accounts by")


class Native(Way):
    """`kind = "native"`: accounts that people make here, and `admin` approves."""

    kind: Literal["native"]
    admins: list[Name] = Field(
        [], description="Who of those that are approved is an administrator, too"
    )


class Ldap(Grouped):
    """`kind = "ldap"`: accounts of a directory (OpenLDAP, 389, Active Directory, …)."""

    kind: Literal["ldap"]
    address: DirectoryAddress = Field(
        description=(
            "ldaps://ldap.example.org, or ldap://… with StartTLS; on this machine, ldap:// "
            "is without"
        )
    )
    ca_file: str = Field(
        "", description="Certificates that its own is verified with; empty: the system's"
    )
    user_dn: Annotated[str, Field(pattern=r"^($|[^{}]*\{username\}[^{}]*$)")] = Field(
        "",
        description="The entry of a person, where all are made alike: uid={username},ou=people,…",
    )
    user_base: str = Field("", description="Else: below which entry they are looked for")
    user_attribute: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] = Field(
        "uid", description="What holds their name there; sAMAccountName in Active Directory"
    )
    bind_dn: str = Field("", description="The entry that looks for them; empty: nobody's")
    bind_password_file: Annotated[str, AfterValidator(lambda text: text and check_file(text))] = (
        Field("", description="A file with its password, which only the operator can read")
    )
    group_base: str = Field("", description="Below which entry groups are; empty: there are none")
    name: str = Field("", description="What people know these accounts by")

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The one with the password of who looks for people."""
        return (self.bind_password_file,) if self.bind_password_file else ()

    @model_validator(mode="after")
    def people_and_groups_are_found(self) -> Self:
        """Refuse what leaves open where entries are."""
        problems = {
            "one of user_dn and user_base must be given": bool(self.user_dn)
            == bool(self.user_base),
            "bind_dn and bind_password_file go together": bool(self.bind_dn)
            != bool(self.bind_password_file),
            "groups and admin_groups need a group_base": not self.group_base
            and bool(self.groups or self.admin_groups),
        }
        if found := [problem for problem, there in problems.items() if there]:
            raise ValueError("; ".join(found))
        return self


class Lti(Grouped):
    """`kind = "lti"`: people of a learning platform (Moodle, Canvas, …), from its courses."""

    kind: Literal["lti"]
    issuer: ExactAddress = Field(description="What the platform calls itself (its Platform ID)")
    client_id: Given = Field(description="What the platform calls this hub")
    login_url: ExactAddress = Field(
        description="Where it tells who somebody is (its authentication request URL)"
    )
    keys_url: ExactAddress = Field(description="Where its public keys are (its key set URL)")
    deployments: list[Given] = Field(
        [], description="The deployments from which people may come; empty: from any of them"
    )
    username_claim: Given = Field(
        "email",
        description=(
            "What becomes a person's name here; `sub` where the platform tells no more, and "
            "`custom_NAME` for one of the tool's own parameters"
        ),
    )
    name: str = Field("", description="What people know that platform by; empty: its address")


def kind_of(given: Any) -> Any:
    """Return which kind *given* is, a table of atoll.toml or a `Way`: a password if unsaid."""
    kind = (
        given.get("kind", "password")
        if isinstance(given, dict)
        else getattr(given, "kind", "password")
    )
    return str(kind)


Beside = Annotated[
    Annotated[Oidc, Tag("oidc")]
    | Annotated[GitHub, Tag("github")]
    | Annotated[GitLab, Tag("gitlab")]
    | Annotated[Ldap, Tag("ldap")]
    | Annotated[Pam, Tag("pam")],
    Discriminator(kind_of),
]


class Several(Way):
    """`[[sign_in]]`, more than once: several ways, each a table with a `prefix` of its own."""

    kind: Literal["several"]
    ways: list[Beside] = Field(
        min_length=2,
        description=(
            "What the tables `[[sign_in]]` become: oidc, github and gitlab, as many as there are, "
            "and one of ldap and pam"
        ),
    )

    @property
    def secret_files(self) -> tuple[str, ...]:
        """Those of all of them."""
        return tuple(file for way in self.ways for file in way.secret_files)

    @model_validator(mode="after")
    def nobody_is_taken_for_another(self) -> Self:
        """Refuse two ways by which somebody could come as the other's people."""
        places = [way.path for way in self.ways]
        if len({*places}) < len(places):
            message = "each way needs a prefix of its own, such as “gh-”; one of them may have none"
            raise ValueError(message)
        if sum(isinstance(way, Ldap | Pam) for way in self.ways) > 1:
            message = "there is one form for a name and a password: take ldap or pam, not both"
            raise ValueError(message)
        return self


def owns(prefix: str, prefixes: Iterable[str], name: str) -> bool:
    """Say whether *name*, a person's or a group's, is of the way with *prefix*, and of no other.

    It is that of the longest of the *prefixes* that it begins with.
    """
    return prefix == max((one for one in prefixes if name.startswith(one)), key=len, default=None)


def _one_way(given: Any) -> Any:
    """Return tables ``[[sign_in]]`` as one way: a lone one is itself."""
    if not isinstance(given, list):
        return given
    return given[0] if len(given) == 1 else {"kind": "several", "ways": given}


KINDS: dict[str, type[Way]] = {
    "password": Password,
    "oidc": Oidc,
    "github": GitHub,
    "gitlab": GitLab,
    "native": Native,
    "ldap": Ldap,
    "pam": Pam,
    "lti": Lti,
    "several": Several,
}


SignIn = Annotated[
    Annotated[Password, Tag("password")]
    | Annotated[Oidc, Tag("oidc")]
    | Annotated[GitHub, Tag("github")]
    | Annotated[GitLab, Tag("gitlab")]
    | Annotated[Native, Tag("native")]
    | Annotated[Ldap, Tag("ldap")]
    | Annotated[Pam, Tag("pam")]
    | Annotated[Lti, Tag("lti")]
    | Annotated[Several, Tag("several")],
    Discriminator(kind_of),
    BeforeValidator(_one_way),
]
