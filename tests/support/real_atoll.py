"""The real thing: `atoll up` in a process of its own, with all its parts, on a free port."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from atoll.hub.places import find_places, write_settings
from atoll.settings import settings_from
from support.hub import Installation, eventually


class RealAtoll(Installation):
    """An installation whose servers are JupyterLabs in boxes. *tables* are ``atoll.toml``'s.

    *config* is a jupyterhub_config.py of the operator's.
    """

    def __init__(self, data: Path, *, config: str = "", **tables) -> None:
        super().__init__(data)
        hub = {"bind": f"http://127.0.0.1:{self.port}/", "config": config}
        self.settings = settings_from({"data": str(data), "hub": hub, **tables})
        self.places = find_places(self.settings)

    def launch(self) -> None:
        write_settings(self.settings, self.file)
        command = [sys.executable, "-P", "-m", "atoll.cli", "--config", str(self.file), "up"]
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        return self.places.secret(self.places.password.name)

    def servers(self) -> list[tuple[str, str]]:
        """Return (person, name) of every server that is not stopped."""
        users = self.api("GET", "users").json()
        return [
            (user["name"], name)
            for user in users
            for name, server in user["servers"].items()
            if not server["stopped"]
        ]

    def end(self) -> None:
        """Stop everybody's servers, then the rest."""
        if self.process is not None and self.process.poll() is None:
            for person, name in self.servers():
                self.api("DELETE", f"users/{person}/servers/{name}")
            eventually(lambda: not self.servers())
        super().end()
