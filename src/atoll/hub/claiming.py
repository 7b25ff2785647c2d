"""Claiming: a name of a directory or of this machine stays theirs when another way comes beside it.

Imported where people sign in by a name and a password. Sites and learning platforms tell whose
account it is; here it is known only which kind of account it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError
from traitlets import Unicode

from atoll.hub.identities import Identities


class Claiming(Authenticator):  # type: ignore[misc]
    """What is the same for all authenticators by a name and a password."""

    account_kind = ""
    identities = Unicode(config=True, help="The folder that says whose each name is.")

    def claim(self, found: dict[str, Any]) -> None:
        """Raise a refusal if *found*'s name is that of somebody who came another way before."""
        if not Identities(Path(self.identities)).claim(found["name"], self.account_kind):
            message = "“%s” is somebody else here, who has another account. Ask the operator."
            raise HTTPError(403, message, found["name"])

    def delete_user(self, user: Any) -> None:
        """Let somebody else have the name, since nothing is left of whose it was."""
        Identities(Path(self.identities)).forget(user.name)
        super().delete_user(user)
