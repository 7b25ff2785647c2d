"""Identities: whose each name is, since a provider may give a name to somebody else one day.

GitHub and GitLab let people change theirs, and anybody take what became free; OpenID Connect
promises of its ``sub`` alone that it stays one person's. JupyterHub knows names only: whoever comes
with another's would have all that is theirs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from atoll.hub.places import write_private


@dataclass(frozen=True, slots=True)
class Identities:
    """A folder with a file for each name, in which is whose it is."""

    folder: Path

    def claim(self, name: str, account: str) -> bool:
        """Say whether *name* is *account*'s; one that is nobody's is from now on."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        aside = self.folder / f".{secrets.token_hex(8)}"
        write_private(aside, account)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(aside, self._file(name))
        finally:
            aside.unlink()
        return self._file(name).read_text("utf-8") == account

    def forget(self, name: str) -> None:
        """Let *name* be anybody's again."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / quote(name, safe="")
