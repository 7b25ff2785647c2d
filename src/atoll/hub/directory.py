"""Directory: what jupyterhub-ldapauthenticator lacks for Atoll; imported where LDAP is used.

It asks the directory while the whole hub waits, without end if need be, and looks at no certificate
unless it is told to. And it knows only those groups that let somebody in.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPStartTLSError
from ldap3.utils.conv import escape_filter_chars
from ldapauthenticator.ldapauthenticator import LDAPAuthenticator, TlsStrategy
from tornado.web import HTTPError
from traitlets import Integer, Set, Unicode

from atoll.hub.claiming import Claiming
from atoll.hub.groups import fit

NAME = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*\Z"  # of which a directory knows no other spelling but case


class Ldap(Claiming, LDAPAuthenticator):  # type: ignore[misc]
    """Accounts of a directory, with its groups."""

    account_kind = "ldap"

    ca_file = Unicode(config=True, help="What certificates are verified with.")
    group_base = Unicode(config=True, help="Below which entry groups are.")
    patience = Integer(5, help="Seconds that the directory may take to connect, and to answer.")
    let_in = Set(config=True, help="Groups whose members may sign in.")

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.valid_username_regex = NAME

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Ask the directory, in a thread; return whom it knows, with their groups."""
        asked = super().authenticate(handler, data)
        try:
            found: dict[str, Any] | None = await asyncio.to_thread(asyncio.run, asked)
        except LDAPException as error:
            self.log.exception("The directory could not be asked.")
            message = "The directory that knows your password does not answer. Try again later."
            raise HTTPError(503, message) from error
        if found:
            found["groups"] = sorted(fit(found["auth_state"]["user_attributes"]))
        return found

    async def check_allowed(self, username: str, auth_model: dict[str, Any]) -> bool:
        """Say whether the lists have this person, or a group of theirs."""
        return bool(
            await super().check_allowed(username, auth_model)
            or self.let_in & {*auth_model["groups"]}
        )

    def get_connection(self, userdn: str, password: str) -> Any:
        """Return a connection as *userdn*, or ``None`` if that is not the password."""
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=self.ca_file or None)
        server = ldap3.Server(
            self.server_address,
            port=self.server_port,
            use_ssl=self.tls_strategy is TlsStrategy.on_connect,
            tls=tls,
            connect_timeout=self.patience,
        )
        one = ldap3.Connection(
            server, user=userdn, password=password, receive_timeout=self.patience
        )
        try:
            one.open()
            if self.tls_strategy is TlsStrategy.before_bind and not one.start_tls():
                raise LDAPStartTLSError("not now")
            if one.bind():
                return one
        except LDAPException:
            if one.socket:
                one.socket.close()
            raise
        one.unbind()
        return None

    def get_user_attributes(self, conn: Any, userdn: str) -> list[str]:
        """Return the names of all groups of *userdn* that they may see; it is asked no more."""
        try:
            return self._groups(conn, userdn) if self.group_base else []
        finally:
            conn.unbind()

    def _groups(self, conn: Any, userdn: str) -> list[str]:
        conn.search(userdn, "(objectClass=*)", ldap3.BASE, attributes=[self.user_attribute])
        names = [str(name) for one in conn.entries for name in one[self.user_attribute].values]
        uids = "".join(f"(memberUid={escape_filter_chars(name)})" for name in names)
        dn = escape_filter_chars(userdn)
        wanted = f"(|(member={dn})(uniqueMember={dn}){uids})"
        conn.search(self.group_base, wanted, attributes=["cn"])
        return [str(name) for one in conn.entries for name in one["cn"].values]
