"""Leaving: somebody is deleted as a whole or not at all, and then their name is anybody's again.

JupyterHub begins to delete somebody whose named servers run, with their other servers' files, and
breaks off when it comes to one that does. So it is told before anything is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from tornado.web import HTTPError
from traitlets import Unicode

from atoll.hub.identities import Identities


class Leaving(Authenticator):  # type: ignore[misc]
    """What is the same for all authenticators."""

    def delete_user(self, user: Any) -> None:
        """Refuse, unless nothing of *user*'s runs."""
        if up := sorted(one.name for one in user.spawners.values() if one.active):
            message = "Servers of “%s” run: stop these first, then delete: %s."
            raise HTTPError(400, message, user.name, ", ".join(up))
        super().delete_user(user)


class Owned(Leaving):
    """One that knows whose account each name is."""

    identities = Unicode(config=True, help="The folder that says whose each name is.")

    @property
    def whose(self) -> Identities:
        """Whose each name is."""
        return Identities(Path(self.identities))

    def delete_user(self, user: Any) -> None:
        """Let somebody else have the name, since nothing is left of whose it was."""
        super().delete_user(user)
        self.whose.forget(user.name)


class Password(Leaving, SharedPasswordAuthenticator):  # type: ignore[misc]
    """JupyterHub's own way, with one password."""
