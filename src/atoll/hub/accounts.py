"""Accounts: what JupyterHub's authenticators by name and password lack for Atoll.

Imported where people sign in by one of them.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from typing import Any

from jupyterhub.auth import Authenticator, PAMAuthenticator

from atoll.hub.claiming import Claiming


class Pam(Claiming, PAMAuthenticator):  # type: ignore[misc]
    """Accounts of this machine."""

    account_kind = "pam"

    async def add_user(self, user: Any) -> None:
        """Take anybody: servers are in boxes, and visitors have no account of this machine."""
        Authenticator.add_user(self, user)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Ask PAM; return what the machine itself calls this account, and its groups."""
        name = await super().authenticate(handler, data)
        if name is None:
            return None
        account = pwd.getpwnam(name)
        if account.pw_name != account.pw_name.lower():  # who would be somebody else's namesake
            self.log.warning("%r has upper case, which names have not here.", account.pw_name)
            return None
        groups = []
        for gid in os.getgrouplist(account.pw_name, account.pw_gid):
            with contextlib.suppress(KeyError):  # a group without a name
                groups.append(grp.getgrgid(gid).gr_name)
        return {"name": account.pw_name, "groups": sorted(groups)}
