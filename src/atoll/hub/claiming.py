"""Claiming: a name of a directory or of this machine stays theirs when another way comes beside it.

Imported where people sign in by a name and a password. Sites and learning platforms tell whose
account it is; here it is known only which kind of account it was.
"""

from __future__ import annotations

from typing import Any

from tornado.web import HTTPError

from atoll.hub.leaving import Owned


class Claiming(Owned):
    """What is the same for all authenticators by a name and a password."""

    account_kind = ""

    def claim(self, found: dict[str, Any]) -> None:
        """Raise a refusal if *found*'s name is that of somebody who came another way before."""
        if not self.whose.claim(found["name"], self.account_kind):
            message = "“%s” is somebody else here, who has another account. Ask the operator."
            raise HTTPError(403, message, found["name"])
