"""Several: more than one way to sign in at once; imported where there are.

Each way is asked by its own rules, and afterwards what it found gets the prefix of that way, so
that one way's “anna” is never another's (`atoll.hub.sign_in.admit`). Each site that people are sent
to has an address of its own here; names and passwords are one form's.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.utils import url_path_join
from oauthenticator.oauth2 import OAuthenticator
from traitlets import List, import_item

from atoll.hub.oauth import Site
from atoll.sign_in import OAuth, owns


class Several(Authenticator):  # type: ignore[misc]
    """Asks whichever way somebody has chosen."""

    ways: Any = List(config=True, help="Each way with JupyterHub's configuration of it.")

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.parts = {way.prefix: self._part(way, own) for way, own in self.ways}
        self.form = next((one for one in self.parts.values() if not _is_site(one)), None)

    def _part(self, way: Any, own: Any) -> Any:
        kind = import_item(own.JupyterHub.authenticator_class)
        if issubclass(kind, OAuthenticator):
            kind = type(kind.__name__, (_Below, kind), {"below": way.path})
        part = kind(parent=self, config=own)
        part.way, part.post_auth_hook = way, self.post_auth_hook
        return part

    async def get_authenticated_user(self, handler: Any, data: Any) -> Any:
        """Ask the way that people write a name and a password for, if there is one."""
        return await self.form.get_authenticated_user(handler, data) if self.form else None

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """Return the page to choose on, and for each site where people leave and come back."""
        found = [("/login", LoginHandler)]
        for part in filter(_is_site, self.parts.values()):
            for path, handler in part.get_handlers(app):
                if handler is not part.logout_handler:
                    own = type(handler.__name__, (handler,), {"authenticator": part})
                    found.append((url_path_join(part.below or "/", path), own))
        return found

    def delete_user(self, user: Any) -> None:
        """Let the way whose name it was forget them."""
        for prefix, part in self.parts.items():
            if owns(prefix, self.parts, user.name):
                part.delete_user(user)


class _Below(Site):
    """A site to which people go, and come back from, at an address of its own."""

    below = ""

    def login_url(self, base_url: str) -> str:
        """Return where one leaves for it."""
        return str(super().login_url(url_path_join(base_url, self.below)))

    def get_callback_url(self, handler: Any = None) -> str:
        """Return where it sends people back to."""
        found = str(super().get_callback_url(handler))
        if self.oauth_callback_url or not self.below:
            return found
        return found.removesuffix("oauth_callback") + f"{self.below.strip('/')}/oauth_callback"


def _is_site(part: Any) -> bool:
    return isinstance(part.way, OAuth)
