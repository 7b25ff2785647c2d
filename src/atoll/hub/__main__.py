"""Main: ``python -m atoll.hub``, JupyterHub without what it would load and never use.

Three of its libraries are optional, and together a fifth of its memory: who asks for them later,
such as an operator's own authenticator, gets them. And JupyterHub loads every authenticator and
every spawner that is installed, to list their settings in a help that nobody reads here: another
seventh.
"""

from __future__ import annotations

import sys

UNUSED = (
    "rfc3987_syntax",  # a grammar for internationalised addresses: no event of the hub's has one
    "isoduration",  # lengths of time as ISO 8601 writes them: nor has one of these
    "pygments",  # colours for the error pages of a template language: no migration needs any
)

if __name__ == "__main__":
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    from jupyterhub.app import Authenticator, CryptKeeper, JupyterHub, Spawner
    from traitlets import default

    for name in UNUSED:
        del sys.modules[name]

    class Hub(JupyterHub):  # type: ignore[misc]  # JupyterHub has no types
        """JupyterHub, which of what is installed loads what its configuration names."""

        @default("classes")
        def _load_classes(self) -> list[type]:
            return [Authenticator, CryptKeeper, Spawner]

    Hub.launch_instance()
